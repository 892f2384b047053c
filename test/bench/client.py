"""A plain HTTP client that measures: closed loop with threads, or open loop with random arrivals. Prints one JSON line.

Standard library only; started by load.py.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import threading
import time

WINDOW = 0.5  # seconds


def _percentile(values: list[float], share: int) -> float:
    ordered = sorted(values) or [0.0]
    return round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)], 3)


def _head(path: str, keep_alive: bool) -> bytes:
    connection = "keep-alive" if keep_alive else "close"
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n".encode()


def _body_length(head: bytes) -> int | None:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return None


def _read_answer(client: socket.socket) -> bool:
    """Read one whole answer; True for status 200."""
    data = b""
    while b"\r\n\r\n" not in data:
        block = client.recv(65536)
        if not block:
            return False
        data += block
    head, _, body = data.partition(b"\r\n\r\n")
    length = _body_length(head)
    read = len(body)
    while length is None or read < length:
        block = client.recv(65536)
        if not block:
            break
        read += len(block)
    return head[9:12] == b"200" and (length is None or read >= length)


class Tally:
    """When good answers came and how long they took, in milliseconds, and the number of bad ones."""

    def __init__(self) -> None:
        self.answers: list[tuple[float, float]] = []
        self.errors = 0

    def add(self, started: float, good: bool) -> None:
        now = time.perf_counter()
        if good:
            self.answers.append((now, (now - started) * 1000))
        else:
            self.errors += 1

    def usual_p95(self) -> float:
        """The median of the p95 of each half second: another program's short burst on this machine doesn't count."""
        windows: dict[int, list[float]] = {}
        for moment, latency in self.answers:
            windows.setdefault(int(moment / WINDOW), []).append(latency)
        found = [_percentile(values, 95) for values in windows.values() if len(values) >= 20]
        return _percentile(found, 50) if found else _percentile([latency for _, latency in self.answers], 95)

    def report(self, seconds: float) -> str:
        latencies = [latency for _, latency in self.answers]
        at = {f"p{share}": _percentile(latencies, share) for share in (50, 95, 99)}
        figures = {"rps": round(len(latencies) / seconds, 1), **at, "usual_p95": self.usual_p95()}
        return json.dumps({**figures, "ok": len(latencies), "errors": self.errors})


def _closed_client(options: argparse.Namespace, tally: Tally, until: float) -> None:
    head = _head(options.path, options.keep_alive)
    kept: socket.socket | None = None
    while time.perf_counter() < until:
        started = time.perf_counter()
        try:
            client = kept or socket.create_connection(("127.0.0.1", options.port), options.timeout)
            client.sendall(head)
            good = _read_answer(client)
        except OSError:
            good = False
        tally.add(started, good)
        if good and options.keep_alive:
            kept = client
        else:
            kept = None
            client.close()


def closed(options: argparse.Namespace) -> str:
    started = time.perf_counter()
    tallies = [Tally() for _ in range(options.clients)]
    until = started + options.seconds
    threads = [threading.Thread(target=_closed_client, args=(options, tally, until)) for tally in tallies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = Tally()
    for tally in tallies:
        whole.answers += tally.answers
        whole.errors += tally.errors
    return whole.report(time.perf_counter() - started)


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _exchange(streams: Streams, head: bytes) -> bool:
    reader, writer = streams
    writer.write(head)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = _body_length(answer)
    if length is None:
        await reader.read()
    else:
        await reader.readexactly(length)
    return answer[9:12] == b"200" and b"connection: close" not in answer.lower()


async def _one(options: argparse.Namespace, path: str, due: float, pool: list[Streams], tally: Tally) -> None:
    streams = None
    try:
        streams = pool.pop() if pool else await asyncio.open_connection("127.0.0.1", options.port)
        reusable = await asyncio.wait_for(_exchange(streams, _head(path, options.pool > 0)), 30)
    except (OSError, EOFError, asyncio.TimeoutError):
        tally.add(due, good=False)
        reusable = False
    else:
        tally.add(due, good=True)
    if reusable and len(pool) < options.pool:
        pool.append(streams)  # type: ignore[arg-type]
    elif streams:
        streams[1].close()


async def _poisson(options: argparse.Namespace) -> str:
    arrivals = random.Random(options.seed)
    tally, slow, tasks = Tally(), Tally(), []
    pool: list[Streams] = []
    started = due = time.perf_counter()
    while due < started + options.seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if arrivals.random() < options.slow_share:
            tasks.append(asyncio.create_task(_one(options, options.slow_path, due, pool, slow)))
        else:
            tasks.append(asyncio.create_task(_one(options, options.path, due, pool, tally)))
        due += arrivals.expovariate(options.rate)
    await asyncio.gather(*tasks)
    tally.errors += slow.errors
    return tally.report(time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=["closed", "poisson"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=2, help="closed: number of threads")
    parser.add_argument("--keep-alive", action="store_true", help="closed: keep the connections")
    parser.add_argument("--timeout", type=float, default=5.0, help="closed: seconds to wait for an answer")
    parser.add_argument("--rate", type=float, default=100.0, help="poisson: requests a second")
    parser.add_argument("--seed", type=int, default=1, help="poisson: the same seed gives the same arrivals")
    parser.add_argument("--pool", type=int, default=0, help="poisson: connections kept")
    parser.add_argument("--slow-path", default="/", help="poisson: what some requests ask for, which aren't measured")
    parser.add_argument("--slow-share", type=float, default=0.0, help="poisson: the share of those requests")
    options = parser.parse_args()
    print(closed(options) if options.mode == "closed" else asyncio.run(_poisson(options)))


if __name__ == "__main__":
    main()
