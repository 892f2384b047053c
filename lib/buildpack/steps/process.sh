#!/usr/bin/env bash
# The process types: this buildpack's default `web`, and what the site's own Procfile and app.json make of it.

# shellcheck disable=SC2154 # bin/compile and workspace.sh set the directories, python.sh sets PYTHON.
set -euo pipefail

# Writes project.json (for the dyno) and release.yml (for bin/release).
function process::declare() {
	output::step "Declaring the web process"
	helper::paint "process" steps/declare_process.py \
		--build-dir "${BUILD_DIR}" \
		--env-dir "${ENV_DIR}" \
		--environment "${WORK_DIR}/environment.json" \
		--project "${WORK_DIR}/project.json" \
		--slug "${SLUG_DIR}"
}
