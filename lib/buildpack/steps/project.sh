# shellcheck shell=bash disable=SC2154 # bin/compile sets the directories.
# The Django project: what to run, from where, with which settings, and why.

# Leaves what was found in WORK_DIR/project.json.
function project::find() {
	output::step "Looking for the Django project"
	helper::run describe_project.py "${BUILD_DIR}" "${ENV_DIR}" "${WORK_DIR}/project.json"
}
