#!/usr/bin/env bash
# The Django project: what to run, from where, with which settings, and why.

# shellcheck disable=SC2154 # bin/compile and workspace.sh set the directories, python.sh sets PYTHON.
set -euo pipefail

# Leaves what the finder found in WORK_DIR/project.json, and what the environment holds in WORK_DIR/environment.json.
function project::find() {
	output::step "Looking for the Django project"
	helper::run "project" "${WORK_DIR}/project.json" finder "${BUILD_DIR}" --env-dir "${ENV_DIR}"
	helper::run "environment" "${WORK_DIR}/environment.json" steps/environment.py "${WORK_DIR}/project.json" "${BUILD_DIR}"
	helper::paint "django-missing" steps/describe_project.py "${WORK_DIR}/project.json" "${WORK_DIR}/environment.json"
}
