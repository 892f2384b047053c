"""No input tree makes the finder crash, hang or write: trees and files made up by hypothesis, and known bombs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import layouts
import pytest
import pythons
from buildpack.finder import ProjectError, find_project, python_source, repository
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# fmt: off
FRAGMENTS = [
    "import os\n", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', ", "'shop.settings')\n", "from .base import *\n",
    "from django.core.wsgi import get_wsgi_application\n", "application = get_wsgi_application()\n", "INSTALLED_APPS",
    "from django.core.asgi import get_asgi_application\n", "WSGI_APPLICATION = ", "ASGI_APPLICATION = ",
    "'shop.wsgi.application'\n", "f'{a}.{b}'\n", "a = b or a\n", "b = a if a else b\n", "if x:\n    ", "try:\n    ",
    "class A:\n    ", "match x:\n    case application: pass\n", "with a as application: pass\n", "(application := 1)\n",
    "execute_from_command_line(sys.argv)\n", "print 'x'\n", "DJANGO_SETTINGS_MODULE", "{{ project_name }}", "lambda: ",
    "yield ", " = ", "%", "(", ")", "[", '"""', "'", "\\\n", "\0", "\t", "\ufeff", "\u2028", "\ud800",
    "# coding: utf-16\n", "# coding: punycode\n",
]
NAMES = [
    "manage.py", "wsgi.py", "asgi.py", "settings.py", "__init__.py", "base.py", "production.py", "setup.py", ".py",
    "pyproject.toml", "app.json", "Procfile", "Dockerfile", "uwsgi.ini", "a-b.py", "\u00e9.py", "x y.py", "pyvenv.cfg",
]
DEPLOYMENT = [
    "web: gunicorn ", "web: cd shop && gunicorn shop.wsgi 'x", '{"env": {"HEADWAITER_DIR": ', '{"env": [1]}', '"x"',
    "[" * 5000,
]
BOMBS = [
    ("attributes", ".b", ""), ("sum", "+1", ""), ("calls", "()", ""), ("subscripts", "[1]", ""), ("brackets", "(", ""),
    ("minus", "-", "1"), ("not", " not ", "1"), ("lambdas", "lambda:", "1"), ("conditions", "1 if a else ", "1"),
    ("elifs", "if a: pass\nelif a: pass\nelse:\n if a: pass\n", ""), ("names", "application = ", "1"),
    ("spaces", " ", "x"), ("quotes", '"""', ""), ("environ", "DJANGO_SETTINGS_MODULE ", ""),
    ("commas", "from a import " + "a, " * 40 + "\n", "b"),
]
# fmt: on
FOLDERS = ["", "shop", "shop/settings", "shop/wsgi", "src", "src/shop", "tests", "a b", "deploy", "{{x}}", "\udcff"]
COOKIES = [b"# coding: %s\n\xff" % codec for codec in (b"hex", b"zip", b"idna", b"rot13", b"utf-7", b"x" * 99)]

python_text = st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)
contents = st.one_of(
    python_text.map(lambda text: text.encode("utf-8", errors="surrogatepass")),
    st.binary(max_size=200),
    st.sampled_from(DEPLOYMENT).map(str.encode),
    st.sampled_from([str(text).encode() for layout in layouts.LAYOUTS[:12] for text in layout.tree.values()]),
)
kinds = st.sampled_from(["file", "file", "file", "file", "directory", "pipe", "loop", "outside", "closed"])
trees = st.dictionaries(
    st.tuples(st.sampled_from(FOLDERS), st.sampled_from(NAMES)), st.tuples(kinds, contents), max_size=12
)
config_vars = st.dictionaries(
    st.sampled_from(["HEADWAITER_DIR", "HEADWAITER_APP", "DJANGO_SETTINGS_MODULE", "PATH"]),
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from([b"shop", b".", b"shop.wsgi", b"..", b"a:b", b"shop.settings", b"-x", b"/"]),
    ),
)


def plant(root: Path, folder: str, name: str, kind: str, content: bytes) -> None:
    """One entry of a made-up tree; impossible ones are left out."""
    path = root / folder / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "directory":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "loop":
            path.symlink_to("../" + root.name)
        elif kind == "outside":
            path.symlink_to("/dev/zero")
        else:
            path.write_bytes(content)
            path.chmod(0 if kind == "closed" else 0o644)
    except OSError:
        pass


