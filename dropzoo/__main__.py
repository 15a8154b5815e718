"""Lets `python -m dropzoo` stand for the `dropzoo` command."""

import sys

from dropzoo.cli import main

sys.exit(main())
