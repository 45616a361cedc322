"""What was executed and what came out of it."""
