"""The ground every stage stands on. No domain word in here."""
