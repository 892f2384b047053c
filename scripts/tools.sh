#!/usr/bin/env bash
# Usage: scripts/tools.sh test|bench|managers|programs|heroku-cli
# Installs test/requirements/<set>.txt in .tools/venv (managers: in .tools/managers), and shunit2. Instant when nothing changed.
# programs, heroku-cli: what else tests and the benchmark use of Debian's packages and of npm, into .tools/bin.
#
# Needs bash, make, git, curl and Python 3.10 or newer. What Debian and Ubuntu leave out of their python3 (pip) and
# shunit2 come from their packages, unpacked in .tools/ without root: the system stays as it is.

# shellcheck disable=SC2312 # What a substitution here prints is shown or installed; an empty one is seen at once.
set -euo pipefail
shopt -s inherit_errexit

SET="${1}"
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TOOLS="${ROOT}/.tools"
DEBIAN="${TOOLS}/debian"
# The package managers' own dependencies are kept from the tools'.
HEROKU_CLI_VERSION=11.10.0
VENV="${TOOLS}/venv"
[[ "${SET}" != managers ]] || VENV="${TOOLS}/managers"

function tools::fail() {
	printf 'Error: %s\n' "${1}" >&2
	exit 1
}

# Prints the newest python3 that the tools can use.
function tools::find_python() {
	local name
	for name in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
		if "${name}" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
			command -v "${name}"
			return
		fi
	done
	tools::fail "Python 3.10 or newer isn't installed. On Debian and Ubuntu: apt-get install python3"
}

# Runs apt-get with package lists of its own: independent of root and of the system's.
function tools::apt_get() {
	command -v apt-get >/dev/null || tools::fail "there's no apt-get to bring what is missing. Install it yourself: ${*: -1}"
	local state="${DEBIAN}/apt"
	local apt=(apt-get -q -o "Dir::State=${state}" -o "Dir::State::lists=${state}/lists" -o "Dir::Cache=${state}/cache"
		-o "Dir::State::status=/var/lib/dpkg/status" -o "APT::Sandbox::User=root")
	mkdir -p "${state}/lists/partial" "${state}/cache/archives/partial"
	if [[ ! -e "${state}/updated" ]]; then
		echo "Reading Debian's package lists" >&2
		"${apt[@]}" update >"${state}/log" 2>&1 || tools::fail "apt-get update failed: $(tail -n 3 "${state}/log")"
		touch "${state}/updated"
	fi
	(cd "${state}" && "${apt[@]}" "${@}" 2>"${state}/log") \
		|| tools::fail "apt-get ${*} failed: $(tail -n 3 "${state}/log")"
}

# Unpacks Debian packages in .tools/debian.
function tools::unpack_debian_packages() {
	echo "Unpacking Debian's ${*}"
	tools::apt_get download "${@}" >/dev/null
	local archive
	for archive in "${DEBIAN}"/apt/*.deb; do
		dpkg-deb --extract "${archive}" "${DEBIAN}"
		rm "${archive}"
	done
}

# Sets PIP to a command that runs pip on the tools' Python, wherever a pip is to be had.
function tools::find_pip() {
	local python="${VENV}/bin/python"
	local wheels=("${DEBIAN}"/usr/share/python-wheels/pip-*.whl)
	if "${python}" -m pip --version >/dev/null 2>&1; then
		PIP=("${python}" -m pip)
		return
	fi
	if [[ ! -e "${wheels[0]}" ]]; then
		tools::unpack_debian_packages python3-pip-whl
		wheels=("${DEBIAN}"/usr/share/python-wheels/pip-*.whl)
	fi
	PIP=("${python}" "${wheels[0]}/pip")
}

function tools::make_venv() {
	local python
	python=$(tools::find_python)
	rm -rf "${VENV}"
	echo "Making ${VENV#"${ROOT}/"} with ${python}"
	"${python}" -m venv "${VENV}" >/dev/null 2>&1 || "${python}" -m venv --without-pip "${VENV}"
}

# The lock files of this set: bench goes on top of test.
function tools::install_requirements() {
	local requirements="${ROOT}/test/requirements/${SET}.txt"
	local stamp="${TOOLS}/${SET}.stamp"
	local wanted
	wanted=$(sha256sum "${requirements}" | cut -d ' ' -f 1)
	if [[ -x "${VENV}/bin/python" && -f "${stamp}" && "$(<"${stamp}")" == "${wanted}" ]]; then
		return
	fi

	[[ -x "${VENV}/bin/python" ]] || tools::make_venv
	tools::find_pip
	echo "Installing test/requirements/${SET}.txt"
	"${PIP[@]}" install --disable-pip-version-check --quiet --require-hashes --requirement "${requirements}"
	echo "${wanted}" >"${stamp}"
}

function tools::install_shunit2() {
	if ! command -v shunit2 >/dev/null && [[ ! -e "${DEBIAN}/usr/bin/shunit2" ]]; then
		tools::unpack_debian_packages shunit2
	fi
}

# A program of .tools/debian finds its libraries through a script of its name in .tools/bin.
function tools::write_command() {
	local name="${1}" program="${2}"
	mkdir -p "${TOOLS}/bin"
	cat >"${TOOLS}/bin/${name}" <<-EOF
		#!/bin/sh
		LD_LIBRARY_PATH=\$(echo '${DEBIAN}'/usr/lib/*-linux-gnu* '${DEBIAN}'/lib/*-linux-gnu* | tr ' ' :) exec '${program}' "\${@}"
	EOF
	chmod +x "${TOOLS}/bin/${name}"
}

# The programs that are missing, with the libraries that the system lacks.
function tools::install_programs() {
	local entry name missing=() packages=()
	for entry in pgbouncer:pgbouncer slowhttptest:slowhttptest mariadbd:mariadb-server-core nginx:nginx wrk:wrk \
		debootstrap:debootstrap; do
		name="${entry%%:*}"
		PATH="${TOOLS}/bin:${PATH}:/usr/sbin:/sbin" command -v "${name}" >/dev/null || missing+=("${entry}")
	done
	[[ "${#missing[@]}" != 0 ]] || return 0
	mapfile -t packages < <(tools::apt_get install --simulate --no-install-recommends "${missing[@]#*:}" | sed -n 's/^Inst \([^ ]*\).*/\1/p')
	tools::unpack_debian_packages "${packages[@]}"
	for entry in "${missing[@]}"; do
		name="${entry%%:*}"
		tools::write_command "${name}" "$(PATH="${DEBIAN}/usr/sbin:${DEBIAN}/usr/bin" command -v "${name}")"
	done
}

# The Heroku CLI; it needs Node 20. Nothing of it is compiled.
function tools::install_heroku_cli() {
	[[ ! -e "${TOOLS}/heroku/node_modules/.bin/heroku" ]] || return 0
	node -e 'process.exit(Number(process.versions.node.split(".")[0] < 20))' 2>/dev/null || return 0
	command -v npm >/dev/null || return 0
	echo "Installing the Heroku CLI ${HEROKU_CLI_VERSION}"
	npm install --prefix "${TOOLS}/heroku" --ignore-scripts --no-audit --no-fund --loglevel=error "heroku@${HEROKU_CLI_VERSION}" >/dev/null
	ln -sf ../heroku/node_modules/.bin/heroku "${TOOLS}/bin/heroku"
}

mkdir -p "${TOOLS}"
case "${SET}" in
	programs) tools::install_programs ;;
	heroku-cli) tools::install_heroku_cli ;;
	*)
		tools::install_requirements
		tools::install_shunit2
		;;
esac
