"""Ways in which public Django repositories are laid out, as small trees, with what the buildpack should make of each.

Contents are text, or bytes where the encoding matters. A path that ends in "/" is an empty directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

Tree = Mapping[str, "str | bytes"]


def manage(settings: str = "shop.settings") -> str:
    """Django's own manage.py, which fails the test when it's run."""
    return f"""#!/usr/bin/env python
import os, sys
raise SystemExit("this-must-not-run")
def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{settings}")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
main()
"""


def wsgi(settings: str | None = "shop.settings") -> str:
    """Django's own wsgi.py; without the settings line for None."""
    line = f'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{settings}")' if settings else ""
    return f"""import os
from django.core.wsgi import get_wsgi_application
{line}
application = get_wsgi_application()
"""


ENVIRON = "os.environ['DJANGO_SETTINGS_MODULE'] = "


def wsgi_with(lines: str) -> str:
    """wsgi.py whose settings line is replaced by these."""
    return wsgi(None).replace("application =", f"{lines}\napplication =")


def branches(condition: str) -> str:
    """Two settings modules, by a condition."""
    return f"""if {condition}:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
else:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")"""


def configured(text: str, configuration: str = "") -> str:
    """manage.py or wsgi.py as django-configurations has it."""
    line = f"os.environ.setdefault('DJANGO_CONFIGURATION', '{configuration}')\n" if configuration else ""
    return "import os\n" + line + text.replace("django.core", "configurations")


ASGI = """import os
from django.core.asgi import get_asgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_asgi_application()
"""
SETTINGS = 'INSTALLED_APPS = []\nROOT_URLCONF = "shop.urls"\n'
NANODJANGO = 'from nanodjango import Django\napp = Django()\n\n\n@app.route("/")\ndef count(request):\n    return "1"\n'
FLASK_MANAGE = "from flask_script import Manager\nfrom app import app\nManager(app).run()\n"
FLASK_WSGI = "from app import create_app\napplication = create_app()\n"
PACKAGE = '[project]\nname = "django-thing"\nclassifiers = ["Framework :: Django"]\n'


def named(application: str = "shop.wsgi.application") -> str:
    """Settings with a literal WSGI_APPLICATION."""
    return f'{SETTINGS}WSGI_APPLICATION = "{application}"\n'


def site(prefix: str = "", package: str = "shop", settings: str | None = None) -> dict[str, str | bytes]:
    """What `django-admin startproject` makes, below a prefix such as "backend/"."""
    settings = settings or f"{package}.settings"
    return {
        f"{prefix}manage.py": manage(settings),
        f"{prefix}{package}/__init__.py": "",
        f"{prefix}{package}/settings.py": named(f"{package}.wsgi.application"),
        f"{prefix}{package}/wsgi.py": wsgi(settings),
    }


def layered(default: str, served: str, **more: str) -> dict[str, str | bytes]:
    """A settings package with base, local and production; manage.py names `default`, wsgi.py names `served`."""
    return {
        "manage.py": manage(default),
        "config/__init__.py": "",
        "config/wsgi.py": wsgi(served),
        "config/settings/__init__.py": "",
        "config/settings/base.py": named("config.wsgi.application"),
        "config/settings/local.py": "from .base import *\nDEBUG = True\n",
        "config/settings/production.py": "from .base import *\n",
        **more,
    }


@dataclass(frozen=True)
class Layout:
    """A tree and its right answer: (directory, wsgi_application, settings_module)."""

    name: str
    tree: Tree
    answer: tuple[str, str, str | None]
    candidates: list[str] = field(default_factory=list)
    warning: str | None = None
    """A part of the only warning; None for none at all."""
    config: Mapping[str, str] = field(default_factory=dict)


SHOP = (".", "shop.wsgi:application", "shop.settings")


def inside(directory: str) -> tuple[str, str, str]:
    """The usual answer for a site in a directory."""
    return directory, "shop.wsgi:application", "shop.settings"


PRODUCTION = (".", "config.wsgi:application", "config.settings.production")
LOCAL = (".", "config.wsgi:application", "config.settings.local")

