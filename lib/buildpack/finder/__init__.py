"""Which Django project of a repository to run, from where and with which settings: `find_project`."""

from buildpack.finder.projects import find_project as find_project
from buildpack.finder.repository import ProjectError as ProjectError
