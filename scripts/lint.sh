#!/usr/bin/env bash
# Usage: scripts/lint.sh check|fix
# Every linter over everything it can read, each named as it runs; `fix` lets those that can fix do so.

set -euo pipefail
shopt -s inherit_errexit

MODE="${1}"
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="${PWD}/.tools/venv/bin:${PATH}"

mapfile -t scripts < <(git ls-files --cached --others --exclude-standard -- 'bin/*' '*.sh' .ci/run ':!test/fixtures' || true)
failed=0

function lint::run() {
	echo "${*:1:2}"
	"${@}" || failed=1
}

if [[ "${MODE}" == fix ]]; then
	lint::run shfmt --write "${scripts[@]}"
	lint::run ruff check --fix --quiet .
	lint::run ruff format --quiet .
else
	lint::run shfmt --diff "${scripts[@]}"
	lint::run ruff check --quiet .
	lint::run ruff format --check --quiet .
fi
lint::run shellcheck "${scripts[@]}"
lint::run mypy --no-error-summary lib/headwaiter lib/buildpack scripts/*.py test/support/*.py test/conftest.py
MYPYPATH=lib lint::run mypy --no-error-summary test/bench/*.py
exit "${failed}"
