"""``python -m drawwell`` is the command ``drawwell``."""

from drawwell.cli.main import main

main()
