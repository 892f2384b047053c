# shellcheck shell=bash disable=SC2154 # bin/compile sets the directories, python.sh sets PYTHON.
# headwaiter, the package that runs Waitress on the dyno, and its two commands.

function headwaiter::install() {
	local version
	version=$(sed -n 's/^VERSION = "\(.*\)"$/\1/p' "${BUILDPACK_DIR}/lib/headwaiter/__init__.py")
	echo "-----> Installing headwaiter ${version}"
	cp -R "${BUILDPACK_DIR}/lib/headwaiter" "${SLUG_DIR}/python/headwaiter"
	find "${SLUG_DIR}/python/headwaiter" -name __pycache__ -prune -exec rm -rf {} +
	headwaiter::_write_command headwaiter headwaiter.cli main
	headwaiter::_write_command waitress-serve waitress.runner run

	# For the first boot. By unchecked hash, since times change when the slug moves, and with /app in what tracebacks show.
	"${PYTHON}" -I -m compileall -q -f --invalidation-mode unchecked-hash -s "${BUILD_DIR}" -p /app "${SLUG_DIR}/python"

	mkdir -p "${BUILD_DIR}/.profile.d"
	cp "${BUILDPACK_DIR}/lib/buildpack/profile.d/headwaiter.sh" "${BUILD_DIR}/.profile.d/headwaiter.sh"
}

# A command finds its package beside itself, since the slug moves after the build, and the python of the dyno by PATH.
# Appended to sys.path, so that the site's own packages win.
function headwaiter::_write_command() {
	local name="${1}"
	local module="${2}"
	local function_name="${3}"

	cat >"${SLUG_DIR}/bin/${name}" <<-EOF
		#!/usr/bin/env python
		import sys
		from pathlib import Path

		sys.path.append(str(Path(__file__).resolve().parent.parent / "python"))

		from ${module} import ${function_name}

		if __name__ == "__main__":
		    sys.exit(${function_name}())
	EOF
	chmod +x "${SLUG_DIR}/bin/${name}"
}
