"""Where a thread is, as a line of the log. What it's for is tested with a site: integration/test_slow_request.py."""

from __future__ import annotations

import threading

from headwaiter.server import stack


def test_the_innermost_call_comes_first_and_a_deep_stack_is_cut() -> None:
    """A thread that has ended is nowhere."""
    gate, inside = threading.Event(), threading.Event()

    def deep(calls: int) -> None:
        if calls:
            deep(calls - 1)
        else:
            wait_for_it()

    def wait_for_it() -> None:
        inside.set()
        gate.wait()

    thread = threading.Thread(target=deep, args=(100,))
    thread.start()
    inside.wait()
    calls = stack.of_thread(thread.ident).split(" < ")
    gate.set()
    thread.join()
    names = [call.rpartition(" ")[2] for call in calls]
    assert names.index("wait_for_it") < names.index("deep")
    assert len(calls) == stack.CALLS
    assert stack.of_thread(thread.ident) == stack.of_thread(None) == ""
