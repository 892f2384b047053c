# shellcheck shell=bash disable=SC2154 # bin/compile sets the directories.
# The directories of one build. Temporary files go whatever happens.

# Sets WORK_DIR (temporary files) and SLUG_DIR (what the dyno gets).
function workspace::open() {
	WORK_DIR=$(mktemp -d) || exit 1 # mktemp has said why
	trap 'rm -rf "${WORK_DIR}"' EXIT
	workspace::_check_cache

	# A repository may have committed the slug of an earlier build.
	SLUG_DIR="${BUILD_DIR}/.heroku/headwaiter"
	rm -rf "${SLUG_DIR}"
	mkdir -p "${SLUG_DIR}/python" "${SLUG_DIR}/bin"
}

# A cache that an earlier build left as another user, or that is no directory, costs time but not the build.
function workspace::_check_cache() {
	local foreign
	foreign=$(mkdir -p "${CACHE_DIR}" && find "${CACHE_DIR}" ! -writable -print -quit) || foreign="${CACHE_DIR}"
	[[ -n "${foreign}" ]] || return 0
	output::paint <<-EOF
		! Warning: this user can't write to ${foreign}.
		! The build does without its cache. Remove that file or directory.
	EOF
	CACHE_DIR="${WORK_DIR}/cache"
	mkdir "${CACHE_DIR}"
}
