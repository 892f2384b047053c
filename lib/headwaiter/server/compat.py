"""Does the installed Waitress have the inner parts that our server builds on?

Waitress calls them private (https://github.com/Pylons/waitress/issues/396) and may change them: an open pull request
adds a graceful stop of its own (https://github.com/Pylons/waitress/pull/499). What is missing is named, not guessed at.
"""

from __future__ import annotations

from types import FunctionType

import waitress.channel
import waitress.parser
import waitress.server
import waitress.task
import waitress.trigger

_METHODS: dict[type, str] = {
    waitress.channel.HTTPChannel: (
        "readable handle_read handle_close received send_continue service write_soon add_channel del_channel "
        "check_client_disconnected _flush_outbufs_below_high_watermark"
    ),
    waitress.server.TcpWSGIServer: (
        "handle_accept pull_trigger add_task fix_addr set_socket_options getsockname del_channel"
    ),
    waitress.task.WSGITask: "service start execute finish write build_response_header get_environment",
    waitress.task.ErrorTask: "service start execute finish write build_response_header",
    waitress.parser.HTTPRequestParser: "received get_body_stream close",
    waitress.trigger.trigger: "pull_trigger handle_read close",
}
_ATTRIBUTES: dict[type, str] = {
    waitress.channel.HTTPChannel: "task_class error_task_class parser_class request requests_lock outbuf_lock "
    "requests last_activity will_close close_when_flushed sent_continue connected server adj",
    waitress.server.TcpWSGIServer: "trigger accepting application task_dispatcher adj",
    waitress.task.WSGITask: "complete wrote_header close_on_finish content_length content_bytes_written "
    "chunked_response response_headers channel request version",
    waitress.parser.HTTPRequestParser: "completed error headers body_rcv adj headers_finished",
}


def missing_parts() -> list[str]:
    """Return the names of the parts that we need and that this Waitress lacks; empty when all are there."""
    missing = [
        f"{owner.__name__}.{name}()"
        for owner, names in _METHODS.items()
        for name in names.split()
        if not callable(getattr(owner, name, None))
    ]
    for owner, names in _ATTRIBUTES.items():
        known = _assigned_names(owner)
        missing += [f"{owner.__name__}.{name}" for name in names.split() if name not in known]
    return missing


def _assigned_names(owner: type) -> set[str]:
    names: set[str] = set()
    for parent in owner.__mro__:
        names |= set(vars(parent))
        initialise = vars(parent).get("__init__")
        if isinstance(initialise, FunctionType):
            names |= set(initialise.__code__.co_names)
    return names
