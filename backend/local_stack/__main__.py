"""`python -m local_stack`: what `scripts/up` runs."""

import sys

from local_stack.up import main

if __name__ == "__main__":
    sys.exit(main())
