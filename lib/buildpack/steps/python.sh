#!/usr/bin/env bash
# The site's Python: found, new enough, and with Django in it.

# shellcheck disable=SC2154 # bin/compile and workspace.sh set the directories, python.sh sets PYTHON.
set -euo pipefail

# Sets PYTHON to the interpreter that heroku/python made, by the path that it will have on the dyno where possible.
function python::find() {
	python::_locate
	if [[ -z "${PYTHON}" ]]; then
		python::_explain_missing >"${WORK_DIR}/error"
		failure::stop "python-missing" <"${WORK_DIR}/error"
	fi

	PYTHON_VERSION=$("${PYTHON}" -I -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' || echo unknown)
	# The same oldest version as heroku/python's own; what runs on the dyno is written for it.
	case "${PYTHON_VERSION}" in
		unknown)
			failure::stop "python-broken" <<-EOF
				Error: The site's Python doesn't start.

				heroku/python left ${PYTHON#"${BUILD_DIR}/"}, but it can't be run
				(the lines above say why).

				Empty the build cache and build again:
				  heroku plugins:install heroku-builds
				  heroku builds:cache:purge
			EOF
			;;
		2.* | 3.[0-9].*)
			failure::stop "python-too-old" <<-EOF
				Error: Python ${PYTHON_VERSION} is too old.

				This buildpack needs Python 3.10 or newer, as heroku/python itself
				does by now.

				Name a newer version in a file called .python-version in the root
				of the repository, for example:
				  3.13
			EOF
			;;
		*) ;;
	esac
	output::step "Using the site's Python ${PYTHON_VERSION}"
}

# Only an interpreter inside the build directory counts: no other one gets into the slug. heroku/python exports its bin
# directory as /app/.heroku/python/bin, a link into the build directory; where nothing was exported (Heroku CI), the
# build directory is /app itself.
function python::_locate() {
	PYTHON=$(command -v python || true)
	if [[ -n "${PYTHON}" ]]; then
		local directory
		directory=$(cd "$(dirname "${PYTHON}")" && pwd -P)
		local build_dir
		build_dir=$(cd "${BUILD_DIR}" && pwd -P)
		[[ "${directory}/" == "${build_dir}/"* ]] || PYTHON=""
	fi
	if [[ -z "${PYTHON}" && -x "${BUILD_DIR}/.heroku/python/bin/python" ]]; then
		PYTHON="${BUILD_DIR}/.heroku/python/bin/python"
		# heroku/python's interpreter is a shared library that it finds through this variable alone.
		export LD_LIBRARY_PATH="${BUILD_DIR}/.heroku/python/lib${LD_LIBRARY_PATH:+:${LD_LIBRARY_PATH}}"
	fi
}

# Which of the two mistakes it was can be known only where the repository lists its buildpacks.
function python::_explain_missing() {
	local listed
	listed=$(python3 -I "${BUILDPACK_DIR}/lib/buildpack/steps/buildpack_order.py" "${BUILD_DIR}" 2>/dev/null || true)

	echo "Error: There's no Python in this build."
	echo
	case "${listed}" in
		after:*)
			echo "${listed#after:} lists heroku/python after this buildpack. It has to come"
			echo "before: this one adds Waitress to what heroku/python installs."
			;;
		absent:*)
			echo "${listed#absent:} doesn't list heroku/python. It has to come before this"
			echo "buildpack, which adds Waitress to what heroku/python installs."
			;;
		*)
			echo "This buildpack adds Waitress to what heroku/python installs, but"
			echo "heroku/python hasn't run: it's missing from the app's buildpacks, or it"
			echo "comes after this one."
			;;
	esac
	cat <<-'EOF'

		Put it first:
		  heroku buildpacks:add --index 1 heroku/python

		Where that says it's already set, 'heroku buildpacks' lists it too late.
		Take it off, then put it first:
		  heroku buildpacks:remove heroku/python
		  heroku buildpacks:add --index 1 heroku/python
	EOF
}
