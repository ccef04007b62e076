"""The grid by killed workers, on two nodes of Ray, and by the array of jobs in the docs: the bytes of a serial run."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import psutil
import pytest
import yaml
from ray.cluster_utils import Cluster

from stages.parallel import clones, processes
from tests.conftest import REPOSITORY
from tests.tiny_clone import ENVIRONMENT, clone_at_tiny, files, paths_of, run

TOGETHER = ("rhd-2d-v1", "rhd-2d-v3-t", "stb-cross")  # those of 2D joints train first, each for 240 steps
GRID = (sys.executable, "-m", "stages.grid", *TOGETHER, "--workers", "2")


@pytest.fixture(scope="module")
def again(tmp_path_factory) -> Path:
    """A second clone, without a cache to take anything from, where data were made by a `dvc repro` that was killed."""
    folder = clone_at_tiny(tmp_path_factory.mktemp("again"), with_report=False)
    (folder / ".grid").mkdir()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    for seconds in (5.0, 8.0):
        process = subprocess.Popen(["dvc", "repro"], cwd=folder, env=ENVIRONMENT, start_new_session=True, **quiet)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        clones.mend(folder)  # DVC's locks, which a kill may cut
    run("dvc", "repro", "preprocess@rhd", "preprocess@stb", cwd=folder)
    return folder


def test_the_job_of_the_array_in_the_docs_trains_a_row_for_the_workspace(again, clone):
    page = (REPOSITORY / "docs/grid.md").read_text()
    job = next(block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "SLURM_ARRAY_TASK_ID" in block)
    (again / ".git/rows.sh").write_text(job.replace("rhd-2d-v1", "rhd-rgb-v1"))
    slurm = {"SLURM_SUBMIT_DIR": str(again), "SLURM_ARRAY_TASK_ID": "0"}
    environment = processes.environment(again) | slurm
    ran = subprocess.run(["bash", ".git/rows.sh"], cwd=again, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    brought = run("dvc", "repro", "evaluate_paper@rhd-rgb-v1", cwd=again).stdout
    assert brought.count("is cached - skipping run") == 2 and "Running stage" not in brought
    assert files(again, paths_of("rhd-rgb-v1")) == files(clone, paths_of("rhd-rgb-v1")) != {}


def started(folder: Path, **environment: str) -> subprocess.Popen:
    """The grid in a session of its own, with a PATH that has no Python of ours; its lines go to out.txt."""
    options = {"env": os.environ | {"PATH": "/usr/bin:/bin"} | environment, "start_new_session": True}
    with open(folder / ".git/out.txt", "w") as out:
        return subprocess.Popen(GRID, cwd=folder, stdout=out, stderr=subprocess.STDOUT, **options)


def lines(folder: Path) -> str:
    return (folder / ".git/out.txt").read_text()


def wait_for(condition, process: subprocess.Popen, folder: Path):
    end_s = time.monotonic() + 120
    while not (found := condition()):
        assert process.poll() is None and time.monotonic() < end_s, lines(folder)
        time.sleep(0.02)
    return found


def at_work(folder: Path, *words: str) -> list[psutil.Process]:
    """The processes that work in a folder's clones, with these words in their command."""
    busy = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            inside = Path(process.cwd()).is_relative_to(folder / ".grid") and process.status() != psutil.STATUS_ZOMBIE
            if inside and set(words) <= set(process.cmdline()):
                busy.append(process)
    return busy


def test_a_killed_grid_and_a_killed_worker_on_two_ray_nodes_end_in_the_bytes_of_a_serial_run(again, clone):
    # killed, itself alone: what it started ends with it
    process = started(again)
    wait_for((again / f"checkpoints/{TOGETHER[0]}/seed-0.pt").exists, process, again)
    busy = at_work(again)
    process.kill()
    assert len(busy) >= 4 and not psutil.wait_procs(busy, timeout=20)[1]
    # DVC's locks are cut; Ctrl-C
    (again / ".dvc/tmp/rwlock").write_text('{"write": {"/a": {"pid": 1, "cm')
    (again / "dvc.lock").write_bytes((again / "dvc.lock").read_bytes()[:-40] + b"\n  - {")
    process = started(again)
    wait_for(lambda: "rows, 2 at a time" in lines(again) and len(at_work(again)) >= 4, process, again)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 1
    assert lines(again).splitlines()[-1] == "interrupted; the same command goes on from here"
    assert at_work(again) == []
    # on two nodes, of which one loses its worker
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        nodes.add_node(num_cpus=1)
        process = started(again, RAY_ADDRESS=nodes.address)

        def of_both_rows():
            first = at_work(again, "stages.train", TOGETHER[0])
            second = at_work(again, f"train_paper@{TOGETHER[1]}")
            return first and second and (first[0], second[0])

        training, other = wait_for(of_both_rows, process, again)
        nodes_of = [[parent for parent in row.parents() if parent.name() == "raylet"] for row in (training, other)]
        assert nodes_of[0] and nodes_of[1] and nodes_of[0] != nodes_of[1]  # a row a node
        next(parent for parent in training.parents() if parent.name().startswith("ray::")).kill()
        assert process.wait(180) == 0, lines(again)
    finally:
        nodes.shutdown()
    assert "a worker was lost; its row goes on in another (3 retries left)" in lines(again)
    assert "3 of 3 rows, " in lines(again)
    assert "goes on from step" in (again / f".grid/logs/{TOGETHER[0]}.log").read_text()
    assert not (again / ".grid/workers").exists() and not list(again.glob("checkpoints/*/seed-0.pt"))
    ended = [json.loads(line)["ended"] for line in (again / ".grid/runs.jsonl").read_text().splitlines()]
    assert ended == [None, "KeyboardInterrupt", "finished"]
    words = ("processed/rhd.h5", "processed/stb.h5", *chain.from_iterable(map(paths_of, TOGETHER)))
    serial, parallel = files(clone, words), files(again, words)
    assert list(serial) == list(parallel) and len(serial) == 2 + 7 * len(TOGETHER)
    assert [name for name in serial if serial[name] != parallel[name]] == []
    of_clone, of_again = (
        yaml.load((folder / "dvc.lock").read_text(), yaml.CSafeLoader)["stages"] for folder in (clone, again)
    )
    for stage in (f"{step}_paper@{row}" for row in TOGETHER for step in ("train", "evaluate")):
        assert of_again[stage] == of_clone[stage]
