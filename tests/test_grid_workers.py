"""Rows trained by several workers: the bytes of a serial run, whoever is killed; what goes wrong is one line."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import ray
import yaml
from ray.cluster_utils import Cluster

from handvae.base.errors import InputError
from stages.parallel import clones, cluster, processes, row_log
from tests.conftest import REPOSITORY
from tests.test_pipeline import clone_at_tiny, commit_all, run

ROWS = ("rhd-2d-v1", "rhd-2d-v3-t")
GRID = (sys.executable, "-m", "stages.grid", *ROWS)
# a report of nothing: it is not what is looked at
REPORT = "mkdir -p reports/tables reports/figures reports/notebooks && touch reports/tables/a reports/index.html"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A workspace with the rows' data; every eight steps leave a checkpoint."""
    folder = clone_at_tiny(tmp_path_factory.mktemp("prepared"))
    for name, old, new in (
        ("dvc.yaml", "cmd: python -m stages.report", f"cmd: {REPORT}"),
        ("handvae/model/training.py", '"cpu": 30.0', '"cpu": 0.0'),
        ("params.yaml", "{steps: 3, batch_size: 4,", "{steps: 240, batch_size: 4,"),
    ):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))
    commit_all(folder, "quick to report, quick to save")
    run("dvc", "repro", "preprocess@rhd", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def serial(prepared, tmp_path_factory) -> Path:
    folder = copied(prepared, tmp_path_factory)
    run(*GRID, "--workers", "1", cwd=folder)
    return folder


def copied(prepared, tmp_path_factory) -> Path:
    return Path(shutil.copytree(prepared, tmp_path_factory.mktemp("copy") / "home", symlinks=True))


def started(folder: Path, **environment: str) -> subprocess.Popen:
    """The grid with two workers, in a session of its own; its lines go to out.txt."""
    with open(folder / ".git/out.txt", "w") as out:
        command = [*GRID, "--workers", "2"]
        options = {"cwd": folder, "env": os.environ | environment, "start_new_session": True}
        return subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, **options)


def lines(folder: Path) -> str:
    return (folder / ".git/out.txt").read_text()


def wait_for(condition, process: subprocess.Popen, folder: Path):
    end_s = time.monotonic() + 120
    while not (found := condition()):
        assert process.poll() is None and time.monotonic() < end_s, lines(folder)
        time.sleep(0.02)
    return found


def checkpoints(folder: Path) -> list[Path]:
    return list(folder.glob("checkpoints/*/seed-0.pt"))