WHERE = [
    Layout("root", site(), SHOP),
    Layout("src", site("src/"), inside("src")),
    Layout("backend", site("backend/"), inside("backend")),
    Layout("two_levels_down", site("src/backend/"), inside("src/backend")),
    Layout("hyphen_in_directory", site("network-api/"), inside("network-api")),
    Layout("space_in_directory", site("my site/"), inside("my site")),
    Layout("directory_and_package_share_a_name", {**site("shop/"), "README": ""}, inside("shop")),
    Layout(
        "syntax_error_in_wsgi",
        {**site(), "shop/wsgi.py": wsgi() + ")\n"},
        SHOP,
        warning="shop/wsgi.py takes 'application' from elsewhere, if at all",
    ),
    Layout("syntax_error_in_settings", {**site(), "shop/settings.py": "INSTALLED_APPS = [\n"}, SHOP),
    Layout(
        "execute_manager",
        {
            "manage.py": "from django.core.management import execute_manager\nexecute_manager(settings)",
            "settings.py": SETTINGS,
            "wsgi.py": wsgi("settings"),
        },
        (".", "wsgi:application", "settings"),
    ),
    Layout(
        "wrapper_that_never_imports_django",
        {**site(), "manage.py": 'import os\nos.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"\nimport our.cli\n'},
        SHOP,
    ),
    Layout(
        "manage_runs_a_package",
        {**site(), "manage.py": 'import runpy\nrunpy.run_module("shop", run_name="__main__")\n'},
        SHOP,
    ),
    Layout("no_manage", {key: text for key, text in site().items() if key != "manage.py"}, SHOP),
    Layout(
        "one_file",
        {
            "app.py": "from django.conf import settings\nsettings.configure(ROOT_URLCONF=__name__)\n"
            "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
        },
        (".", "app:application", None),
    ),
    *(
        Layout(f"single_file_{name}", tree, ("." if "counter.py" in tree else "src", "counter:app", None), [], warning)
        for name, tree, warning in [
            ("headwaiter", {"counter.py": NANODJANGO, "Procfile": "web: headwaiter counter:app\n"}, None),
            (
                "waitress",
                {
                    "counter.py": NANODJANGO.replace("from ", "from \\\n    "),
                    "Procfile": "web: waitress-serve --port=$PORT counter:app\n",
                },
                None,
            ),
            ("directory", {"src/counter.py": NANODJANGO, "Procfile": "web: cd src && headwaiter counter:app\n"}, None),
            ("app_json", {"counter.py": NANODJANGO, "app.json": '{"env": {"HEADWAITER_APP": "counter:app"}}'}, None),
            (
                "configures",
                {
                    "counter.py": "import django\nfrom django.conf import settings\n"
                    "settings.configure(ROOT_URLCONF=__name__)\nurlpatterns = []\n"
                    "app = django.core.handlers.wsgi.WSGIHandler()\n",
                    "Procfile": "web: waitress-serve counter:app\n",
                },
                None,
            ),
            (
                "below",
                {"src/counter.py": NANODJANGO, "Procfile": "web: headwaiter counter:app\n"},
                "counter is below src/, so the site runs from there",
            ),
        ]
    ),
    Layout(
        "single_file_attribute_of_the_application",
        {"counter.py": NANODJANGO, "Procfile": "web: headwaiter counter:app.wsgi\n"},
        (".", "counter:app.wsgi", None),
    ),
    Layout(
        "example_beside_site",
        {**site(), "examples/manage.py": manage("demo.settings"), "examples/demo/wsgi.py": wsgi()},
        SHOP,
    ),
    Layout("site_called_demo", site(package="demo"), (".", "demo.wsgi:application", "demo.settings")),
    Layout("site_below_test_project", site("testproject/"), inside("testproject")),
    Layout("published_site", {**site(), "pyproject.toml": PACKAGE}, SHOP, warning="calls itself a package"),
    Layout(
        "committed_virtualenv",
        {**site("src/"), "pyvenv.cfg": "", "lib/python3.11/site-packages/x/manage.py": manage("x.s")},
        inside("src"),
    ),
    Layout("node_modules", {**site("site/"), "node_modules/gyp/manage.py": manage("x.settings")}, inside("site")),
    Layout(
        "flask_beside_site", {"manage.py": FLASK_MANAGE, "wsgi.py": FLASK_WSGI, **site("backend/")}, inside("backend")
    ),
    Layout("byte_order_mark", {**site(), "manage.py": b"\xef\xbb\xbf" + manage().encode()}, SHOP),
    Layout("latin_1", {**site(), "shop/wsgi.py": b"# -*- coding: latin-1 -*-\n# caf\xe9\n" + wsgi().encode()}, SHOP),
    Layout("not_utf_8", {**site(), "shop/settings.py": b"# caf\xe9\n" + named().encode()}, SHOP),
    Layout("utf_16_requirements", {**site(), "requirements.txt": "django\n".encode("utf-16")}, SHOP),
    Layout(
        "library_pointed_at",
        {
            "tests/manage.py": manage("site.settings"),
            "tests/site/settings.py": SETTINGS,
            "tests/site/wsgi.py": wsgi("site.settings"),
            "app.json": '{"env": {"HEADWAITER_DIR": {"value": "tests"}}}',
        },
        ("tests", "site.wsgi:application", "site.settings"),
    ),
    Layout(
        "two_sites",
        {**site("api/"), **site("web/", "page")},
        inside("api"),
        ["HEADWAITER_DIR=web"],
        "There is a Django project in web/, too",
    ),
    Layout(
        "two_sites_one_served",
        {**site("api/"), **site("web/"), "Procfile": "web: cd web && gunicorn shop.wsgi"},
        inside("web"),
        ["HEADWAITER_DIR=api"],
        "There is a Django project in api/, too",
    ),
    Layout(
        "two_sites_one_chosen", {**site("api/"), **site("web/")}, inside("web"), config={"HEADWAITER_DIR": "./web/"}
    ),
]

