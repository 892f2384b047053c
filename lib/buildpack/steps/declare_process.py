"""Writes what the dyno and bin/release read, and says in the build log what will run and why.

Usage: declare_process.py --build-dir DIR --env-dir DIR --project FILE --slug DIR
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # lib/

from headwaiter import app_json, procfile

from buildpack.steps import preview_budget
from buildpack.steps.describe_project import wrap

# What a directory may hold to be an option of a command that Dokku passes through `eval echo` without quotes.
PLAIN = re.compile(r"[A-Za-z0-9_./-]+")
# What the dyno's project.json takes over from the step that found the project.
FACTS = (
    "directory",
    "manage_py",
    "wsgi_application",
    "settings_module",
    "candidates",
    "warnings",
    "python_version",
    "django_version",
)


def web_command(project: Mapping[str, Any]) -> str:
    """The default web process: one plain command. A directory that needs quotes is read from project.json at boot."""
    directory = project["directory"]
    chdir = f"--chdir={directory} " if directory != "." and PLAIN.fullmatch(directory) else ""
    return f"headwaiter {chdir}{project['wsgi_application']}"


def release_yaml(web: str, project: Mapping[str, Any]) -> str:
    """What bin/release prints. Only the last buildpack's counts, so heroku/python's request for a database is here."""
    addons = ["addons:", "  - heroku-postgresql"] if project["postgres_driver"] else []
    return "\n".join(["---", *addons, "default_process_types:", f"  web: {web}", ""])


def migrate_command(manage_py: str) -> str:
    """The release process that keeps the database's tables up to date."""
    return f"python {manage_py if PLAIN.fullmatch(manage_py) else json.dumps(manage_py)} migrate --noinput"


def explain_web(processes: Mapping[str, str] | None, web: str) -> Iterator[str]:
    """Which web process counts: Heroku takes the Procfile's where it has one."""
    if processes is None or "web" not in processes:
        yield f"web: {web}"
        if processes:
            yield "The Procfile has no web line, so Heroku adds this one. (Dokku doesn't: put it there.)"
        return

    found = procfile.understand(processes["web"])
    better = f"web: {found.wrapper + ' ' if found.wrapper else ''}{web}"
    if found.server == "headwaiter":
        yield "The Procfile's own web process runs headwaiter"
    elif found.server == "runserver":
        yield "!"
        yield "! Warning: the Procfile's web process is runserver, Django's development server."
        yield "! It has had no security audit, and isn't made for more than one visitor."
        yield "! Change the line to:"
        yield f"!   {better}"
        yield "!"
    else:
        starts = f"starts {found.server}" if found.server else "starts another program"
        yield f"The Procfile has its own web process, which wins. It {starts}, not headwaiter."
        yield "To serve the site with Waitress, change that line to:"
        yield f"  {better}"


def explain_release(
    processes: Mapping[str, str] | None, hints: app_json.AppJson, web: str, manage_py: str | None
) -> Iterator[str]:
    """A hint where nothing migrates the database on a deploy."""
    if not manage_py or procfile.migrates(processes or {}, hints.dokku_tasks):
        return
    yield "Nothing migrates the database when you deploy. If you want that, " + (
        "add to the Procfile:" if processes is not None else "add a file Procfile:"
    )
    if processes is None:
        yield f"  web: {web}"
    yield f"  release: {migrate_command(manage_py)}"


def explain_budget(hints: app_json.AppJson, env_dir: Path | None) -> Iterator[str]:
    """What app.json's database and dynos will mean for processes and threads."""
    if hints.problem:
        yield f"! {hints.problem}. It's passed over here."
    asked = [hints.database_plan] if hints.database_plan else []
    if hints.web_dynos or hints.dyno_size:
        number = hints.web_dynos or 1
        size = f" of size {hints.dyno_size}" if hints.dyno_size else ""
        asked.append(f"{number} web dyno{'' if number == 1 else 's'}{size}")
    if asked:
        yield f"app.json asks for {' and '.join(asked)}"

    try:
        lines = list(preview_budget.preview(hints, env_dir))
    except Exception as error:  # it decides nothing, so it's no reason to stop a deploy
        lines = [f"! What they allow couldn't be worked out here ({type(error).__name__})."]
    for line in lines:
        yield from wrap(line, rest="! " if line.startswith("!") else "")
    yield "Each dyno decides again at boot, and as dynos come and go: heroku run headwaiter plan"


def main(argv: list[str]) -> int:
    """Write both files, print the explanation."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--env-dir", required=True)
    for name in ("--build-dir", "--project", "--slug"):
        parser.add_argument(name, type=Path, required=True)
    arguments = parser.parse_args(argv)
    project = json.loads(arguments.project.read_text(encoding="utf-8"))
    processes = procfile.read(arguments.build_dir / "Procfile")
    hints = app_json.read(arguments.build_dir / "app.json")
    web = web_command(project)

    facts = {
        **{key: project[key] for key in FACTS},
        "waitress_version": waitress_version(arguments.slug, project),
        "database_plan": hints.database_plan,
        "web_dynos": hints.web_dynos,
        "dyno_size": hints.dyno_size,
        "release_process": bool(processes and "release" in processes),
    }
    (arguments.slug / "project.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    (arguments.slug / "release.yml").write_text(release_yaml(web, project), encoding="utf-8")

    for lines in (
        explain_web(processes, web),
        explain_budget(hints, Path(arguments.env_dir) if arguments.env_dir else None),
        explain_release(processes, hints, web, project["manage_py"]),
    ):
        for line in lines:
            print(line)
    return 0


def waitress_version(slug: Path, project: Mapping[str, Any]) -> str | None:
    """The version that the dyno will run: the site's own, or the one just unpacked."""
    own = project["waitress_version"]
    unpacked = [path.stem.split("-")[1] for path in (slug / "python").glob("waitress-*.dist-info")]
    return own or (unpacked[0] if unpacked else None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
