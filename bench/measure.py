"""How every speed here is measured: contenders by turns, each in a process of its own, on the same work.

    contest({"sopan": partial(make_ours, …), "gensim": partial(make_peer, …)}, rounds=5)

A contender is made once (imports, loading, compiling) and warmed up; then all do the same work in turn, round
by round, so that whatever else the machine is doing troubles them alike. While one works, the others sleep.
A round's ratio is of its own two times; what is reported is the median of the rounds' ratios.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from statistics import median
from typing import Any, NamedTuple, TypeAlias

Work: TypeAlias = Callable[[int], Any]
"""Does the work of one round, whose number it is given (-1: warming up), and returns what it did."""
Make: TypeAlias = Callable[[], Work]
"""Called in the contender's own process; a function of a module, or a `functools.partial` of one."""


class Contest(NamedTuple):
    """What a contest found.

    Args:
        seconds: by contender, of each round.
        results: by contender, what its `Work` returned, of each round.
    """

    seconds: dict[str, list[float]]
    results: dict[str, list[Any]]

    def ratio(self, ours: str, peer: str) -> float:
        """Say how many times as long the peer took: the median over the rounds."""
        pairs = zip(self.seconds[ours], self.seconds[peer], strict=True)
        return median(theirs / own for own, theirs in pairs)

    def median(self, name: str) -> float:
        """Return a contender's median seconds."""
        return median(self.seconds[name])


def contest(contenders: Mapping[str, Make], *, rounds: int = 5, warm_up: int = 1) -> Contest:
    """Let contenders work by turns.

    Args:
        contenders: by name.
        rounds: how often each does the work, timed.
        warm_up: how often each does it before, untimed.

    Raises:
        RuntimeError: a contender failed; its traceback is the message.
    """
    spawn = multiprocessing.get_context("spawn")
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    results: dict[str, list[Any]] = {name: [] for name in contenders}
    lines, processes = {}, []
    try:
        for name, make in contenders.items():
            lines[name], far = spawn.Pipe()
            processes.append(spawn.Process(target=_serve, args=(make, far), daemon=True))
            processes[-1].start()
            far.close()
            for _ in range(warm_up):
                _ask(name, lines[name], -1)
        for number in range(rounds):
            for name, line in lines.items():
                spent, result = _ask(name, line, number)
                seconds[name].append(spent)
                results[name].append(result)
                print(f"  round {number + 1}: {name} {spent:.3f} s", file=sys.stderr, flush=True)
    finally:
        for process in processes:
            process.terminate()
            process.join()
    return Contest(seconds, results)


def _serve(make: Make, line: Connection) -> None:
    """Work whenever asked to; tell how long that took."""
    import traceback  # noqa: PLC0415

    try:
        work = make()
        while True:
            number = line.recv()
            started = time.perf_counter()
            result = work(number)
            line.send((time.perf_counter() - started, result))
    except EOFError:
        return
    except Exception:  # told to the one who asked
        line.send(traceback.format_exc())


def _ask(name: str, line: Connection, number: int) -> tuple[float, Any]:
    line.send(number)
    try:
        answer = line.recv()
    except EOFError:
        raise RuntimeError(f"{name} died") from None
    if isinstance(answer, str):
        raise RuntimeError(f"{name} failed:\n{answer}")
    spent, result = answer
    return spent, result


def report(
    bench: str,
    *,
    peer_name: str,
    ours: float,
    peer: float | None,
    ratio: float | None,
    bar: float | None,
    unit: str,
    limit: float | None = None,
    ratio_to_limit: float | None = None,
    **more: Any,
) -> None:
    """Print one line of JSON: what `bench/run.py` gathers.

    Args:
        bench: the measurement.
        peer_name: against whom.
        ours, peer: in `unit`; no peer: None.
        ratio: how many times better ours is, whichever way `unit` counts; None without a peer.
        bar: the ratio that was aimed at; None: none was.
        unit: such as `texts/s` or `ms`.
        limit: what the machine could do at most, in `unit`; None: not known.
        ratio_to_limit: our share of it.
        **more: whatever else a reader needs: rounds, texts, precision, quality.
    """
    numbers = {"ours": ours, "peer": peer, "ratio": ratio, "bar": bar, "limit": limit}
    rounded = {name: None if value is None else float(f"{value:.4g}") for name, value in numbers.items()}
    share = None if ratio_to_limit is None else float(f"{ratio_to_limit:.3g}")
    print(
        json.dumps(
            {"bench": bench, "peer_name": peer_name, **rounded, "ratio_to_limit": share, "unit": unit} | more
        ),
        flush=True,
    )


def table(title: str, rows: list[tuple[str, ...]]) -> None:
    """Print rows of words in columns; the first row names them."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print(f"\n{title}")
    for row in rows:
        print("  " + "  ".join(word.rjust(width) for word, width in zip(row, widths, strict=True)))
