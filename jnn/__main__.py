"""`python -m jnn` is the command `jnn`."""

from jnn.cli import main

main()
