"""headwaiter runs a Django site on Waitress: it loads the site, sizes processes and threads, serves and drains."""
