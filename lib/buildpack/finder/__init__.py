"""Which Django project of a repository to run, from where and with which settings: find_project."""
