import os
import signal
import subprocess
import sys
import time

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


def test_results_come_in_order_whoever_is_faster():
    assert list(workers.in_order(slow_for_even, range(12), processes=2)) == [number**2 for number in range(12)]


def test_items_are_taken_only_as_results_are(tmp_path):
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    results = workers.in_order(slow_for_even, items(), processes=2)
    next(results)
    assert len(taken) < 10
    results.close()


def test_a_workers_error_is_raised_here_and_a_killed_worker_is_one():
    with pytest.raises(InputError, match="item 3 is broken"):
        list(workers.in_order(fail_at_three, range(6), processes=2))
    with pytest.raises(InputError, match=r"a worker process of .* was killed"):
        list(workers.in_order(die, range(2), processes=1))


CHILD = """
import sys
from handvae.base import workers
from tests.test_workers import sleep_and_tell
if __name__ == "__main__":
    list(workers.in_order(sleep_and_tell, [sys.argv[1]], processes=1))
"""


def sleep_and_tell(path):
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(60)


def test_no_worker_outlives_a_killed_parent(tmp_path):
    script, told = tmp_path / "child.py", tmp_path / "pid"
    script.write_text(CHILD)
    repository = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parent = subprocess.Popen([sys.executable, script, told], env={**os.environ, "PYTHONPATH": repository})
    worker = _wait_for(lambda: told.exists() and told.read_text() and int(told.read_text()), 30)
    assert os.path.exists(f"/proc/{worker}")
    parent.kill()
    parent.wait()
    _wait_for(lambda: not _alive(worker), 5)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


def _wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError("the wait was in vain")
