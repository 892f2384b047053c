# shellcheck shell=bash disable=SC2154 # bin/compile sets the directories.
# Waitress: the site's own, or the one that lib/requirements.txt pins.

function waitress::install() {
	output::step "Installing Waitress"
	helper::run install_waitress.py \
		--cache "${CACHE_DIR}" \
		--env-dir "${ENV_DIR}" \
		--project "${WORK_DIR}/project.json" \
		--requirements "${BUILDPACK_DIR}/lib/requirements.txt" \
		--target "${SLUG_DIR}/python" \
		--work "${WORK_DIR}"
}
