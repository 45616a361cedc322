"""Hot appends: an inbox row by group commit is the acknowledgement, Parquet segments the store."""
