# shellcheck shell=bash disable=SC2154 # bin/compile sets the directories.
# pip-tools: whether requirements.txt still is what requirements.in asks for.

# Silent where there's no requirements.in, and never the reason for a build to fail.
function lock::check() {
	helper::run check_lock.py "${BUILD_DIR}" "${WORK_DIR}/project.json"
}
