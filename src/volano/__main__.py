"""`python -m volano` is the program `volano`."""

import sys

# `-m` looks for modules in the working folder first: a random.py or secrets.py there is the user's
# own, and must not stand in for Python's.
if not sys.flags.safe_path:
    del sys.path[0]

from volano.cli.main import main

main()
