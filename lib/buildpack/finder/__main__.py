"""The command `python3 -I lib/buildpack/finder DIR [--env-dir ENV_DIR]`; find_project.py says what it prints."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])  # lib/, in place of this directory

from buildpack.finder.find_project import main  # noqa: E402 - the path comes first

sys.exit(main(sys.argv[1:]))
