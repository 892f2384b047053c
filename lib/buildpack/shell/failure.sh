# shellcheck shell=bash
# The two ways in which a build ends early: something for the user to fix, or a mistake of ours.

# failure::stop: prints the message on standard input and ends the build.
function failure::stop() {
	output::error
	trap - ERR
	exit 1
}

# The ERR trap: names the line that failed and the calls that led there.
function failure::internal_error() {
	local status="${?}"
	local frame
	trap - ERR
	# Only the outermost shell speaks: a subshell's failure becomes its parent's.
	[[ "${BASH_SUBSHELL}" == 0 ]] || exit "${status}"

	{
		echo "Internal Error: a command failed with status ${status}:"
		echo "  ${BASH_COMMAND}"
		for ((frame = 0; frame < ${#BASH_LINENO[@]} - 1; frame++)); do
			echo "  at ${BASH_SOURCE[frame + 1]#"${BUILDPACK_DIR}/"}, line ${BASH_LINENO[frame]}"
		done
		echo
		echo "That's a mistake in the buildpack, not in your site."
		echo "Please report it, with this build log, at"
		echo "the issue tracker of this buildpack's repository (the address in 'heroku buildpacks')."
	} | output::error
	exit "${status}"
}
