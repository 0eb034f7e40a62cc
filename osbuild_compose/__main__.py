"""`python3 -m osbuild_compose`: the same as `compose`."""

import sys

from osbuild_compose.start import program

if __name__ == "__main__":
    sys.exit(program())
