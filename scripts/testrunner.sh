#!/usr/bin/env bash
# Usage: scripts/testrunner.sh TESTRUNNER SHUNIT2
# Runs the suites under the real heroku-buildpack-testrunner. Both arguments are checkouts:
# https://github.com/heroku/heroku-buildpack-testrunner and https://github.com/kward/shunit2 (a 2.1.x tag)

set -euo pipefail
shopt -s inherit_errexit

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TESTRUNNER=$(cd "${1}" && pwd)
SHUNIT2=$(cd "${2}" && pwd)

work=$(mktemp -d)
trap 'rm -rf "${work}"' EXIT

# Up to 2.1.7 the program lay deeper in the repository than in the archive that the testrunner knows.
mkdir -p "${work}/shunit2/src"
if [[ -f "${SHUNIT2}/shunit2" ]]; then
	cp "${SHUNIT2}/shunit2" "${work}/shunit2/src/shunit2"
else
	cp "${SHUNIT2}/source/2.1/src/shunit2" "${work}/shunit2/src/shunit2"
fi
chmod +x "${work}/shunit2/src/shunit2"

# The testrunner copies the whole directory: what git knows is enough.
mkdir "${work}/buildpack"
(cd "${ROOT}" && git ls-files -z --cached --others --exclude-standard | tar -c --null --files-from - --ignore-failed-read) \
	| tar -x -C "${work}/buildpack"

export SHUNIT_HOME="${work}/shunit2"
"${TESTRUNNER}/bin/run" "${work}/buildpack"
