"""Recipes: models that come with the product, each read from top to bottom."""
