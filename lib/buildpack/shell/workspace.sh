#!/usr/bin/env bash
# The directories of one build. Temporary files go whatever happens.

# shellcheck disable=SC2154 # bin/compile sets the directories.
set -euo pipefail

# Sets WORK_DIR (temporary files) and SLUG_DIR (what the dyno gets).
function workspace::open() {
	WORK_DIR=$(mktemp -d)
	trap 'rm -rf "${WORK_DIR}"' EXIT
	mkdir -p "${CACHE_DIR}"

	# A repository may have committed the slug of an earlier build.
	SLUG_DIR="${BUILD_DIR}/.heroku/headwaiter"
	rm -rf "${SLUG_DIR}"
	mkdir -p "${SLUG_DIR}/python" "${SLUG_DIR}/bin"
}
