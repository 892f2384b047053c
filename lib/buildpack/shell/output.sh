# shellcheck shell=bash
# What the build log looks like: Heroku's arrows, indents and exclamation marks.

# output::paint: indents standard input; a line that begins with "! " becomes one of a warning, "> " begins a step.
function output::paint() {
	sed --unbuffered --regexp-extended --expression 's/^> /-----> /; t' --expression 's/^!( |$)/ !     /; t trim' \
		--expression '/./s/^/       /; : trim; s/[[:space:]]*$//'
}

# output::error: an error from standard input, set off by empty lines.
function output::error() {
	echo
	sed --expression 's/^/ !     /' --expression 's/[[:space:]]*$//'
	echo
}
