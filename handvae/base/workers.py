"""Work spread over processes: results in order, memory flat, and no worker outlives a killed parent."""

import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from handvae.base.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(function: Callable[[Item], Result], items: Iterable[Item], processes: int) -> Iterator[Result]:
    """Yield function(item) for every item, in the items' order, computed by `processes` worker processes.

    Only a few results wait at a time, so memory does not grow with the number of items. A worker's exception is raised
    here; a worker that was killed (out of memory, say) is an InputError.
    """
    # spawn: a fork of a process that runs torch's threads can deadlock
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _die_with_parent, (os.getpid(),)) as pool:
        waiting: deque = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            killed = f"a worker process of {function.__module__} was killed"
            raise InputError(f"{killed}; is there enough memory?") from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _die_with_parent(parent: int) -> None:
    """A worker must not go on writing files beside the run that replaces its killed parent."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
