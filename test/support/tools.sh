#!/usr/bin/env bash
# Usage: test/support/tools.sh test|bench|managers
# Installs requirements/<set>.txt in .tools/venv (managers: in .tools/managers), and shunit2. Instant when nothing changed.
#
# Needs bash, make, git, curl and Python 3.10 or newer. What Debian and Ubuntu leave out of their python3 (pip) and
# shunit2 come from their packages, unpacked in .tools/ without root: the system stays as it is.

# shellcheck disable=SC2312 # What a substitution here prints is shown or installed; an empty one is seen at once.
set -euo pipefail
shopt -s inherit_errexit

SET="${1}"
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TOOLS="${ROOT}/.tools"
DEBIAN="${TOOLS}/debian"
# The package managers' own dependencies are kept from the tools'.
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

# Unpacks a Debian package in .tools/debian. Its own package lists keep it independent of root and of the system's.
function tools::unpack_debian_package() {
	local package="${1}"
	command -v apt-get >/dev/null || tools::fail "${package} is missing, and there's no apt-get to bring it."

	local state="${DEBIAN}/apt"
	local apt=(apt-get -q -o "Dir::State=${state}" -o "Dir::State::lists=${state}/lists" -o "Dir::Cache=${state}/cache"
		-o "Dir::State::status=/var/lib/dpkg/status" -o "APT::Sandbox::User=root")
	mkdir -p "${state}/lists/partial" "${state}/cache/archives/partial"
	if [[ ! -e "${state}/updated" ]]; then
		echo "Reading Debian's package lists"
		"${apt[@]}" update >"${state}/log" 2>&1 || tools::fail "apt-get update failed: $(tail -n 3 "${state}/log")"
		touch "${state}/updated"
	fi
	echo "Unpacking Debian's ${package}"
	(cd "${state}" && "${apt[@]}" download "${package}" >"${state}/log" 2>&1) \
		|| tools::fail "apt-get download ${package} failed: $(tail -n 3 "${state}/log")"
	dpkg-deb --extract "${state}/${package}"_*.deb "${DEBIAN}"
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
		tools::unpack_debian_package python3-pip-whl
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
	local requirements="${ROOT}/requirements/${SET}.txt"
	local stamp="${TOOLS}/${SET}.stamp"
	local wanted
	wanted=$(sha256sum "${requirements}" | cut -d ' ' -f 1)
	if [[ -x "${VENV}/bin/python" && -f "${stamp}" && "$(<"${stamp}")" == "${wanted}" ]]; then
		return
	fi

	[[ -x "${VENV}/bin/python" ]] || tools::make_venv
	tools::find_pip
	echo "Installing requirements/${SET}.txt"
	"${PIP[@]}" install --disable-pip-version-check --quiet --require-hashes --requirement "${requirements}"
	echo "${wanted}" >"${stamp}"
}

function tools::install_shunit2() {
	if ! command -v shunit2 >/dev/null && [[ ! -e "${DEBIAN}/usr/bin/shunit2" ]]; then
		tools::unpack_debian_package shunit2
	fi
}

mkdir -p "${TOOLS}"
tools::install_requirements
tools::install_shunit2
