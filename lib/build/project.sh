#!/usr/bin/env bash
# The Django project: what to run, from where, with which settings, and why.

# shellcheck disable=SC2154 # bin/compile and workspace.sh set the directories, python.sh sets PYTHON.
set -euo pipefail

# Leaves what find_project.py found in WORK_DIR/project.json, and what the environment holds in WORK_DIR/environment.json.
function project::find() {
	output::step "Looking for the Django project"
	helper::run "project" "${WORK_DIR}/project.json" find_project.py "${BUILD_DIR}" --env-dir "${ENV_DIR}"
	helper::run "environment" "${WORK_DIR}/environment.json" environment.py "${WORK_DIR}/project.json" "${BUILD_DIR}"
	helper::paint "django-missing" describe_project.py "${WORK_DIR}/project.json" "${WORK_DIR}/environment.json"
}
