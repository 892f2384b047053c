#!/usr/bin/env bash
# Usage: scripts/lock.sh
# Writes every lock file anew from its .in file, with hashes. On Python 3.10, the oldest that the buildpack runs on,
# since pip-compile leaves out what the Python that runs it doesn't need.

# shellcheck disable=SC2312 # What a substitution here prints is shown or installed; an empty one is seen at once.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! python=$(command -v python3.10); then
	echo "Error: make lock needs Python 3.10 as 'python3.10' on PATH. With pyenv: pyenv install 3.10, then pyenv local." >&2
	exit 1
fi
if [[ ! -x .tools/lock/bin/pip-compile ]]; then
	"${python}" -m venv .tools/lock
	.tools/lock/bin/pip install --quiet --require-hashes --requirement <(
		awk '/^[a-z]/ { keep = /^(build|click|packaging|pip|pip-tools|pyproject-hooks|setuptools|tomli|typing-extensions|wheel)==/ } keep' \
			test/requirements/test.txt
	)
fi

export CUSTOM_COMPILE_COMMAND="make lock"
for lock in lib/requirements test/requirements/test test/requirements/bench test/requirements/managers test/fixtures/sample_site/requirements; do
	echo "${lock}.txt"
	.tools/lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
		--no-emit-options --output-file "${lock}.txt" "${@}" "${lock}.in"
done
