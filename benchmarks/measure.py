"""Timing: sides in turn, for several rounds; their ratio and its spread; the peak memory of programs."""

import multiprocessing
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

from handvae.base.errors import InputError

REPOSITORY = Path(__file__).resolve().parent.parent
POLL_S = 0.05

Result = TypeVar("Result")


class Spread(NamedTuple):
    """Median and extremes of some rounds."""

    median: float
    low: float
    high: float

    def text(self, digits: int = 2) -> str:
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"


def spread(values: Iterable[float]) -> Spread:
    values = list(values)
    return Spread(median(values), min(values), max(values))


@dataclass(frozen=True)
class Row:
    """A line of the page. A ratio is of one round, in which both sides are measured one after the other."""

    what: str
    measured: str
    against: str = ""  # the other side of the ratio, with its own number
    ratio: Spread | None = None
    held_to: str = ""
    peak_mb: float | None = None  # of the largest process


def ratios(above: Sequence[float], below: Sequence[float]) -> Spread:
    """The spread of above / below, round by round."""
    return spread(a / b for a, b in zip(above, below, strict=True))


def alternating(sides: Mapping[str, Callable[[], Result]], rounds: int, warm_up: int = 1) -> dict[str, list[Result]]:
    """The results of each side in each of the rounds, one side after the other in every round.

    Other work of the machine then slows all sides alike. The first `warm_up` rounds are not counted.
    """
    results: dict[str, list[Result]] = {name: [] for name in sides}
    for number in range(warm_up + rounds):
        for name, side in sides.items():
            result = side()
            results[name] += [result] * (number >= warm_up)
    return results


def apart(function: Callable[..., Result], *arguments: object) -> tuple[Result, float]:
    """The result of a module's function in a fresh process, and the peak memory of that process in MB."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_with_own_peak, function, arguments).result()


def _with_own_peak(function: Callable[..., Result], arguments: tuple) -> tuple[Result, float]:
    result = function(*arguments)
    return result, peak_mb("self")  # not getrusage's: that begins at what the parent had


class Finished(NamedTuple):
    seconds: float
    peak_mb: float  # of the largest process
    output: str


def command(arguments: Sequence[object], folder: Path, **environment: str) -> Finished:
    """Run a program of this repository in `folder` to its end. InputError with its last line if it fails."""
    start, peak = time.perf_counter(), 0.0
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            list(map(str, arguments)),
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        while process.poll() is None:
            peak = max([peak, *map(peak_mb, family(process.pid))])
            time.sleep(POLL_S)
        seconds = time.perf_counter() - start
        output.seek(0)
        text = output.read()
    if process.returncode:
        last = (text.strip().splitlines() or ["no output"])[-1]
        raise InputError(f"{' '.join(map(str, arguments[1:6]))}: expected to end well, found: {last}")
    return Finished(seconds, peak, text)


def peak_mb(pid: int | str) -> float:
    """The peak memory of a process so far (Linux); 0 where it has just ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def family(pid: int) -> Iterator[int]:
    """A process and all its descendants (Linux)."""
    children: dict[int, list[int]] = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            parent = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        children.setdefault(parent, []).append(int(entry))
    waiting = [pid]
    while waiting:
        yield (process := waiting.pop())
        waiting += children.get(process, [])
