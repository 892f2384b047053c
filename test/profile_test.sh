#!/bin/sh
# shellcheck disable=SC2154 # test_utils.sh sets the directories and what was captured.
# shellcheck disable=SC2312 # What an assert compares is a substitution: a failing command there fails the assert.
# shellcheck disable=SC2016 # The programs given to bash expand there.
#
# .profile.d/headwaiter.sh, as Heroku sources it and as Dokku does: as root, under `set -eo pipefail`.
# shellcheck source=support/testrunner/lib/test_utils.sh
. "${BUILDPACK_TEST_RUNNER_HOME:-${BUILDPACK_HOME:-${PWD}}/test/support/testrunner}/lib/test_utils.sh"

PROFILE="${BUILDPACK_HOME:-${PWD}}/lib/buildpack/profile.d/headwaiter.sh"

# boot PROGRAM [NAME=VALUE...]: what Dokku's shell does, then the program.
boot() {
	program="$1"
	shift
	env -i PATH=/usr/bin:/bin "$@" bash -euo pipefail -c "${program}" dyno "${PROFILE}"
}
boot_silently() { boot 'source "$1"' HOME=/app; }
boot_and_print_path() { boot 'source "$1"; echo "${PATH}"' HOME=/app; }
boot_without_home() { boot 'source "$1"; echo "${PATH}"'; }
boot_and_print_name() { boot 'source "$1"; echo "${PGAPPNAME:-none}"' "$@"; }
boot_and_compare_variables() {
	boot 'before="" && before="$(compgen -v)" && source "$1" && diff <(echo "${before}") <(compgen -v)' HOME=/app
}

test_it_puts_the_commands_on_path_and_says_nothing() {
	capture boot_silently
	assertCapturedSuccess
	assertCapturedEquals ""

	capture boot_and_print_path
	assertCapturedEquals "/usr/bin:/bin:/app/.heroku/headwaiter/bin"
}

test_it_leaves_every_other_variable_alone() {
	capture boot_and_compare_variables

	assertCapturedSuccess
	assertCapturedEquals ""
}

test_connections_carry_the_name_of_the_dyno() {
	capture boot_and_print_name DYNO=worker.2
	assertCapturedSuccess
	assertCapturedEquals "worker.2"

	capture boot_and_print_name DYNO=worker.2 PGAPPNAME=mine
	assertCapturedEquals "mine"

	capture boot_and_print_name
	assertCapturedEquals "none"
}

test_a_missing_home_is_no_failure() {
	capture boot_without_home

	assertCapturedSuccess
	assertCapturedEquals "/usr/bin:/bin:/app/.heroku/headwaiter/bin"
}
