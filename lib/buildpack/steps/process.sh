# shellcheck shell=bash disable=SC2154 # bin/compile sets the directories.
# The process types: this buildpack's default `web`, and what the site's own Procfile and app.json make of it.

# Writes project.json (for the dyno) and release.yml (for bin/release).
function process::declare() {
	output::step "Declaring the web process"
	helper::run declare_process.py \
		--build-dir "${BUILD_DIR}" \
		--env-dir "${ENV_DIR}" \
		--project "${WORK_DIR}/project.json" \
		--slug "${SLUG_DIR}"
}
