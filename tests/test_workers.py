import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from handvae.base import workers
from handvae.base.errors import InputError


def slow_for_even(number):
    time.sleep(0.02 * (number % 2 == 0))
    return number * number


def fail_at_three(number):
    if number == 3:
        raise InputError("item 3 is broken")
    return number


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def sleep_and_tell(path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)


def test_results_come_in_order_whoever_is_faster_and_items_are_taken_only_as_results_are():
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    results = workers.in_order(slow_for_even, items(), processes=2)
    for number in range(12):
        assert next(results) == number**2 and len(taken) < number + 10
    results.close()


def test_a_workers_error_is_raised_here_and_a_killed_worker_is_one():
    with pytest.raises(InputError, match="item 3 is broken"):
        list(workers.in_order(fail_at_three, range(6), processes=1))
    with pytest.raises(InputError, match=r"a worker process of .* was killed"):
        list(workers.in_order(die, range(2), processes=1))


CHILD = """
import sys
from handvae.base import workers
from tests.test_workers import sleep_and_tell
if __name__ == "__main__":
    list(workers.in_order(sleep_and_tell, [sys.argv[1]], processes=1))
"""


def test_no_worker_outlives_a_killed_parent(tmp_path):
    script, told = tmp_path / "child.py", tmp_path / "pid"
    script.write_text(CHILD)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}  # conftest's constant would import torch
    parent = subprocess.Popen([sys.executable, script, told], env=environment)
    for _ in range(600):
        if told.exists() and told.read_text():
            break
        time.sleep(0.05)
    worker = psutil.Process(int(told.read_text()))
    parent.kill()
    parent.wait()
    end_s = time.monotonic() + 5
    with contextlib.suppress(psutil.NoSuchProcess):
        while worker.status() != psutil.STATUS_ZOMBIE:  # in a container it may stay one
            assert time.monotonic() < end_s
            time.sleep(0.05)
