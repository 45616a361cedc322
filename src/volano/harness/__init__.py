"""What runs a user's class anywhere: the run handed to it, its parameters, its captured source.

Standard library, msgspec and schemas only: it also runs on users' machines.
"""
