"""Lets the processes of trials import what the tests search with."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "programs"))
