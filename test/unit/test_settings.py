"""Settings: who wins, what is refused, and that every problem is told at once."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from headwaiter import settings, usage
from headwaiter.addresses import Address
from headwaiter.project import Project
from headwaiter.server import worker
from headwaiter.settings import Settings, SettingsError
from hypothesis import given
from hypothesis import strategies as st
from waitress.adjustments import Adjustments

HERE = Project(directory=Path("/app"))
DYNO = {"DYNO": "web.1", "PORT": "5000"}


def load(*argv: str, env: dict[str, str] | None = None, project: Project = HERE) -> Settings:
    return settings.load(argv, env or {}, project.as_settings())


def problems(*argv: str, env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(*argv, env=env)
    return caught.value.problems


def test_a_flag_wins_over_a_config_var_and_that_over_the_default() -> None:
    """The nearer to the command, the stronger."""
    env = {"HEADWAITER_DRAIN_SECONDS": "7"}
    assert load().drain_seconds == 25
    assert load(env=env).drain_seconds == 7
    assert load("--drain-seconds=3", env=env).drain_seconds == 3


def test_the_project_fills_in_what_nobody_gave() -> None:
    """The build's findings stand below flags and config vars."""
    built = Project(Path("/app/backend"), "shop.wsgi:application", "shop.settings")
    found = load(project=built)
    assert (found.application, found.chdir, found.settings_module) == (
        "shop.wsgi:application",
        "/app/backend",
        "shop.settings",
    )
    assert load("--chdir=/else", project=built).chdir == "/else"
    assert load(env={"DJANGO_SETTINGS_MODULE": "other"}, project=built).settings_module == "other"


def test_another_application_than_the_builds_keeps_its_own_directory() -> None:
    """A Procfile that names another application means it from where it stands."""
    built = Project(Path("/app/backend"), "shop.wsgi:application", "shop.settings")
    found = load("other.wsgi:application", project=built)
    assert (found.chdir, found.settings_module) == (None, None)


def test_every_option_has_a_config_var_of_the_same_name() -> None:
    """One rule to remember, with the exceptions that Django and Heroku named before us."""
    options = settings.our_options() | settings.waitress_options()
    odd = {name: option.variable for name, option in options.items() if option.variable != f"HEADWAITER_{name.upper()}"}
    assert odd == {"processes": "WEB_CONCURRENCY", "settings_module": "DJANGO_SETTINGS_MODULE"}


def test_web_concurrency_counts_only_when_the_user_set_it() -> None:
    """heroku/python sets it from memory alone, which knows nothing of database connections."""
    env = {"WEB_CONCURRENCY": "2"}
    assert load(env=env).processes == 2
    assert load(env={**env, "WEB_CONCURRENCY_SET_BY": "heroku/python"}).processes is None


def test_every_problem_is_told_at_once() -> None:
    """Nobody likes to fix and deploy five times."""
    found = problems(
        "--thrads=3", "a:b", "c:d", "--drain-seconds=x", "--max-r=3", "--preload=1", env={"HEADWAITER_THREADS": "0"}
    )
    assert found == [
        "--preload=1: takes no value; write --preload or --no-preload.",
        "--thrads: no such option. Did you mean --threads?",
        "option --max-r not a unique prefix.",
        "c:d: one application at a time, and a:b is already it.",
        "HEADWAITER_THREADS=0 (config var): must be between 1 and 4096 threads; write for example 5.",
        "--drain-seconds=x: isn't a number of seconds; write for example 25.",
    ]


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "", "1e9", "25s"])
def test_seconds_are_a_number_within_reason(text: str) -> None:
    """A drain for ever, or until not-a-number, is refused."""
    assert len(problems(f"--drain-seconds={text}")) == 1


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ((), ("*", 8080)),
        (("--port=9000",), ("*", 9000)),
        (("--host=127.0.0.1",), ("127.0.0.1", 8080)),
        (("--listen=*:81",), ("*", 81)),
        (("--listen", "[::1]:81"), ("::1", 81)),
        (("--listen=localhost",), ("localhost", 8080)),
        (("--unix-socket=/tmp/x.sock",), "/tmp/x.sock"),
    ],
)
def test_where_to_listen(argv: tuple[str, ...], expected: Address) -> None:
    """The options of waitress-serve mean what they mean there."""
    assert load(*argv).listen == (expected,)


