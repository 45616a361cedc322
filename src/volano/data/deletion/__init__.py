"""Deleting records: out of every listing at once, and then out of the files."""
