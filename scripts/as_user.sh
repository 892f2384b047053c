#!/usr/bin/env bash
# Usage: as_user.sh COMMAND...
# Runs a command without root's privileges, as on a dyno: where root starts it, as the user `nobody`, who may not write to
# the checkout. HOME and TMPDIR are new, and gone afterwards; a process or temporary file that the command leaves is an
# error (leftovers.py). .tools/cache keeps what tests may keep from run to run.
#
# What only root can reach (a checkout or pyenv in /root, mode 700) is shown to `nobody` in a mount namespace.

set -euo pipefail
shopt -s inherit_errexit

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE="${ROOT}/.tools/cache"
PYTHON="${ROOT}/.tools/venv/bin/python"
AS_NOBODY=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
AS_USER=()
PYENV="${PYENV_ROOT:-${HOME:-}/.pyenv}"
STASH=""

function as_user::fail() {
	printf 'Error: %s\n' "${1}" >&2
	exit 1
}

# Prints the outermost directory above this path that others may not pass, if there's one.
function as_user::closed_directory() {
	local path="${1}" closed=""
	while path=$(dirname "${path}") && [[ "${path}" != / ]]; do
		"${AS_NOBODY[@]}" test -x "${path}" || closed="${path}"
	done
	echo "${closed}"
}

# In this mount namespace, an open directory with nothing but the given ones in it covers each closed one above them.
function as_user::open_closed_directories() {
	local path closed
	local -A stashed=() covered=()
	for path in "${@}"; do
		closed=$(as_user::closed_directory "${path}")
		[[ -n "${closed}" ]] || continue
		[[ -n "${MAY_MOUNT}" ]] || as_user::fail "the user nobody can't pass ${closed}, and root may make no mounts here.
Clone into a directory that everybody may read, or run this as an ordinary user."
		stashed["${path}"]=$(mktemp -d "${STASH}/XXXXXX")
		covered["${closed}"]=1
		mount --bind "${path}" "${stashed["${path}"]}"
	done
	for closed in "${!covered[@]}"; do
		mount -t tmpfs -o mode=755 tmpfs "${closed}"
	done
	for path in "${!stashed[@]}"; do
		mkdir -p "${path}"
		mount --bind "${stashed["${path}"]}" "${path}"
	done
}

function as_user::become_nobody() {
	local needed=("${ROOT}")
	needed+=("$("${PYTHON}" -c 'import sys; print(sys.base_prefix)')")
	[[ ! -d "${PYENV}" ]] || needed+=("${PYENV}")
	STASH="${1}/stash"
	mkdir "${STASH}"
	as_user::open_closed_directories "${needed[@]}"
	chmod 755 "${1}"
	chown nobody:nogroup "${1}" "${1}/home"
	chown -R nobody:nogroup "${CACHE}"
}

function as_user::clean_up() {
	[[ ! -d "${STASH}" ]] || umount "${STASH}"/* 2>/dev/null || true
	rm -rf --one-file-system "${1}"
}

# This shell stays, to remove the temporary directory.
function as_user::run() {
	local temporary
	temporary=$(mktemp -d "${TMPDIR:-/tmp}/user-XXXXXX")
	# shellcheck disable=SC2064 # Its name is wanted as it is now.
	trap "as_user::clean_up '${temporary}'" EXIT
	mkdir -p "${temporary}/home" "${CACHE}"
	if [[ "${EUID}" == 0 ]]; then
		as_user::become_nobody "${temporary}"
		AS_USER=("${AS_NOBODY[@]}")
	fi
	[[ ! -d "${PYENV}" ]] || export PYENV_ROOT="${PYENV}"
	export PIP_CACHE_DIR="${CACHE}/pip" UV_CACHE_DIR="${CACHE}/uv" HEADWAITER_TEST_CACHE="${CACHE}/builds"
	export HYPOTHESIS_STORAGE_DIRECTORY="${CACHE}/hypothesis" PYTEST_ADDOPTS="-o cache_dir=${CACHE}/pytest ${PYTEST_ADDOPTS:-}"
	HOME="${temporary}/home" TMPDIR="${temporary}" "${AS_USER[@]}" "${PYTHON}" "${ROOT}/scripts/leftovers.py" "${@}"
}

# Where the kernel allows no namespace, as in most containers, an open checkout does without.
MAY_MOUNT=""
if [[ "${1}" == --in-namespace ]]; then
	MAY_MOUNT=yes
	shift
elif [[ "${EUID}" == 0 ]] && unshare --mount true 2>/dev/null; then
	exec unshare --mount --propagation private "${BASH_SOURCE[0]}" --in-namespace "${@}"
fi
as_user::run "${@}"
