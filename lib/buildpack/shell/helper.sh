# shellcheck shell=bash disable=SC2154,SC2312 # bin/compile sets the directories and pipefail, python.sh sets PYTHON.
# Runs the Python programs that stand beside the steps.

# helper::run PROGRAM [ARGUMENT...]: the program answers in lines for the build log; those that begin with "! " are
# warnings. Its status 65 means that standard error tells the user what to fix; any other but 0 is a mistake of ours.
function helper::run() {
	local status=0
	"${PYTHON}" -I -B -X utf8 -u "${BUILDPACK_DIR}/lib/buildpack/steps/${1}" "${@:2}" 2>"${WORK_DIR}/error" \
		| output::paint || status="${?}"
	if [[ "${status}" == 65 ]]; then # EX_DATAERR of sysexits.h
		failure::stop <"${WORK_DIR}/error"
	elif [[ "${status}" != 0 ]]; then
		output::paint <"${WORK_DIR}/error"
		return "${status}"
	fi
}