def test_listen_adds_up_and_takes_the_port_of_the_dyno() -> None:
    """Several --listen are several sockets; one without a port listens on PORT."""
    assert load("--listen=127.0.0.1:1", "--listen=*", env=DYNO).listen == (("127.0.0.1", 1), ("*", 5000))


def test_port_is_read_and_a_flag_wins() -> None:
    """PORT is Heroku's word for where to listen."""
    assert load(env=DYNO).listen == (("*", 5000),)
    assert load("--port=1", env=DYNO).listen == (("*", 1),)


def test_a_flag_for_the_place_silences_config_vars_for_it() -> None:
    """--listen and HEADWAITER_PORT would exclude each other, but the flag is stronger."""
    assert load("--listen=*:1", env={"HEADWAITER_PORT": "2"}).listen == (("*", 1),)
    assert problems("--listen=*:1", "--port=2") == ["--listen=*:1 and --port=2: exclude each other; keep one."]


@pytest.mark.parametrize("port", ["", "abc", "99999", "-1"])
def test_a_web_dyno_without_a_port_says_so(port: str) -> None:
    """The router would never find port 8080."""
    (problem,) = problems(env={"DYNO": "web.1", "PORT": port})
    assert problem.startswith("PORT")


def test_a_missing_port_matters_only_where_it_is_used() -> None:
    """Elsewhere it's waitress-serve's 8080; `plan` on a one-off dyno needs none."""
    assert load(env={"DYNO": "run.1"}).listen == (("*", 8080),)
    assert settings.load([], {"DYNO": "web.1"}, HERE.as_settings(), serving=False).listen == (("*", 8080),)


