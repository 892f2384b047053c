#!/usr/bin/env bash
# Usage: scripts/fresh.sh SUITE root|user [MAKE-ARGUMENT...]
# Runs `make run` and `make test` on a new, bare Debian (SUITE: bookworm, trixie) with bash, make, git, curl and python3
# alone: as root with the checkout in /root, or as an ordinary user with it at home. Needs root and debootstrap.
#
# MAKE-ARGUMENTs stand for `test`: scripts/fresh.sh trixie user test-all

set -euo pipefail
shopt -s inherit_errexit

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SUITE="${1}"
WHO="${2}"
shift 2
[[ "${#}" != 0 ]] || set -- test

PATH="${ROOT}/.tools/bin:${PATH}:/usr/sbin:/sbin"
UNPACKED="${ROOT}/.tools/debian/usr/share/debootstrap"
[[ ! -d "${UNPACKED}" ]] || export DEBOOTSTRAP_DIR="${UNPACKED}"
# How this machine reaches package indexes.
NETWORK=(PIP_CERT PIP_DEFAULT_TIMEOUT SSL_CERT_FILE REQUESTS_CA_BUNDLE CURL_CA_BUNDLE http_proxy https_proxy no_proxy)

function fresh::make_system() {
	debootstrap --variant=minbase --include=bash,make,git,curl,ca-certificates,python3 "${SUITE}" "${1}" >"${1}.log" 2>&1 \
		|| {
			tail -n 20 "${1}.log" >&2
			echo "Error: debootstrap failed." >&2
			return 1
		}
	cp /etc/resolv.conf "${1}/etc/resolv.conf"
	cp /etc/ssl/certs/ca-certificates.crt "${1}/etc/ssl/certs/ca-certificates.crt"
	chroot "${1}" useradd --create-home --shell /bin/bash someone
	mount --bind "${1}" "${1}" # what is to be the root must be a mount, or no namespace can be made in it
	mount -t proc proc "${1}/proc"
	mount --rbind /dev "${1}/dev"
	mount --rbind /sys "${1}/sys"
}

function fresh::copy_checkout() {
	mkdir "${1}"
	(cd "${ROOT}" && git ls-files -z --cached --others --exclude-standard | tar -c --null --files-from - --ignore-failed-read) \
		| tar -x --no-same-owner -C "${1}"
}

# fresh::run SYSTEM COMMAND...: in the new system, as the user, in the checkout.
function fresh::run() {
	local system="${1}" name started="${SECONDS}" status=0
	shift
	local environment=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "HOME=${HOME_OF_USER}" LANG=C.UTF-8)
	for name in "${NETWORK[@]}"; do
		[[ -z "${!name:-}" ]] || environment+=("${name}=${!name}")
	done
	echo "-----> ${SUITE}, ${WHO}: ${*}"
	# shellcheck disable=SC2016 # HOME is that of the new system.
	chroot --userspec="${USER_AND_GROUP}" "${system}" env -i "${environment[@]}" \
		bash -c 'cd "${HOME}/checkout" && exec "${@}"' - "${@}" || status="${?}"
	echo "-----> ${SUITE}, ${WHO}: ${*}: status ${status}, $((SECONDS - started)) s"
	return "${status}"
}

if [[ "${FRESH_NAMESPACE:-}" != yes ]]; then
	FRESH_NAMESPACE=yes exec unshare --mount --propagation private --pid --fork --kill-child "${BASH_SOURCE[0]}" "${SUITE}" "${WHO}" "${@}"
fi

work=$(mktemp -d)
trap 'umount --recursive --lazy "${work}/system" 2>/dev/null || true; rm -rf --one-file-system "${work}"' EXIT
chmod 755 "${work}"
USER_AND_GROUP=root:root HOME_OF_USER=/root
[[ "${WHO}" == root ]] || USER_AND_GROUP=someone:someone HOME_OF_USER=/home/someone

fresh::make_system "${work}/system"
fresh::copy_checkout "${work}/system${HOME_OF_USER}/checkout"
chroot "${work}/system" chown -R "${USER_AND_GROUP}" "${HOME_OF_USER}/checkout"
chmod 700 "${work}/system${HOME_OF_USER}"
fresh::run "${work}/system" make --no-print-directory run RUN_OPTIONS=--check
fresh::run "${work}/system" make --no-print-directory "${@}"
