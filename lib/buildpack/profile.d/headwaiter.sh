#!/usr/bin/env bash
# Sourced at the start of every dyno; on Dokku as root under `set -eo pipefail`. No output.
export PATH="${PATH}:${HOME:-/app}/.heroku/headwaiter/bin"

# libpq's application_name, so that `heroku pg:ps` shows which dyno holds a connection: workers' and one-off dynos' too.
if [[ -n "${DYNO:-}" ]]; then
	export PGAPPNAME="${PGAPPNAME:-${DYNO}}"
fi