MAIN = wsgi().replace("get_wsgi_application", "WSGIHandler").replace("application = ", "app = ")
ROOT_MAIN = (".", "main:app", "shop.settings")
APPLICATIONS = [
    Layout(
        "procfile_names_it",
        {**site(), "shop/heroku_wsgi.py": wsgi(), "Procfile": "web: gunicorn shop.heroku_wsgi --log-file -"},
        (".", "shop.heroku_wsgi:application", "shop.settings"),
        ["HEADWAITER_APP=shop.wsgi:application"],
    ),
    *(
        Layout(f"procfile_is_stale_{name}", {**site(), "Procfile": f"web: {command}\n"}, SHOP, warning=missing)
        for name, command, missing in [
            (
                "gunicorn",
                "gunicorn -c gunicorn_wsgi.conf.py old.wsgi --log-file=wsgi.log",
                "names old.wsgi,",
            ),
            ("uvicorn", "uvicorn old.asgi:application", "names old.asgi:application"),
            ("uwsgi", "uwsgi --http=:$PORT --module=old.wsgi:app", "names old.wsgi:app,"),
            ("granian", "granian old.wsgi:application --interface wsgi", "names old.wsgi:application"),
            ("headwaiter", "headwaiter shop.wsgi:app", "names shop.wsgi:app,"),
        ]
    ),
    *(
        Layout(f"not_a_{name}", {**site(), name: "web: gunicorn old.wsgi\n"}, SHOP, warning=f"git mv {name} Procfile")
        for name in ("procfile", "Procfile.txt")
    ),
    Layout("other_procfiles", {**site(), "Procfile.dev": "web : x\n", "Procfile.txt/": ""}, SHOP),
    Layout("procfile_beside_others", {**site(), "Procfile": "web: gunicorn shop.wsgi\n", "procfile": "web: x\n"}, SHOP),
    Layout(
        "space_before_colon",
        {**site(), "Procfile": "# web : x\nweb : gunicorn old.wsgi\nworker: celery : x\n"},
        SHOP,
        warning="doesn't see the process type web of the Procfile",
    ),
    *(
        Layout(f"procfile_names_no_module_{name}", {**site(), "Procfile": f"web: {command}\n"}, SHOP)
        for name, command in [
            ("file", "gunicorn --config wsgi.conf.py"),
            ("python", "gunicorn -c python:gunicorn_conf"),
            ("log", "gunicorn --access-logfile wsgi.log shop.wsgi"),
            ("path", 'gunicorn --pythonpath="$PWD/shop" wsgi:application'),
            ("attribute", "headwaiter shop.wsgi.application"),
            ("interface", "granian --interface wsgi shop.wsgi:application"),
        ]
    ),
    Layout(
        "procfile_names_a_variable_of_a_comprehension",
        {**site(), "shop/boot.py": "NAMES = [app for app in ()]\n", "Procfile": "web: headwaiter shop.boot:app\n"},
        SHOP,
        warning="names shop.boot:app,",
    ),
    Layout(
        "procfile_and_config_var_differ",
        {**site(), "shop/other.py": wsgi(), "Procfile": "web: headwaiter shop.wsgi:application\n"},
        (".", "shop.other:application", "shop.settings"),
        ["HEADWAITER_APP=shop.wsgi:application"],
        "the build found shop.other:application: the Procfile wins",
        {"HEADWAITER_APP": "shop.other"},
    ),
    Layout(
        "procfile_serves_asgi", {**site(), "shop/asgi.py": ASGI, "Procfile": "web: uvicorn shop.asgi:application"}, SHOP
    ),
    Layout(
        "literal_in_a_file_not_called_settings",
        {
            "manage.py": manage("conf.main"),
            "conf/main.py": "from .layers import *",
            "conf/layers.py": named("shop.serve.app"),
            "shop/serve.py": "app = object()",
        },
        (".", "shop.serve:app", "conf.main"),
    ),
    Layout(
        "literal_in_a_comment",
        {
            **site(),
            "shop/settings.py": SETTINGS + '# WSGI_APPLICATION = "old.wsgi.application"\n',
            "old/wsgi.py": wsgi(),
        },
        SHOP,
        ["HEADWAITER_APP=old.wsgi:application"],
        "more than one WSGI",
    ),
    Layout(
        "literal_is_stale",
        {**site(), "shop/settings.py": named("gone.wsgi.application")},
        SHOP,
        warning="names 'gone.wsgi.application'",
    ),
    Layout(
        "expression",
        {**site(), "shop/settings.py": SETTINGS + 'NAME = "shop"\nWSGI_APPLICATION = NAME + ".wsgi.application"\n'},
        SHOP,
    ),
    Layout("computed", {**site(), "shop/settings.py": SETTINGS + "WSGI_APPLICATION = find()\n"}, SHOP),
    Layout(
        "in_a_class",
        {**site(), "shop/settings.py": 'class Base(Configuration):\n    WSGI_APPLICATION = "shop.wsgi.application"\n'},
        SHOP,
    ),
    Layout(
        "two_literals",
        {**site(), "aaa/settings.py": named("aaa.wsgi.application"), "aaa/wsgi.py": wsgi("aaa.settings")},
        SHOP,
        ["HEADWAITER_APP=aaa.wsgi:application"],
        "more than one WSGI",
    ),
    Layout("beside_layered_settings", layered("config.settings.production", "config.settings.production"), PRODUCTION),
    Layout(
        "wsgi_in_root",
        {"manage.py": manage(), "shop/settings.py": SETTINGS, "wsgi.py": wsgi()},
        (".", "wsgi:application", "shop.settings"),
    ),
    Layout("main_in_root", {"manage.py": manage(), "shop/settings.py": SETTINGS, "main.py": MAIN}, ROOT_MAIN),
    Layout(
        "main_in_root_manage_in_package",
        {"shop/__init__.py": "", "shop/manage.py": manage(), "shop/settings.py": SETTINGS, "main.py": MAIN},
        ROOT_MAIN,
    ),
    Layout(
        "main_in_root_beside_another_project",
        {"shop/manage.py": manage(), "shop/settings.py": SETTINGS, "main.py": MAIN, **site("api/site/", "other")},
        ROOT_MAIN,
        ["HEADWAITER_DIR=api/site"],
        "There is a Django project in api/site/, too",
    ),
    Layout(
        "worker_package",
        {**site(), "celeryshop/wsgi.py": wsgi()},
        SHOP,
        ["HEADWAITER_APP=celeryshop.wsgi:application"],
        "more than one WSGI",
    ),
    Layout(
        "stale_copy_under_deploy",
        {**site(), "shop/settings.py": SETTINGS, "deploy/wsgi.py": wsgi()},
        SHOP,
        ["HEADWAITER_APP=deploy.wsgi:application"],
        "more than one WSGI",
    ),
    Layout("empty_stub_sorts_first", {**site(), "shop/settings.py": SETTINGS, "aaa/wsgi.py": ""}, SHOP),
    Layout(
        "package_that_binds_nothing",
        {"manage.py": manage(), "shop/settings.py": SETTINGS, "shop/wsgi/__init__.py": "", "shop/wsgi/app.py": wsgi()},
        (".", "shop.wsgi.app:application", "shop.settings"),
    ),
    Layout(
        "package_that_imports",
        {
            "manage.py": manage(),
            "shop/settings.py": SETTINGS,
            "wsgi/__init__.py": "from .app import application",
            "wsgi/app.py": wsgi(),
        },
        (".", "wsgi:application", "shop.settings"),
    ),
    Layout(
        "heroku_wsgi",
        {"manage.py": manage(), "shop/settings.py": SETTINGS, "shop/heroku_wsgi.py": wsgi()},
        (".", "shop.heroku_wsgi:application", "shop.settings"),
    ),
    Layout(
        "other_attribute",
        {**site(), "shop/settings.py": SETTINGS, "shop/wsgi.py": wsgi().replace("application = ", "app = ")},
        (".", "shop.wsgi:app", "shop.settings"),
    ),
    Layout("websockets_too", {**site(), "shop/asgi.py": ASGI}, SHOP),
    Layout(
        "from_the_root",
        {**site("shop/"), "shop/__init__.py": "", "shop/shop/settings.py": named("shop.shop.wsgi.application")},
        ("shop", "shop.shop.wsgi:application", "shop.settings"),
    ),
    Layout(
        "src_on_the_path",
        {**{f"src/{key}": text for key, text in site().items() if key != "manage.py"}, "manage.py": manage()},
        inside("src"),
        warning="so the site runs from there",
    ),
    Layout(
        "star_import_from_elsewhere",
        {**site(), "shop/wsgi.py": "from platform_of_ours import *\n"},
        SHOP,
        warning="from elsewhere",
    ),
    Layout(
        "chosen",
        {**site(), "shop/other.py": wsgi()},
        (".", "shop.other:application", "shop.settings"),
        ["HEADWAITER_APP=shop.wsgi:application"],
        config={"HEADWAITER_APP": "shop.other"},
    ),
]

