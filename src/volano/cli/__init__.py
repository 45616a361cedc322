"""The command line: `volano`. Every command but those of host.py talks HTTP through the SDK."""
