"""The command line of the serving image: `driftline-serving serve | fetch | resolve`."""

import sys

from driftline_serving.cli import main

if __name__ == "__main__":
    sys.exit(main())
