"""``python -m skall``."""

import sys

from skall.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
