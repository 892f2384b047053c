# shellcheck shell=bash disable=SC2154 # bin/compile sets the directories.
# The site's Python: found, new enough, and with Django in it.

# Sets PYTHON to the interpreter that heroku/python made, by the path that it will have on the dyno where possible.
function python::find() {
	python::_locate
	if [[ -z "${PYTHON}" ]]; then
		failure::stop <<-'EOF'
			Error: There's no Python in this build.

			This buildpack adds Waitress to what heroku/python installs, but
			heroku/python hasn't run: it's missing from the app's buildpacks, or it
			comes after this one ('heroku buildpacks', app.json, .buildpacks).

			Put it first:
			  heroku buildpacks:add --index 1 heroku/python

			Where that says it's already set, 'heroku buildpacks' lists it too late.
			Take it off, then put it first:
			  heroku buildpacks:remove heroku/python
			  heroku buildpacks:add --index 1 heroku/python
		EOF
	fi

	PYTHON_VERSION=$("${PYTHON}" -I -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])') || exit 1 # Python has said why
	# The same oldest version as heroku/python's own; what runs on the dyno is written for it.
	if [[ "${PYTHON_VERSION}" == 2.* || "${PYTHON_VERSION}" == 3.[0-9].* ]]; then
		failure::stop <<-EOF
			Error: Python ${PYTHON_VERSION} is too old.

			This buildpack needs Python 3.10 or newer, as heroku/python itself
			does by now.

			Name a newer version in a file called .python-version in the root
			of the repository, for example:
			  3.13
		EOF
	fi
	echo "-----> Using the site's Python ${PYTHON_VERSION}"
}

# Only an interpreter inside the build directory counts: no other one gets into the slug. heroku/python exports its bin
# directory as /app/.heroku/python/bin, a link into the build directory; where nothing was exported (Heroku CI), the
# build directory is /app itself.
function python::_locate() {
	PYTHON=$(command -v python || true)
	if [[ -n "${PYTHON}" ]]; then
		local directory root
		directory=$(cd "$(dirname "${PYTHON}")" && pwd -P)
		root=$(cd "${BUILD_DIR}" && pwd -P)
		[[ "${directory}/" == "${root}/"* ]] || PYTHON=""
	fi
	if [[ -z "${PYTHON}" && -x "${BUILD_DIR}/.heroku/python/bin/python" ]]; then
		PYTHON="${BUILD_DIR}/.heroku/python/bin/python"
		# heroku/python's interpreter is a shared library that it finds through this variable alone.
		export LD_LIBRARY_PATH="${BUILD_DIR}/.heroku/python/lib${LD_LIBRARY_PATH:+:${LD_LIBRARY_PATH}}"
	fi
}
