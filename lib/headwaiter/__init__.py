"""headwaiter runs a Django site on Waitress: it loads the site, sizes processes and threads, serves and drains."""

VERSION = "1.0.0"
"""Of the buildpack and of this package, as `headwaiter --version` and the build log name it."""
