#!/usr/bin/env bash
# pip-tools: whether requirements.txt still is what requirements.in asks for.

# shellcheck disable=SC2154 # bin/compile and workspace.sh set the directories, python.sh sets PYTHON.
set -euo pipefail

# Silent where there's no requirements.in, and never the reason for a build to fail.
function lock::check() {
	helper::paint "lock" steps/check_lock.py "${BUILD_DIR}" "${WORK_DIR}/project.json"
}
