"""``python -m savepath``."""

from savepath.cli import main

main()
