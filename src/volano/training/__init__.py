"""Training: recipes, and what they are built of."""
