"""Datasets: what a record is in."""
