"""The client library: everything that a server offers, as Python calls."""
