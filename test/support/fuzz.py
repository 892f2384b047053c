"""Sends broken requests to a real headwaiter: make fuzz [FUZZ_OPTIONS="--seconds=60 --seed=N --max-requests=300"]

The inputs are those of request_cases.py: cut, joined, repeated, and sprinkled with what parsers stumble over. They come
in pieces, whole, half-closed or reset. While they come, the server must answer or close each of them, answer a healthy
client, and replace its workers after so many requests. Afterwards it must rest and have logged no traceback. What
fails is printed at once, with its input; SIGTERM and Ctrl-C end the run early, with its server.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import request_cases
from boot import Server, boot, children, eventually

HERE = Path(__file__).parent
PATIENCE = 10.0  # seconds; the server waits for nothing once the client has ended its side
CLIENTS = 8
SEEDS = [case.data for case in request_cases.CASES if len(case.data) < 2000]
PIECES = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b";", b"=", b'"', b"\\", b"%", b"#", b"?", b"//", b"\x7f",
    b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Host: a\r\n", b"Expect: 100-continue\r\n",
    b"Connection: close\r\n", b"HTTP/1.1", b"HTTP/1.0", b"0\r\n\r\n", b"5\r\nhello\r\n", b"ffffffffffffffff\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"a" * 9000, b" " * 9000, b"a:b\r\n" * 101,
]  # fmt: skip


def mutated(chance: random.Random) -> bytes:
    """Return a seed after a few changes."""
    data = bytearray(chance.choice(SEEDS))
    for _ in range(chance.choice([0, 1, 1, 2, 3, 5, 8])):
        at = chance.randint(0, len(data))
        to = min(len(data), at + chance.choice([1, 1, 2, 5, 20]))
        change = chance.randrange(6)
        if change == 0:
            data[at:at] = chance.choice(PIECES)
        elif change == 1:
            del data[at:to]
        elif change == 2:
            data[at:to] = data[at:to] * chance.choice([2, 3, 50])
        elif change == 3:
            data[at:to] = chance.randbytes(to - at)
        elif change == 4:
            data[at:] = chance.choice(SEEDS)
        else:
            data += chance.choice(SEEDS)
    return bytes(data)


def attack(port: int, data: bytes, chance: random.Random) -> None:
    """Send `data` in one of many ways. Raises TimeoutError when the server neither answers nor closes in time."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        try:
            for piece in pieces(data, chance):
                client.sendall(piece)
            if chance.random() < 0.1:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return  # the reset comes with the close
            client.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + PATIENCE
            while client.recv(65536):
                if time.monotonic() > deadline:
                    raise TimeoutError("the answer doesn't end")
        except TimeoutError:
            raise
        except OSError:
            return  # closed, while we were still talking


def pieces(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """Cut `data` up, most often into one piece; wait a little between some."""
    if chance.random() < 0.6:
        yield data
        return
    size = chance.choice([1, 3, 50, 1000]) if len(data) < 300 else chance.choice([50, 1000])
    for start in range(0, len(data), size):
        yield data[start : start + size]
        if chance.random() < 0.05:
            time.sleep(chance.random() * 0.01)


class Fuzzer:
    """Several hostile clients and a healthy one, until the time is over or something failed."""

    def __init__(self, server: Server, seconds: float, seed: int) -> None:
        self.server = server
        self.deadline = time.monotonic() + seconds
        self.seed = seed
        self.sent = self.healthy = 0
        self.slowest = 0.0  # seconds, of the healthy client
        self.failures: list[str] = []

    def run(self) -> None:
        """Attack, then see that the server rests."""
        threads = [threading.Thread(target=self._attack, args=(number,)) for number in range(CLIENTS)]
        threads.append(threading.Thread(target=self._ask))
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:
            self.deadline = 0.0
        if not self.failures:
            self._check_rest()
        for words in ("Traceback", "Unexpected exception"):
            self._fail(*self.server.lines(words)[:3])
        self._fail(*(line for line in self.server.lines("at=worker-exit") if "status=0" not in line))

    def _fail(self, *failures: str) -> None:
        self.failures += failures
        print(*failures, sep="\n", end="\n" if failures else "", flush=True)

    def summary(self) -> str:
        """What was done, in one line."""
        drains = len(self.server.lines("at=drain "))
        return (
            f"seed {self.seed}: {self.sent} inputs, {drains} drains, {self.healthy} healthy requests, "
            f"the slowest {self.slowest:.2f} s, {len(self.failures)} failures"
        )

    def _goes_on(self) -> bool:
        return not self.failures and time.monotonic() < self.deadline

    def _attack(self, number: int) -> None:
        chance = random.Random(f"{self.seed}-{number}")
        while self._goes_on():
            data = mutated(chance)
            try:
                attack(self.server.port, data, chance)
            except OSError as error:
                self._fail(f"seed {self.seed}, client {number}: {error!r} after {data!r}")
            self.sent += 1

    def _ask(self) -> None:
        while self._goes_on():
            started = time.monotonic()
            try:
                answer = self.server.get("/", timeout=PATIENCE)
                if (answer.status, answer.body) != (200, b"hello"):
                    self._fail(f"the healthy client got {answer}")
            except OSError as error:
                self._fail(f"the healthy client got {error!r}")
            self.slowest = max(self.slowest, time.monotonic() - started)
            self.healthy += 1
            time.sleep(0.01)

    def _check_rest(self) -> None:
        def rests() -> bool:
            before = self._cpu_ticks()
            time.sleep(1)
            return self._cpu_ticks() - before <= 10  # hundredths of a second, of all processes

        try:
            eventually(rests, "a server without clients that needs hardly any CPU")
        except AssertionError as error:
            self._fail(str(error))

    def _cpu_ticks(self) -> int:
        ticks = 0
        for pid in [self.server.pid, *children(self.server.pid)]:
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks


def fuzz(seconds: float, *, seed: int, max_requests: int = 3000, burn: bool = False) -> Fuzzer:
    """Boot two workers, fuzz them for `seconds`, and return what happened.

    A worker is replaced after `max_requests`; `burn` keeps a CPU busy beside them.
    """
    options = ("--processes=2", "--threads=2", f"--max-requests={max_requests}", "site_app:application")
    with contextlib.ExitStack() as stack:
        if burn:
            burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(burner.wait)
            stack.callback(burner.kill)
        server = stack.enter_context(boot(HERE, *options, env={"HEADWAITER_TRUST_PROXY": "0"}))
        fuzzer = Fuzzer(server, seconds, seed)
        try:
            fuzzer.run()
        finally:
            print(fuzzer.summary(), flush=True)
        if server.stop() != 0:
            fuzzer._fail("the server didn't end with status 0")
        return fuzzer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--max-requests", type=int, default=3000, help="that a worker answers before it is replaced")
    parser.add_argument("--burn", action="store_true", help="keep a CPU busy beside it")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception: the server ends with its `with` block
    fuzzer = fuzz(options.seconds, seed=options.seed, max_requests=options.max_requests, burn=options.burn)
    return 1 if fuzzer.failures else 0


if __name__ == "__main__":
    sys.exit(main())
