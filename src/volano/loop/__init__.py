"""The loop itself: what one stage learns becomes what another does next."""