DIFFERENT = "So that commands such as migrate"
SETTINGS_MODULES = [
    Layout(
        "manage_and_wsgi_differ",
        layered("config.settings.local", "config.settings.production"),
        PRODUCTION,
        ["DJANGO_SETTINGS_MODULE=config.settings.local"],
        DIFFERENT,
    ),
    Layout(
        "both_look_like_development",
        layered("config.settings.local", "config.settings.local"),
        LOCAL,
        ["DJANGO_SETTINGS_MODULE=config.settings.production"],
        "look like a developer's",
    ),
    Layout("development_without_sibling", site(settings="shop.settings"), SHOP),
    Layout(
        "config_var",
        layered("config.settings.local", "config.settings.local"),
        PRODUCTION,
        config={"DJANGO_SETTINGS_MODULE": "config.settings.production\n"},
    ),
    *(
        Layout(
            name,
            layered("config.settings.local", "config.settings.local", **{path: text}),
            PRODUCTION,
            ["DJANGO_SETTINGS_MODULE=config.settings.local"],
            DIFFERENT,
        )
        for name, path, text in [
            ("app_json", "app.json", '{"env": {"DJANGO_SETTINGS_MODULE": "config.settings.production"}}'),
            (
                "dockerfile",
                "Dockerfile",
                "FROM python\nENV A=1 \\\n    DJANGO_SETTINGS_MODULE=config.settings.production\n",
            ),
            (
                "dockerfile_stages",
                "Dockerfile",
                "ENV DJANGO_SETTINGS_MODULE config.settings.production\nFROM x\n"
                "ENV DJANGO_SETTINGS_MODULE config.settings.local\n",
            ),
            ("uwsgi_ini", "uwsgi.ini", "[uwsgi]\nenv = DJANGO_SETTINGS_MODULE=config.settings.production\n"),
            (
                "gunicorn_env",
                "Procfile",
                "web: gunicorn --env DJANGO_SETTINGS_MODULE=config.settings.production config.wsgi",
            ),
            ("inline_env", "Procfile", "web: DJANGO_SETTINGS_MODULE=config.settings.production gunicorn config.wsgi"),
        ]
    ),
    Layout(
        "stale_app_json",
        {**site(), "app.json": '{"env": {"DJANGO_SETTINGS_MODULE": "gone.settings"}}'},
        SHOP,
        warning="'gone.settings'",
    ),
    Layout("only_manage_names_it", {**site(), "shop/wsgi.py": wsgi(None)}, SHOP),
    Layout(
        "only_wsgi_names_it",
        {**site(), "manage.py": "from django.core.management import execute_from_command_line\n"},
        SHOP,
    ),
    Layout(
        "nobody_names_it",
        {
            **site(),
            "shop/wsgi.py": wsgi(None),
            "manage.py": "from django.core.management import execute_from_command_line\n",
        },
        SHOP,
        warning="Nothing names the settings module",
    ),
    Layout(
        "empty_package_is_no_settings",
        {**layered("config.settings", "config.settings.production")},
        PRODUCTION,
        warning="which is empty",
    ),
    Layout(
        "only_others_are_there",
        {
            "manage.py": manage("config.settings.own"),
            "config/wsgi.py": wsgi("config.settings.own"),
            "config/settings/__init__.py": "",
            "config/settings/dev.py": "from .base import *\n",
            "config/settings/base.py": SETTINGS,
            "config/settings/helpers.py": "import os\n",
            "config/settings/production.example.py": "from .base import *\n",
        },
        (".", "config.wsgi:application", None),
        ["DJANGO_SETTINGS_MODULE=config.settings.base", "DJANGO_SETTINGS_MODULE=config.settings.dev"],
        "config/wsgi.py and manage.py name the settings 'config.settings.own', which isn't in the repository",
    ),
    Layout(
        "name_as_seen_from_inside_a_package",
        {**site(), "shop/wsgi.py": wsgi("local"), "shop/local.py": SETTINGS},
        SHOP,
        warning="'local', which isn't in the repository",
    ),
    Layout(
        "several_lines",
        {**site(), "shop/wsgi.py": wsgi().replace('E", "', 'E",\n        # "old.settings",\n    "')},
        SHOP,
    ),
    Layout(
        "decoy_in_comment",
        {**site(), "shop/wsgi.py": '# os.environ["DJANGO_SETTINGS_MODULE"] = "old.settings"\n' + wsgi()},
        SHOP,
    ),
    Layout(
        "default_of_itself",
        {
            **site(),
            "shop/wsgi.py": wsgi(None).replace(
                "application =",
                'os.environ["DJANGO_SETTINGS_MODULE"] = os.environ.get("DJANGO_SETTINGS_MODULE", "shop.settings")\n'
                "application =",
            ),
        },
        SHOP,
    ),
    *(
        Layout(f"read_without_default_{name}", {**site(), "shop/wsgi.py": wsgi_with(f"{ENVIRON}{value}")}, SHOP)
        for name, value in [
            ("getenv", "os.getenv('DJANGO_SETTINGS_MODULE')"),
            ("subscript", "os.environ['DJANGO_SETTINGS_MODULE']"),
            ("none", "os.environ.get('DJANGO_SETTINGS_MODULE', None)"),
            ("empty", "os.environ.get('DJANGO_SETTINGS_MODULE', '')"),
            ("decouple", "config('DJANGO_SETTINGS_MODULE').strip()"),
            ("environ", "str(env('DJANGO_SETTINGS_MODULE'))"),
            ("text", "f\"{os.environ['DJANGO_SETTINGS_MODULE']}\""),
            ("name", "value; value = os.getenv('DJANGO_SETTINGS_MODULE')"),
        ]
    ),
    Layout(
        "read_without_default_then_layered",
        {
            **layered("config.settings.local", "x"),
            "config/wsgi.py": wsgi_with(f"{ENVIRON}os.getenv('DJANGO_SETTINGS_MODULE')"),
        },
        LOCAL,
        ["DJANGO_SETTINGS_MODULE=config.settings.production"],
        "look like a developer's, and there is config.settings.production",
    ),
    *(
        Layout(
            f"worked_out_at_start_{name}",
            {**layered("config.settings.local", "x"), "config/wsgi.py": wsgi_with(lines)},
            (".", "config.wsgi:application", None),
            ["DJANGO_SETTINGS_MODULE=config.settings.production", "DJANGO_SETTINGS_MODULE=config.settings.local"],
            f"works out its settings module when the site starts{which}",
        )
        for name, lines, which in [
            (
                "on_a_dyno",
                'env = "production" if os.environ.get("DYNO") else "local"\n' + ENVIRON + 'f"config.settings.{env}"',
                ": config.settings.production, unless",
            ),
            ("first_branch", branches("os.environ.get('DEBUG')"), ": config.settings.production, unless"),
            ("not_in", branches("'PRODUCTION' not in os.environ"), ": config.settings.local, unless"),
            ("compared", branches("os.getenv('ENV', 'dev').lower() == 'dev'"), ": config.settings.local, unless"),
            (
                "either",
                branches("os.getenv('A') or os.getenv('B') in ('x', 'y')"),
                ": config.settings.production, unless",
            ),
            ("name", "DEBUG = bool(os.getenv('DEBUG'))\n" + branches("not DEBUG"), ": config.settings.local, unless"),
            (
                "default",
                "mode = 'production' if os.getenv('A', 'x').strip() in {'y'} else 'local'\n"
                + ENVIRON
                + "os.getenv('DJANGO_SETTINGS_MODULE', f'config.settings.{mode}')",
                ": config.settings.local, unless",
            ),
            (
                "host",
                branches("socket.gethostname() == 'mine'"),
                ", such as config.settings.local, config.settings.prod",
            ),
        ]
    ),
    Layout(
        "worked_out_from_one_default",
        {
            **layered("config.settings.production", "x"),
            "config/wsgi.py": wsgi_with("env = os.getenv('ENV', 'local')\n" + ENVIRON + 'f"config.settings.{env}"'),
        },
        (".", "config.wsgi:application", None),
        ["DJANGO_SETTINGS_MODULE=config.settings.production", "DJANGO_SETTINGS_MODULE=config.settings.local"],
        "config.settings.local, unless a config var says otherwise. To choose: "
        "heroku config:set DJANGO_SETTINGS_MODULE=config.settings.production",
    ),
    Layout(
        "worked_out_without_default",
        {
            **layered("config.settings.production", "x"),
            "config/wsgi.py": wsgi_with(
                "env = 'local' if os.getenv('DEBUG') else os.getenv('ENV')\n" + ENVIRON + 'f"config.settings.{env}"'
            ),
        },
        (".", "config.wsgi:application", None),
        ["DJANGO_SETTINGS_MODULE=config.settings.production", "DJANGO_SETTINGS_MODULE=config.settings.local"],
        "when the site starts, such as config.settings.local. To choose: "
        "heroku config:set DJANGO_SETTINGS_MODULE=config.settings.production",
    ),
    Layout(
        "default_then_itself",
        {
            **site(),
            "shop/wsgi.py": wsgi_with(
                "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"
                f"if os.getenv('DJANGO_SETTINGS_MODULE'):\n    {ENVIRON}os.getenv('DJANGO_SETTINGS_MODULE')"
            ),
        },
        SHOP,
    ),
    Layout(
        "itself_or_in_an_exception_handler",
        {
            **site(),
            "shop/wsgi.py": wsgi_with(
                "try:\n    name = os.environ['DJANGO_SETTINGS_MODULE']\nexcept KeyError:\n    name = 'shop.settings'\n"
                + ENVIRON
                + "name"
            ),
        },
        SHOP,
    ),
    Layout(
        "worked_out_from_nothing",
        {**layered("config.settings.production", "x"), "config/wsgi.py": wsgi_with(ENVIRON + "find()")},
        (".", "config.wsgi:application", None),
        ["DJANGO_SETTINGS_MODULE=config.settings.production"],
        "when the site starts. To choose: heroku config:set DJANGO_SETTINGS_MODULE=config.settings.production",
    ),
    Layout(
        "manage_names_another_for_one_command",
        {
            **layered("config.settings.local", "config.settings.local"),
            "config/settings/for_tests.py": "from .base import *\n",
            "manage.py": manage("config.settings.local").replace(
                "    from", f"    if 'test' in sys.argv: {ENVIRON}'config.settings.for_tests'\n    from"
            ),
        },
        LOCAL,
        ["DJANGO_SETTINGS_MODULE=config.settings.production", "DJANGO_SETTINGS_MODULE=config.settings.for_tests"],
        "look like a developer's, and there is config.settings.production",
    ),
    Layout(
        "manage_differs_and_production_is_elsewhere",
        {**layered("config.settings.local", "config.settings.dev"), "config/settings/dev.py": "from .base import *\n"},
        (".", "config.wsgi:application", "config.settings.dev"),
        ["DJANGO_SETTINGS_MODULE=config.settings.production", "DJANGO_SETTINGS_MODULE=config.settings.local"],
        "look like a developer's, and there is config.settings.production",
    ),
    *(
        Layout(
            f"heroku_beside_{served}",
            {
                **layered(f"config.settings.{served}", f"config.settings.{served}"),
                "config/settings/heroku.py": "from .production import *\n",
            },
            (".", "config.wsgi:application", f"config.settings.{served}"),
            ["DJANGO_SETTINGS_MODULE=config.settings.heroku", *more],
            f"config.settings.{served} {kind}, and there is config.settings.heroku",
        )
        for served, kind, more in [
            ("local", "look like a developer's", ["DJANGO_SETTINGS_MODULE=config.settings.production"]),
            ("production", "are taken", []),
        ]
    ),
    Layout(
        "heroku_in_the_settings_package",
        {
            **layered("config.settings", "config.settings"),
            "config/settings/__init__.py": "from .base import *\n",
            "config/settings/heroku.py": "from .base import *\n",
        },
        (".", "config.wsgi:application", "config.settings"),
        ["DJANGO_SETTINGS_MODULE=config.settings.heroku"],
        "are taken, and there is config.settings.heroku",
    ),
    Layout("heroku_is_no_settings", {**site(), "shop/heroku.py": "import os\n"}, SHOP),
    Layout(
        "heroku_is_imported",
        {**site(), "shop/settings.py": named() + "from .heroku import *\n", "shop/heroku.py": SETTINGS},
        SHOP,
    ),
    Layout(
        "django_configurations",
        {**site(), "manage.py": configured(manage(), "Prod"), "shop/wsgi.py": configured(wsgi())},
        SHOP,
        warning="heroku config:set DJANGO_CONFIGURATION=Prod",
    ),
    Layout(
        "django_configurations_set",
        {**site(), "manage.py": configured(manage(), "Prod"), "shop/wsgi.py": configured(wsgi())},
        SHOP,
        config={"DJANGO_CONFIGURATION": "Prod"},
    ),
    *(
        Layout(
            f"django_configurations_{name}",
            {
                **site(),
                "manage.py": configured(manage(), "LocalDev"),
                "shop/wsgi.py": configured(wsgi(), in_wsgi),
                "shop/settings.py": named() + "".join(f"class {each}(Base): pass\n" for each in classes),
            },
            SHOP,
            warning=warning,
        )
        for name, in_wsgi, classes, warning in [
            ("local", "", ["LocalDev", "Production"], "LocalDev looks like a developer's, and there is Production."),
            ("dev_in_wsgi", "Dev", ["Dev", "Prod", "PROD"], "heroku config:set DJANGO_CONFIGURATION=Prod"),
            ("heroku", "Production", ["Production", "Heroku"], "Production is taken, and there is Heroku."),
            ("production", "Production", ["LocalDev", "Production"], None),
        ]
    ),
    Layout(
        "through_another_module",
        {**site(), "shop/wsgi.py": "from .server import application\n", "shop/server.py": wsgi()},
        SHOP,
    ),
]

