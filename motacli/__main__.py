"""`python -m motacli` is `mota`."""

import sys

from motacli.cli import main

if __name__ == "__main__":
    sys.exit(main())
