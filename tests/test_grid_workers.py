"""What stands under the grid's workers: Ray, locks, clones, signals; what goes wrong is one line.

The grid itself, killed and on two nodes, runs in test_graph.
"""

import json
import os
import signal
import subprocess
import sys
import time
from unittest.mock import Mock

import pytest
import ray

from handvae.base.errors import InputError
from stages.parallel import clones, cluster, processes, row_log
from tests.conftest import REPOSITORY
from tests.tiny_clone import commit_all, run

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture(scope="module")
def one_core():
    """Ray with one core, as a grid of one worker would start it."""
    try:
        yield cluster.connect(1, 1, 1, on_gpu=False)
    finally:
        cluster.disconnect()


def outcomes_of(folder):
    """Of one row, run in a folder that is no clone: no worker finds it."""
    return cluster.run_rows(folder, [folder / ".grid/workers/0"], [("a", ["-c", ""])], 0.0, lambda: False, lambda *_: 0)


def test_a_folder_that_a_node_does_not_see_is_one_line(one_core, tmp_path):
    with pytest.raises(InputError, match=rf"does not see {tmp_path}; a Ray cluster must have this folder on every"):
        outcomes_of(tmp_path)


def test_workers_that_are_lost_again_and_again_and_a_lost_head_node_are_one_line(one_core, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(ray, "get", Mock(side_effect=ray.exceptions.WorkerCrashedError()))
        (outcome,) = outcomes_of(tmp_path)
    assert outcome.error.startswith("its worker was lost 4 times") and "\n" not in outcome.error
    monkeypatch.setattr(ray, "wait", Mock(side_effect=ray.exceptions.RaySystemError("the head node\nis gone")))
    expected = (
        "Ray was lost, finished rows are kept, the same command goes on: RaySystemError: .*the head node is gone$"
    )
    with pytest.raises(InputError, match=expected):
        outcomes_of(tmp_path)


@pytest.mark.parametrize(("workers", "rows", "expected"), [(None, 9, (2, 1.0)), (3, 9, (3, 0.5)), (8, 1, (1, 1.0))])
def test_two_gpus_or_sixteen_cores_are_shared_by_no_more_workers_than_rows(monkeypatch, workers, rows, expected):
    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 16.0, "GPU": 2.0})
    assert cluster.connect(workers, rows, 16, on_gpu=True) == expected
    assert cluster.connect(None, rows, 16, on_gpu=False) == (rows, 0.0)
    with pytest.raises(InputError, match="17 workers: expected at most the 16 cores of the Ray cluster"):
        cluster.connect(17, 99, 16, on_gpu=False)


def test_a_full_disk_is_told_with_the_last_error_even_where_no_log_can_be_written(tmp_path):
    (tmp_path / ".grid/logs").mkdir(parents=True)
    (tmp_path / ".grid/logs/a.log").symlink_to("/dev/full")
    code = "print('Running stage'); open('/dev/full', 'w').write('a' * 100_000)"
    ran, error = row_log.run(tmp_path, tmp_path, "a", [sys.executable, "-c", code], tmp_path / "stop")
    assert ran and error == "OSError: [Errno 28] No space left on device (.grid/logs/a.log)"


def test_locks_of_the_dead_go_and_those_of_the_living_stay(tmp_path):
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    rwlock = tmp_path / ".dvc/tmp/rwlock"
    with subprocess.Popen([*SLEEP, "dvc"]) as living:
        for pid, stays in ((living.pid, True), (os.getpid(), False), (2**22 + 1, False)):
            rwlock.write_text(json.dumps({"read": {"/a": [{"pid": pid, "cmd": "dvc repro"}]}, "write": {}}))
            clones.mend(tmp_path)
            assert rwlock.exists() == stays
        living.kill()


def test_a_cut_lock_of_dvc_is_kept_beside_the_last_whole_one_and_a_good_one_stays(tmp_path, capsys):
    (tmp_path / ".grid").mkdir()
    lock, given = tmp_path / "dvc.lock", (REPOSITORY / "dvc.lock").read_text()
    head = given[: given.index("\n", given.index("cmd:")) + 1]
    cuts = ["    - {", "    outs:\n", "    deps:\n    - pa\n"]
    twice = head + head[head.index("stages:\n") + len("stages:\n") :]  # as a merge leaves it
    cuts = [*(head + cut for cut in cuts), twice, "schema: '2.0'\n", "stages:\n  a:\n", ""]
    for text, good in ((head, True), *((cut, False) for cut in cuts)):
        lock.write_text(text)
        (tmp_path / ".grid/dvc.lock").write_text(head)
        clones.mend(tmp_path)
        assert lock.read_text() == head and (tmp_path / clones.BROKEN).exists() != good
        assert good or (tmp_path / clones.BROKEN).read_text() == text
        told = "" if good else "dvc.lock: cut by a kill, now .grid/dvc.lock.broken; goes on from the last whole one\n"
        assert capsys.readouterr().out == told


def test_a_clone_is_of_tracked_files_and_new_code_not_of_new_data_and_needs_git(tmp_path):
    with pytest.raises(InputError, match=r"not a git repository.*; expected a git checkout; or use --workers 1$"):
        clones.make(tmp_path, 1, [])
    tracked = {"stages/a.py", "dvc.yaml", "docs/a.md", "Makefile"}
    new = {"stages/new.py", "handvae/model/new.py", "notebooks/new.ipynb", "new.yaml", "dvc.lock"}
    for name in (*tracked, "reports/a.csv", ".gitignore"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("*.pyc\n")
    run("git", "init", "-q", cwd=tmp_path)
    commit_all(tmp_path, "tracked")
    for name in (*new, "RHD_published_v2/a.png", "RHD_published_v2/a.yaml", "a.zip", "stages/a.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(clones.files_of(tmp_path)) == sorted(tracked | new | {".gitignore"})


def test_what_another_run_left_at_work_is_swept_and_nothing_else(tmp_path):
    left, others = (
        [subprocess.Popen(SLEEP, env=processes.environment(tmp_path / folder)) for folder in folders]
        for folders in ((".", ".grid/workers/0", ".grid/rows/a"), ("..", "other", "other/.grid/workers/0"))
    )
    try:
        time.sleep(0.3)
        processes.sweep(tmp_path)
        for process in left:
            process.wait(0.1)  # TimeoutExpired if it were still there
        assert [process.poll() for process in others] == [None] * 3
    finally:
        for process in (*left, *others):
            process.kill()
            process.wait()


def test_a_signal_while_a_command_is_started_reaches_it_and_no_other_is_started(tmp_path, monkeypatch):
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    start, interrupts = subprocess.Popen, processes.Interrupts()

    def then_a_signal(*arguments, **options):
        process = start(*arguments, **options)
        while not (tmp_path / "ready").exists():
            time.sleep(0.05)
        signal.raise_signal(signal.SIGTERM)
        return process

    monkeypatch.setattr(processes.subprocess, "Popen", then_a_signal)
    code = "import signal, sys, time; signal.signal(signal.SIGINT, lambda *_: sys.exit(5)); open('ready', 'w')"
    try:
        interrupts.listen()
        assert interrupts.run([sys.executable, "-c", f"{code}; time.sleep(20)"], tmp_path) == 5
        with pytest.raises(KeyboardInterrupt, match="interrupted; the same command goes on from here"):
            interrupts.run([sys.executable, "-c", ""], tmp_path)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