def snapshot(root: Path) -> list[tuple[str, int, int]]:
    """Every entry with what writing to it would change."""
    paths = [Path(folder, name) for folder, folders, names in os.walk(root) for name in folders + names]
    return sorted((str(path), path.lstat().st_mtime_ns, path.lstat().st_size) for path in paths)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(trees, config_vars)
def test_any_tree_gives_an_answer_or_a_message(
    tree: dict[tuple[str, str], tuple[str, bytes]], config: dict[str, bytes]
) -> None:
    """Never a traceback, and the tree is as it was. An answer names what is there."""
    base = Path(tempfile.mkdtemp())
    try:
        root, env_dir = base / "repo", base / "env"
        root.mkdir()
        env_dir.mkdir()
        for (folder, name), (kind, content) in tree.items():
            plant(root, folder, name, kind, content)
        for name, value in config.items():
            (env_dir / name).write_bytes(value)
        before = snapshot(base)

        try:
            found = find_project(str(root), str(env_dir))
        except ProjectError as error:
            assert str(error).startswith("Error: ")
            str(error).encode("utf-8")
        else:
            directory, module = root / str(found["directory"]), str(found["wsgi_application"]).partition(":")[0]
            files = [f"{module.replace('.', '/')}{end}" for end in (".py", "/__init__.py")]
            assert any((place / file).is_file() for place in (directory, root) for file in files)
        assert snapshot(base) == before
    finally:
        shutil.rmtree(base)


@settings(max_examples=500, deadline=None)
@given(st.one_of(python_text, st.text()))
def test_any_text_is_read(text: str) -> None:
    """Never an exception."""
    python_source.read_source(text)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(), st.sampled_from(COOKIES)))
def test_any_bytes_are_decoded(data: bytes) -> None:
    """Whatever the byte order mark or the coding cookie promises."""
    repository.decode(data)


def bombs() -> Iterator[tuple[str, str]]:
    """Python that is small and costs a parser, a tree walk, an evaluation or a regular expression much."""
    most = repository.MAX_FILE_BYTES
    for name, unit, tail in BOMBS:
        for size in (python_source.MAX_PARSED_CHARACTERS - 200, most - 200):
            yield f"{name} {size}", ("a" + unit * (size // len(unit)))[: size - len(tail) - 1] + tail
    cross = "".join(f"{a} = {b} or {c}\n" for a in "abcdefgh" for b in "abcdefgh" for c in "abcdefgh")
    yield "cross references", cross + "WSGI_APPLICATION = a\n"
    write = "os.environ['DJANGO_SETTINGS_MODULE'] = "
    yield "branches", f"if a: {write}'b.c'\n" + f"elif a: {write}'d.e'\n" * 2000
    yield "circle", f"a = b\nb = a\nif a: {write}'b.c'\nelse: {write}'d.e'\n"
    yield "product", "a = 'x' if y else 'z'\n" * 5 + "WSGI_APPLICATION = " + " + ".join("abababababababab") + "\n"


@pytest.mark.parametrize("version", pythons.parameters())
def test_bombs_are_read(version: str, tmp_path: Path) -> None:
    """Each within the limits of size, by every supported Python: 3.10's parser would overrun its stack on some."""
    root = layouts.write(tmp_path / "repo", layouts.site())
    for index, (name, text) in enumerate(bombs()):
        (root / "shop" / f"wsgi_{index}.py").write_text(f"{text}\n# {name} get_wsgi_application WSGI_APPLICATION")
    ran = subprocess.run(
        [pythons.python(version), "-I", "-B", Path(repository.__file__).parent, str(root)],
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert '"shop.wsgi:application"' in ran.stdout


def test_deep_trees_and_large_files_are_bounded(tmp_path: Path) -> None:
    """What is beyond the limits isn't looked at."""
    root = layouts.write(tmp_path / "repo", layouts.site())
    layouts.write(
        root,
        {
            "/".join("d" * 40)[:79] + "/manage.py": layouts.manage(),
            "big/manage.py": layouts.manage() + "#" * repository.MAX_FILE_BYTES,
        },
    )
    with open(root / "huge.py", "wb") as file:
        file.truncate(1 << 40)
    assert find_project(str(root), None)["candidates"] == []
    assert repository.Repository(str(root)).read("big/manage.py") is None