LAYOUTS = [*WHERE, *APPLICATIONS, *SETTINGS_MODULES]

# Without Django: bin/detect fails with this in its message.
NOT_DJANGO: dict[str, tuple[Tree, str]] = {
    "empty": ({"README": ""}, "No Django site"),
    "flask": ({"manage.py": FLASK_MANAGE, "wsgi.py": FLASK_WSGI, "requirements.txt": "flask"}, "No Django"),
    "flask_that_mentions_django": (
        {"app.py": "# unlike DJANGO_SETTINGS_MODULE\n", "manage.py": "# no execute_from_command_line\n"},
        "No Django",
    ),
    "flask_on_waitress": (
        {"app.py": "from flask import Flask\napp = Flask(__name__)\n", "Procfile": "web: waitress-serve app:app\n"},
        "No Django",
    ),
    "nanodjango_that_nothing_names": (
        {"counter.py": NANODJANGO, "Procfile": "web: ./serve\n"},
        "headwaiter counter:app",
    ),
    "fastapi": ({"main.py": "from fastapi import FastAPI\napp = FastAPI()\n"}, "No Django"),
    "pyramid": (
        {"setup.py": "", "shop/wsgi.py": "from pyramid.paster import get_app\napplication = get_app('x.ini')\n"},
        "No Django",
    ),
    "node": ({"package.json": '{"scripts": {"start": "django"}}'}, "package.json"),
    "ruby": ({"Gemfile": "", "config.ru": ""}, "Gemfile"),
    "django_in_requirements_only": ({"requirements.txt": "Django==5.2", "etl.py": "import django\n"}, "No Django"),
    "library_with_wsgi_helper": (
        {"setup.py": "Framework :: Django", "lib/wsgi.py": "from django.core.wsgi import get_wsgi_application"},
        "No Dj",
    ),
    "vendored": (
        {"venv/lib/python3.12/site-packages/x/manage.py": manage(), "node_modules/a/manage.py": manage()},
        "No Django",
    ),
    "manage_is_a_directory": ({"manage.py/": ""}, "No Django"),
    "empty_manage": ({"manage.py": ""}, "No Django"),
}

