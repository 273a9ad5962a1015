"""`python -m flashweb`: the same as the `flashweb` command."""

import sys

from flashweb.cli import main

if __name__ == "__main__":
    sys.exit(main())
