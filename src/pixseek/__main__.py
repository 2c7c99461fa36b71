"""`python -m pixseek` is the command line."""

import sys

from pixseek.cli import main

if __name__ == "__main__":
    sys.exit(main())