def at_work(folder: Path) -> list[psutil.Process]:
    """The processes that work in a folder's clones."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder / ".grid") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def assert_like_serial(folder: Path, serial: Path) -> None:
    for pattern in ("models/*/*", "data/predictions/*", "reports/metrics/*", "reports/training/*"):
        expected = {path.relative_to(serial): path.read_bytes() for path in serial.glob(pattern)}
        assert len(expected) >= 2
        assert expected == {path.relative_to(folder): path.read_bytes() for path in folder.glob(pattern)}
    locks = [yaml.load((one / "dvc.lock").read_text(), yaml.CSafeLoader) for one in (folder, serial)]
    assert locks[0] == locks[1] and "evaluate_paper@rhd-2d-v1" in locks[0]["stages"]
    status = run(
        "dvc", "status", *(f"{kind}_paper@{row}" for row in ROWS for kind in ("train", "evaluate")), cwd=folder
    )
    assert status.stdout.strip() == "Data and pipelines are up to date."
    assert not (folder / ".grid/workers").exists() and not checkpoints(folder)


def test_two_ray_nodes_and_a_worker_killed_end_in_the_bytes_of_a_serial_run(prepared, serial, tmp_path_factory):
    folder = copied(prepared, tmp_path_factory)
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        nodes.add_node(num_cpus=1)
        process = started(folder, RAY_ADDRESS=nodes.address)
        wait_for(lambda: (folder / f"checkpoints/{ROWS[0]}/seed-0.pt").exists(), process, folder)
        (clone,) = [one for one in at_work(folder) if "stages.train" in one.cmdline() and ROWS[0] in one.cmdline()]
        worker = next(one for one in clone.parents() if one.name().startswith("ray::"))
        raylets = {next(p for p in one.parents() if p.name() == "raylet").pid for one in at_work(folder)}
        assert len(raylets) == 2  # a row a node
        worker.kill()
        assert process.wait(180) == 0, lines(folder)
    finally:
        nodes.shutdown()
    assert "a worker was lost; its row goes on in another (3 retries left)" in lines(folder)
    assert "2 of 2 rows, " in lines(folder)
    assert "goes on from step" in (folder / f".grid/logs/{ROWS[0]}.log").read_text()
    assert "goes on from step" not in (folder / f".grid/logs/{ROWS[1]}.log").read_text()
    assert sum("Running stage 'train" in line for line in (folder / f".grid/logs/{ROWS[0]}.log").open()) == 2
    assert_like_serial(folder, serial)


def test_the_whole_grid_killed_and_stopped_goes_on_to_the_same_bytes(prepared, serial, tmp_path_factory):
    folder = copied(prepared, tmp_path_factory)
    # killed, itself alone: what it started ends with it
    process = started(folder)
    wait_for(lambda: checkpoints(folder), process, folder)
    busy = at_work(folder)
    refused = run(*GRID, cwd=folder, check=False)
    assert refused.returncode == 1 and "another stages.grid is at work here" in refused.stderr.splitlines()[-1]
    process.kill()
    assert len(busy) >= 4 and not psutil.wait_procs(busy, timeout=20)[1]
    # killed with all that it started, the locks of DVC cut
    (folder / ".dvc/tmp/rwlock").write_text('{"write": {"/a": {"pid": 1, "cm')
    (folder / "dvc.lock").write_bytes((folder / "dvc.lock").read_bytes()[:-40] + b"\n  - {")
    process = started(folder)
    wait_for(lambda: any("stages.train" in one.cmdline() for one in at_work(folder)), process, folder)
    for one in [process, *psutil.Process(process.pid).children(recursive=True)]:
        one.kill()
    process.wait()
    # Ctrl-C: saved, one line
    process = started(folder)
    wait_for(lambda: "rows, 2 at a time" in lines(folder) and len(at_work(folder)) >= 4, process, folder)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 1
    assert lines(folder).splitlines()[-1] == "interrupted; the same command goes on from here"
    assert at_work(folder) == []
    process = started(folder)
    assert process.wait(180) == 0, lines(folder)
    assert "goes on from step" in (folder / f".grid/logs/{ROWS[0]}.log").read_text()
    assert_like_serial(folder, serial)
    ended = [json.loads(line)["ended"] for line in (folder / ".grid/runs.jsonl").read_text().splitlines()]
    assert ended == [None, None, "KeyboardInterrupt", "finished"]


def test_the_job_of_the_array_in_the_docs_trains_a_row_for_the_workspace(prepared, serial, tmp_path_factory):
    folder = copied(prepared, tmp_path_factory)
    page = (REPOSITORY / "docs/grid.md").read_text()
    job = next(block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "SLURM_ARRAY_TASK_ID" in block)
    (folder / ".git/rows.sh").write_text(job)
    slurm = {"SLURM_SUBMIT_DIR": str(folder), "SLURM_ARRAY_TASK_ID": "0"}
    environment = processes.environment(folder) | slurm
    ran = subprocess.run(["bash", ".git/rows.sh"], cwd=folder, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    brought = run("dvc", "repro", f"evaluate_paper@{ROWS[0]}", cwd=folder).stdout
    assert brought.count("is cached - skipping run") == 2 and "Running stage" not in brought
    for name in (f"models/{ROWS[0]}/weights.pt", f"reports/metrics/{ROWS[0]}.json"):
        assert (folder / name).read_bytes() == (serial / name).read_bytes()


def test_a_row_that_fails_is_named_and_the_others_are_finished(serial):
    """The other one has been trained already: it only comes from the cache, to the workspace that has lost it."""
    good, bad = ROWS
    shutil.rmtree(serial / f"models/{good}")
    params = (serial / "params.yaml").read_text()
    row = f"  {bad}: {{dataset: rhd,"
    assert row in params
    try:
        text = params.replace(row, f"{row} recipe: broken,")
        recipe = text[text.index("  original:\n") : text.index("\nevaluation:")]
        broken = recipe.replace("original", "broken").replace("joints_3d: 1.0", "joints_3d: 1.0e+39")
        (serial / "params.yaml").write_text(text.replace("\nevaluation:", f"\n{broken}\nevaluation:", 1))
        result = run(*GRID, "--workers", "2", cwd=serial, check=False)
    finally:
        (serial / "params.yaml").write_text(params)
    assert result.returncode == 1
    of_row, last = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert of_row.startswith(f"error: {bad}: {bad}: expected a finite loss") and ".grid/logs" in of_row
    assert last == f"error: 1 of 2 rows failed: {bad}; the others are finished"
    assert (serial / f"models/{good}/weights.pt").is_file()


@pytest.fixture(scope="module")
def one_core():
    """Ray with one core, as a grid of one worker would start it."""
    try:
        yield cluster.connect(1, 1, 1, on_gpu=False)
    finally:
        cluster.disconnect()


def outcomes_of(home: Path, clone: Path, command: list[str]) -> list[cluster.Outcome]:
    return cluster.run_rows(home, [clone], [("a", command)], 0.0, lambda: False, lambda *_: None)


@pytest.fixture
def clone(tmp_path):
    """A folder with what a worker must see."""
    clone = tmp_path / ".grid/workers/0"
    clone.mkdir(parents=True)
    shutil.copytree(REPOSITORY / "stages", tmp_path / "stages")
    shutil.copytree(REPOSITORY / "handvae/base", tmp_path / "handvae/base")
    (tmp_path / ".grid/dvc.lock").touch()
    (clone / "dvc.yaml").touch()
    return clone


def test_a_folder_that_a_node_does_not_see_is_one_line(one_core, tmp_path):
    with pytest.raises(InputError, match=rf"does not see {tmp_path}; a Ray cluster must have this folder on every"):
        outcomes_of(tmp_path, tmp_path / ".grid/workers/0", ["-c", ""])


def test_a_worker_that_is_lost_again_and_again_is_one_line(one_core, tmp_path, clone, monkeypatch):
    code = "import os, signal, psutil; [p.kill() for p in psutil.Process().parents() if p.name().startswith('ray::')]"
    (outcome,) = outcomes_of(tmp_path, clone, ["-c", f"{code}; import time; time.sleep(60)"])
    assert outcome.error.startswith("its worker was lost 4 times") and "\n" not in outcome.error


def test_a_lost_head_node_is_one_line(one_core, tmp_path, clone, monkeypatch):
    def lost(*_, **__):
        raise ray.exceptions.RaySystemError("the head node\nis gone")

    expected = "Ray was lost, finished rows are kept, the same command goes on: RaySystemError: .*the head node is gone"
    for place, name in ((ray, "wait"), (ray.remote_function.RemoteFunction, "_remote")):
        with monkeypatch.context() as patched, pytest.raises(InputError, match=expected) as refused:
            patched.setattr(place, name, lost)
            outcomes_of(tmp_path, clone, ["-c", ""])
        assert "\n" not in str(refused.value)


def test_too_few_cores_of_a_cluster(one_core, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    monkeypatch.setattr(ray, "init", lambda **_: None)
    with pytest.raises(InputError, match="9 workers: expected at most the 1 cores of the Ray cluster"):
        cluster.connect(9, 9, 1, on_gpu=False)


def test_workers_share_gpus(one_core, monkeypatch):
    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 16.0, "GPU": 2.0})
    assert cluster.connect(None, 99, 16, on_gpu=True) == (2, 1.0)
    assert cluster.connect(3, 99, 16, on_gpu=True) == (3, 0.5)  # a whole number on each
    assert cluster.connect(1, 99, 16, on_gpu=True) == (1, 1.0)
    assert cluster.connect(None, 99, 16, on_gpu=False) == (16, 0.0)


def test_there_are_no_more_workers_than_rows_and_their_gpus_are_whole(one_core, monkeypatch):
    started = []
    monkeypatch.setattr(ray, "init", lambda **options: started.append(options["num_cpus"]))
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": float(started[-1]), "GPU": 2.0})
    assert cluster.connect(8, 2, 16, on_gpu=True) == (2, 1.0)
    assert cluster.connect(None, 3, 16, on_gpu=False) == (3, 0.0)
    assert started == [2, 3]


def test_a_full_disk_is_told_with_the_last_error_even_where_no_log_can_be_written(tmp_path, clone):
    (tmp_path / ".grid/logs").mkdir()
    (tmp_path / ".grid/logs/a.log").symlink_to("/dev/full")
    code = "print('Running stage'); open('/dev/full', 'w').write('a' * 100_000)"
    ran, error = row_log.run(tmp_path, clone, "a", [sys.executable, "-c", code], tmp_path / "stop")
    assert ran and error == "OSError: [Errno 28] No space left on device (.grid/logs/a.log)"


def test_one_grid_at_a_time_and_a_kill_ends_its_hold(tmp_path):
    code = (
        "import pathlib, time; from stages.parallel import clones\n"
        f"with clones.held(pathlib.Path({str(tmp_path)!r})): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=r"another stages\.grid is at work here"), clones.held(tmp_path):
            pass
        other.kill()
    for _ in range(2):
        with clones.held(tmp_path):
            pass


def test_locks_of_the_dead_go_and_those_of_the_living_stay(tmp_path):
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    rwlock = tmp_path / ".dvc/tmp/rwlock"
    living = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "dvc"])
    try:
        for pid, stays in ((living.pid, True), (os.getpid(), False), (2**22 + 1, False)):
            rwlock.write_text(json.dumps({"read": {"/a": [{"pid": pid, "cmd": "dvc repro"}]}, "write": {}}))
            clones.mend(tmp_path)
            assert rwlock.exists() == stays
    finally:
        living.kill()
        living.wait()


def test_a_clone_is_of_tracked_files_and_new_code_not_of_new_data(tmp_path):
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


def test_where_git_or_dvc_fails_a_clone_is_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"not a git repository.*; expected a git checkout; or use --workers 1$"):
        clones.make(tmp_path, 1, [])
    run("git", "init", "-q", cwd=tmp_path)
    with pytest.raises(InputError, match="ERROR: configuration error") as refused:
        clones.make(tmp_path, 1, [])
    assert "\n" not in str(refused.value)


def test_a_cut_lock_of_dvc_is_kept_beside_the_last_whole_one_and_a_good_one_stays(tmp_path, monkeypatch, capsys):
    (tmp_path / ".grid").mkdir()
    lock, given = tmp_path / "dvc.lock", (REPOSITORY / "dvc.lock").read_text()
    head = given[: given.index("\n", given.index("cmd:")) + 1]
    for text, good in ((head, True), (head + "    - {", False), ("stages:\n  a:\n", False), ("", False)):
        lock.write_text(text)
        (tmp_path / ".grid/dvc.lock").write_text(head)
        clones.mend(tmp_path)
        assert lock.read_text() == head and (tmp_path / clones.BROKEN).exists() != good
        assert good or (tmp_path / clones.BROKEN).read_text() == text
        told = "" if good else "dvc.lock: cut by a kill, now .grid/dvc.lock.broken; goes on from the last whole one\n"
        assert capsys.readouterr().out == told


def test_without_libyaml_a_good_lock_stays(tmp_path):
    (tmp_path / ".grid").mkdir()
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\nstages:\n  a:\n    cmd: b\n")
    code = "import pathlib, yaml; del yaml.CSafeLoader; from stages.parallel import clones\n"
    run(sys.executable, "-c", f"{code}clones.mend(pathlib.Path({str(tmp_path)!r}))", cwd=REPOSITORY)
    assert (tmp_path / "dvc.lock").exists() and not (tmp_path / clones.BROKEN).exists()


def test_a_guarded_command_ends_with_its_parent(tmp_path):
    inner = "import time; open('started', 'w'); time.sleep(60)"
    outer = (
        "import sys, pathlib; from stages.parallel import processes\n"
        f"with processes.guarded([sys.executable, '-c', {inner!r}], pathlib.Path({str(tmp_path)!r})) as p: p.wait()"
    )
    process = subprocess.Popen([sys.executable, "-c", outer], cwd=REPOSITORY)
    while not (tmp_path / "started").exists():
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    process.kill()
    process.wait()
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_what_another_run_left_at_work_is_swept_and_nothing_else(tmp_path):
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    left, others = (
        [subprocess.Popen(sleep, env=processes.environment(tmp_path / place)) for place in places]
        for places in ((".", ".grid/workers/0", ".grid/rows/a"), ("..", "other", "other/.grid/workers/0"))
    )
    try:
        time.sleep(0.3)
        processes.sweep(tmp_path)
        for one in left:
            one.wait(0.1)  # TimeoutExpired if it were still there
        assert [one.poll() for one in others] == [None] * 3
    finally:
        for one in (*left, *others):
            one.kill()
            one.wait()


@pytest.fixture
def interrupts():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    interrupts = processes.Interrupts()
    interrupts.listen()
    yield interrupts
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_between_commands_starts_no_other(interrupts, tmp_path):
    assert interrupts.run([sys.executable, "-c", ""], tmp_path) == 0
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt, match="interrupted; the same command goes on from here"):
        interrupts.run([sys.executable, "-c", "open('ran', 'w')"], tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_signal_while_a_command_is_started_reaches_it(interrupts, tmp_path, monkeypatch):
    start = subprocess.Popen

    def then_a_signal(*arguments, **options):
        process = start(*arguments, **options)
        while not (tmp_path / "ready").exists():
            time.sleep(0.05)
        signal.raise_signal(signal.SIGTERM)
        return process

    monkeypatch.setattr(processes.subprocess, "Popen", then_a_signal)
    code = "import signal, sys, time; signal.signal(signal.SIGINT, lambda *_: sys.exit(5))"
    assert interrupts.run([sys.executable, "-c", f"{code}; open('ready', 'w'); time.sleep(20)"], tmp_path) == 5
