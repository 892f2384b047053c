"""Writes what the dyno and bin/release read, and says in the build log what will run and why.

Usage: declare_process.py BUILD_DIR ENV_DIR SLUG_DIR PROJECT_JSON
"""

from __future__ import annotations

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


def explain_budget(hints: app_json.AppJson, env_dir: str) -> Iterator[str]:
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
    print("> Declaring the web process")
    build_dir, env_dir, slug = Path(argv[0]), argv[1], Path(argv[2])
    project = json.loads(Path(argv[3]).read_text(encoding="utf-8"))
    processes = procfile.read(build_dir / "Procfile")
    hints = app_json.read(build_dir / "app.json")
    web = web_command(project)

    facts = project | {"database_plan": hints.database_plan, "web_dynos": hints.web_dynos}
    (slug / "project.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    (slug / "release.yml").write_text(release_yaml(web, project), encoding="utf-8")

    for lines in (
        explain_web(processes, web),
        explain_budget(hints, env_dir),
        explain_release(processes, hints, web, project["manage_py"]),
    ):
        for line in lines:
            print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
