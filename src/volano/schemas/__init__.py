"""The vocabulary: every wire shape, every error and the classes that users subclass."""
