"""`python -m volano` is the program `volano`."""

from volano.cli.main import main

main()
