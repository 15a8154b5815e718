"""The programs under tools/ import their neighbours by name alone."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))
