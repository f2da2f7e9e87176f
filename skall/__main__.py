"""``python -m skall``."""

import sys

from skall.cli import main

if __name__ == "__main__":
    sys.exit(main())
