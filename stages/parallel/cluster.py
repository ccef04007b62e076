"""Rows as tasks of Ray: on this machine, or on the cluster of RAY_ADDRESS if all its nodes see this folder."""

import importlib.util
import math
import os
import re
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from handvae.base.errors import InputError
from stages.parallel import processes
from stages.parallel.clones import GRID

RETRIES = 3  # of a row whose worker is lost; an error of its own is not tried again
STOP = GRID / "stop"


class Outcome(NamedTuple):
    """How a row ended: `error` is empty on success; `ran` is false if it was only taken from the cache."""

    row: str
    seconds: float
    ran: bool
    error: str


class Unshared(NamedTuple):
    host: str


def refuse_if_impossible(workers: int | None, cores: int) -> None:
    """InputError if Ray or the cluster of RAY_ADDRESS is missing, or there are too few cores for so many workers."""
    if importlib.util.find_spec("ray") is None:
        remedy = "`pip install -r requirements.in -c requirements.txt`, or --workers 1, one row after the other"
        raise InputError(f"stages.grid: several workers need Ray, which is not installed: {remedy}")
    if address := os.environ.get("RAY_ADDRESS"):
        _refuse_if_silent(address)
    elif workers and workers > cores:
        raise InputError(f"--workers {workers}: expected at most the {cores} cores that there are, one a worker")


def _refuse_if_silent(address: str) -> None:
    """InputError if nothing answers at the address, for which Ray itself would wait minutes."""
    host, _, port = address.rpartition(":")
    try:
        if address != "auto":
            socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise InputError(f"RAY_ADDRESS: expected host:port of `ray start --head`, found {address}: {error}") from error


def connect(workers: int | None, rows: int, cores: int, on_gpu: bool) -> tuple[int, float]:
    """Start Ray, or join RAY_ADDRESS. Returns the number of workers and the share of a GPU of each (0: none is used).

    There are no more workers than `rows`.
    """
    # messages of Ray go to its logs, those of a row to .grid/logs
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    os.environ |= {processes.MARK: str(Path.cwd())}  # Ray's processes too
    import ray

    ray._private.worker.print_to_stdstream = _print_lost_worker  # there is no public way
    quiet = {"log_to_driver": False, "logging_level": "critical"}
    address = os.environ.get("RAY_ADDRESS")
    # the smallest store: results are short texts
    own = {"num_cpus": min(workers or cores, rows), "object_store_memory": 80 << 20, "include_dashboard": False}
    try:
        ray.init(address=address or "local", **({} if address else own), **quiet)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        trouble = f"RAY_ADDRESS={address}: no Ray cluster answers" if address else "Ray does not start; try --workers 1"
        raise InputError(f"{trouble}: {str(error).splitlines()[0]}") from error
    resources = ray.cluster_resources()
    cpus, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0)) if on_gpu else 0
    workers = min(workers or min(gpus, cpus) or cpus, rows)
    if workers > cpus or not cpus:
        raise InputError(f"{workers} workers: expected at most the {cpus} cores of the Ray cluster, one a worker")
    return workers, 1 / math.ceil(workers / gpus) if gpus else 0.0


def _print_lost_worker(message: dict, **_: object) -> None:
    """In place of Ray's long paragraphs, one line for a lost worker."""
    if left := re.search(r"(\d+) retries remaining", " ".join(message["lines"])):
        print(f"a worker was lost; its row goes on in another ({left[1]} retries left)", file=sys.stderr, flush=True)


def disconnect() -> None:
    """End Ray, or leave the cluster."""
    import ray

    ray.shutdown()


@contextmanager
def _lost_in_one_line() -> Iterator[None]:
    import ray

    try:
        yield
    except ray.exceptions.RayError as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"Ray was lost, finished rows are kept, the same command goes on: {reason}") from error


@_lost_in_one_line()
def run_rows(
    home: Path,
    clones: Sequence[Path],
    rows: Sequence[tuple[str, list[str]]],
    gpu_share: float,
    stopped: Callable[[], bool],
    done: Callable[[Outcome, dict[str, float]], None],
) -> list[Outcome]:
    """Run each row's command in a free clone, in this order. `done` gets each outcome and the running rows' seconds.

    If `stopped`, KeyboardInterrupt after the running rows have ended in order. InputError, likewise, if a node of the
    cluster does not see the clones, and at once if Ray itself is lost.
    """
    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a node may not see this file
    task = ray.remote(num_cpus=1, num_gpus=gpu_share, max_retries=RETRIES, retry_exceptions=False)(train_row)
    (home / STOP).unlink(missing_ok=True)
    waiting, free, running, outcomes, unshared = deque(rows), deque(clones), {}, [], None
    while running or (waiting and not stopped() and not unshared):
        while waiting and free and not stopped() and not unshared:
            (row, command), clone = waiting.popleft(), free.popleft()
            running[task.remote(str(home), str(clone), row, command)] = (row, clone, time.monotonic())
        if (stopped() or unshared) and not (home / STOP).exists():
            (home / STOP).touch()
        for reference in ray.wait(list(running), timeout=1.0)[0]:
            row, clone, began_s = running.pop(reference)
            free.append(clone)
            result = _result(reference)
            if isinstance(result, Unshared):
                unshared = result
            elif not stopped():
                outcomes.append(Outcome(row, time.monotonic() - began_s, *result))
                done(outcomes[-1], {other: time.monotonic() - began_s for other, _, began_s in running.values()})
    if unshared:
        raise InputError(f"{unshared.host}: does not see {home}; a Ray cluster must have this folder on every machine")
    if stopped():
        raise KeyboardInterrupt(processes.INTERRUPTED)
    return outcomes


def _result(reference: object) -> tuple[bool, str] | Unshared:
    import ray

    try:
        result = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        return True, f"{type(error.cause).__name__}: {error.cause}"
    except ray.exceptions.RayError as error:
        reason = type(error).__name__
        return True, f"its worker was lost {RETRIES + 1} times ({reason}); is there enough memory?"
    return Unshared(*result) if len(result) == 1 else result


def train_row(home: str, clone: str, row: str, command: list[str]) -> tuple[bool, str] | tuple[str]:
    """On a worker: whether anything ran, and the error, empty if there was none; or the host if it sees no clone."""
    if not Path(clone, "dvc.yaml").is_file():
        return (socket.gethostname(),)
    sys.path.insert(0, home)
    from stages.parallel import clones, row_log

    clones.reset(Path(home), Path(clone))
    return row_log.run(Path(home), Path(clone), row, [sys.executable, *command], Path(home, STOP))
