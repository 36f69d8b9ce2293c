"""``python -m hirules.cli``."""

import sys

from hirules.cli import main

if __name__ == "__main__":
    sys.exit(main())