# With Django, but no site to deploy: bin/detect passes, the finder refuses with this in its message.
NOT_SITES: dict[str, tuple[Tree, str]] = {
    "library_with_tests": (
        {"pyproject.toml": PACKAGE, **{f"tests/{k}": v for k, v in site().items()}},
        "is below tests/",
    ),
    "library_with_example": (
        {"pyproject.toml": PACKAGE, **{f"example/{k}": v for k, v in site().items()}},
        "HEADWAITER_DIR=example",
    ),
    "library_whose_manage_runs_tests": (
        {"manage.py": manage("tests.settings"), "tests/settings.py": SETTINGS},
        "settings of tests",
    ),
    "library_with_demo_package": (
        {"pyproject.toml": PACKAGE, **site(package="demoproj")},
        "example of a Django package",
    ),
    "library_with_test_project": (
        {"setup.cfg": "Framework :: Django", **site("test_project/")},
        "example of a Django package",
    ),
    "sandbox": (site("sandbox/"), "is below sandbox/"),
    "docs": (site("docs/tutorial/"), "is below docs/"),
    "project_template": (site("conf/project_template/"), "is below project_template/"),
    "startproject_template": (
        {"manage.py": manage("{{ project_name }}.settings"), "project_name/settings.py": SETTINGS},
        "placeholders",
    ),
    "cookiecutter": (site("{{cookiecutter.slug}}/"), "placeholders"),
    "points_nowhere": ({**site(), "app.json": '{"env": {"HEADWAITER_DIR": "gone"}}'}, "there is no such directory"),
    "points_outside": ({**site(), "app.json": '{"env": {"HEADWAITER_DIR": "../x"}}'}, "isn't a path inside"),
    "procfile_names_nothing_there": (
        {"etl.py": "import django\n", "Procfile": "web: headwaiter counter:app\n"},
        "a Procfile that names counter:app, which isn't in the repository",
    ),
    "points_at_no_site": (
        {**site(), "app.json": '{"env": {"HEADWAITER_DIR": "shop/static"}}', "shop/static/a.css": ""},
        "has no WSGI application",
    ),
}