def test_the_router_is_trusted_on_a_dyno_only() -> None:
    """Elsewhere anybody could send these headers; the host is never believed."""

    def in_force(*argv: str, env: dict[str, str] | None = None) -> Adjustments:
        return worker.adjustments(load(*argv, env=env), threads=1)

    assert in_force().trusted_proxy is None
    trusted = in_force(env=DYNO)
    assert trusted.trusted_proxy == "*"
    assert trusted.trusted_proxy_headers == {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-port"}
    assert in_force("--no-trust-proxy", env=DYNO).trusted_proxy is None
    assert in_force("--trust-proxy").trusted_proxy == "*"
    assert in_force("--trusted-proxy-count=2", env=DYNO).trusted_proxy_count == 2


def test_waitress_options_are_those_that_somebody_chose() -> None:
    """Their defaults are the server's own, and `--help` names them all."""
    assert load(env=DYNO).waitress == {}
    assert load(env={"HEADWAITER_BACKLOG": "9"}).waitress == {"backlog": 9}
    words = usage.help_text().split()
    assert all(option.flag in words for option in settings.waitress_options().values())


def test_help_needs_no_waitress(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what people call when something is missing."""
    monkeypatch.setitem(sys.modules, "waitress.adjustments", None)
    text = usage.help_text()
    assert "--drain-seconds" in text
    assert "waitress isn't installed for this Python. Add it: pip install waitress." in " ".join(text.split())


def test_waitress_checks_its_own_options_together() -> None:
    """What Waitress refuses is told like the rest."""
    (problem,) = problems("--trusted-proxy-headers=x-forwarded-for")
    assert "trusted_proxy_headers has no meaning" in problem


def test_every_option_of_the_installed_waitress_passes_through() -> None:
    """By introspection: a new Waitress brings its new options along."""
    values = {int: "7", str: "x"}
    for name, cast in Adjustments._params:
        if name in ("sockets", "trusted_proxy_count", "trusted_proxy_headers", "port", "host", "listen"):
            continue
        option = settings.our_options().get(name) or settings.waitress_options()[name]
        flag = option.flag if option.switch else f"{option.flag}={values.get(cast, '7')}"
        found = load(flag)
        kept = found.waitress.get(name, getattr(found, name, None))
        assert kept is not None or name == "unix_socket", name
        if option.switch:
            assert load(f"--no-{option.flag[2:]}") != load(option.flag), name


def test_abbreviations_and_separate_values_work_as_in_waitress_serve() -> None:
    """getopt allows both, and Procfiles use them."""
    assert load("--thr", "3", "a:b", "--channel-t", "95").threads == 3
    assert load("a:b", "--listen=*:1", "--threads", "2", "--listen=*:2").listen == (("*", 1), ("*", 2))


@pytest.mark.parametrize(
    ("argv", "env", "word"),
    [
        (("--drain-seconds=60",), DYNO, "drain_seconds"),
        (("--channel-timeout=60",), DYNO, "channel_timeout"),
        ((), {"HEADWAITER_DRAIN_SECOND": "3"}, "HEADWAITER_DRAIN_SECONDS?"),
    ],
)
def test_settings_that_hardly_mean_what_they_say_are_pointed_out(
    argv: tuple[str, ...], env: dict[str, str], word: str
) -> None:
    """They work, so it's advice and no error."""
    (sentence,) = load(*argv, env=env).advice
    assert word in sentence


def test_the_build_packs_own_config_vars_are_left_alone() -> None:
    """Only near misses are pointed out: other parts have HEADWAITER_* variables too."""
    assert load(env={"HEADWAITER_WSGI_APPLICATION_DIRECTORY": "x"}).advice == ()


@pytest.mark.parametrize(
    ("asked", "told"), [("shop.wsgi:application", False), ("shop.wsgi", False), ("", False), ("shop.other:app", True)]
)
def test_a_choice_that_came_after_the_build_is_told(asked: str, told: bool) -> None:
    """Setting HEADWAITER_APP restarts the dynos with the old slug: without a word that looks like a mistake of ours."""
    advice = load("shop.wsgi:application", env={"HEADWAITER_APP": asked}).advice
    assert bool(advice) == told
    assert not told or "deploy again" in advice[0]


@given(
    st.lists(st.text(max_size=30), max_size=5),
    st.dictionaries(
        st.sampled_from([option.variable for option in settings.our_options().values()] + ["PORT", "DYNO"]),
        st.text(max_size=10),
    ),
)
def test_any_input_is_taken_or_refused_with_a_settings_error(argv: list[str], env: dict[str, str]) -> None:
    """No input makes a traceback, and what is taken is whole."""
    try:
        found = settings.load(argv, env, HERE.as_settings())
    except SettingsError as error:
        assert error.problems
    else:
        assert replace(found) == found
        assert found.drain_seconds >= 0


@given(st.integers(1, 4096))
def test_what_is_written_is_what_is_read(threads: int) -> None:
    """Numbers survive the way through a flag and through a config var."""
    assert load(f"--threads={threads}").threads == threads
    assert load(env={"HEADWAITER_THREADS": str(threads)}).threads == threads


@pytest.mark.parametrize(
    ("argv", "env", "problem"),
    [
        ((), {"PORT": "9" * 5000}, "PORT=9"),
        (("--listen=127.0.0.1:" + "9" * 5000,), {}, "--listen="),
        (
            (),
            {"HEADWAITER_THREADS": "4\nheadwaiter at=ready"},
            "HEADWAITER_THREADS=4\\nheadwaiter at=ready (config var)",
        ),
        ((), {"HEADWAITER_IDENT": "x\r\nSet-Cookie: a=b"}, "HEADWAITER_IDENT=x\\r\\nSet-Cookie: a=b"),
        ((), {"HEADWAITER_RECV_BYTES": "0"}, "HEADWAITER_RECV_BYTES=0 (config var): must be between 1 and"),
        ((), {"HEADWAITER_BACKLOG": "9" * 30}, "HEADWAITER_BACKLOG=9"),
        ((), {"HEADWAITER_DB_PLAN": "x" * 1_000_000 + "\nx"}, "HEADWAITER_DB_PLAN=x"),
        (("--port=65536",), {}, "--port=65536: must be between 0 and 65535."),
    ],
)
def test_hostile_values_are_one_short_printable_line(argv: tuple[str, ...], env: dict[str, str], problem: str) -> None:
    """Nothing a config var holds can forge a log line, fill the log or make a traceback."""
    (found,) = problems(*argv, env=env)
    assert found.startswith(problem)
    assert found.isprintable()
    assert len(found) < 1_100
