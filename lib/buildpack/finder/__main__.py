"""Prints what `find_project` finds as one flat JSON object.

Usage: python3 -I lib/buildpack/finder DIR [--env-dir ENV_DIR]

Exit status 0; 65 (EX_DATAERR of sysexits.h) with a message on standard error for what the user must fix.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # lib/

from buildpack.finder import ProjectError, find_project

parser = argparse.ArgumentParser(prog="finder", description="Find the Django project of a repository.")
parser.add_argument("directory", metavar="DIR")
parser.add_argument("--env-dir", metavar="ENV_DIR")
arguments = parser.parse_args()
try:
    print(json.dumps(find_project(arguments.directory, arguments.env_dir)))
except ProjectError as error:
    print(error, file=sys.stderr)
    sys.exit(65)