# A Django site that can't be served: bin/detect passes, find_project refuses with this in its message.
REFUSED: dict[str, tuple[Tree, Mapping[str, str], str]] = {
    "asgi_only": (
        {**site(), "shop/wsgi.py": ASGI, "shop/settings.py": SETTINGS, "shop/asgi.py": ASGI},
        {},
        "We found shop/asgi.py",
    ),
    "asgi_package": (
        {"manage.py": manage(), "shop/settings.py": SETTINGS, "shop/asgi/__init__.py": ASGI},
        {},
        "shop/asgi/__init__.py",
    ),
    "channels": (
        {"manage.py": manage(), "shop/settings.py": SETTINGS + 'ASGI_APPLICATION = "shop.routing.application"'},
        {},
        "ASGI_APPLICATION in shop/settings.py",
    ),
    "no_entry_at_all": (
        {"manage.py": manage(), "shop/settings.py": SETTINGS},
        {},
        "Add shop/wsgi.py, in the root of the repository",
    ),
    "app_malformed": (site(), {"HEADWAITER_APP": "shop/wsgi.py"}, "that isn't a module and an attribute"),
    "app_without_module": (site(), {"HEADWAITER_APP": "gone.wsgi:application"}, "there is no module gone.wsgi"),
    "app_without_attribute": (site(), {"HEADWAITER_APP": "shop.wsgi:app"}, "shop/wsgi.py has no 'app'"),
    "app_is_asgi": (
        {**site(), "shop/asgi.py": ASGI},
        {"HEADWAITER_APP": "shop.asgi:application"},
        "makes an ASGI application",
    ),
    "app_is_code": (site(), {"HEADWAITER_APP": "$(touch x);`id`"}, "isn't a module"),
    "app_of_lines": (site(), {"HEADWAITER_APP": "a\nb"}, "isn't one line of text"),
    "app_of_bytes": (site(), {"HEADWAITER_APP": "\udcff\udcfe"}, "isn't a module"),
    "directory_gone": (site(), {"HEADWAITER_DIR": "gone"}, "there is no such directory"),
    "directory_outside": (site(), {"HEADWAITER_DIR": "../../etc"}, "isn't a path inside"),
    "directory_absolute": (site(), {"HEADWAITER_DIR": "/app"}, "isn't a path inside"),
    "settings_gone": (site(), {"DJANGO_SETTINGS_MODULE": "gone.settings"}, "there is no such module"),
    "settings_empty": (
        layered("config.settings.local", "config.settings.local"),
        {"DJANGO_SETTINGS_MODULE": "config.settings"},
        "is empty",
    ),
    "settings_malformed": (site(), {"DJANGO_SETTINGS_MODULE": "shop/settings.py"}, "there is no such module"),
}


def write(root: Path, tree: Tree) -> Path:
    """Make the tree below a directory; a path that ends in "/" is a directory."""
    for path, content in tree.items():
        target = root / path
        if path.endswith("/"):
            target.mkdir(parents=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    return root
