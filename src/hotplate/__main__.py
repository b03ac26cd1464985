"""`python -m hotplate` is `hotplate`."""

import sys

from hotplate.cli import main

if __name__ == "__main__":
    sys.exit(main())
