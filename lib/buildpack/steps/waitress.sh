#!/usr/bin/env bash
# Waitress: the site's own, or the one that lib/requirements.txt pins.

# shellcheck disable=SC2154 # bin/compile and workspace.sh set the directories, python.sh sets PYTHON.
set -euo pipefail

function waitress::install() {
	output::step "Installing Waitress"
	helper::paint "waitress" steps/install_waitress.py \
		--cache "${CACHE_DIR}" \
		--env-dir "${ENV_DIR}" \
		--environment "${WORK_DIR}/environment.json" \
		--requirements "${BUILDPACK_DIR}/lib/requirements.txt" \
		--target "${SLUG_DIR}/python" \
		--work "${WORK_DIR}"
}
