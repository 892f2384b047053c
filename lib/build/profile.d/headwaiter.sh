#!/usr/bin/env bash
# Sourced at the start of every dyno; on Dokku as root under `set -eo pipefail`. One assignment, no output.
export PATH="${PATH}:${HOME:-/app}/.heroku/headwaiter/bin"
