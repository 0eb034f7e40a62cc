"""`python3 -m osbuild_compose` is `compose`."""

import sys

from osbuild_compose.cli import main

sys.exit(main())
