"""This working tree at profile `tiny` as a repository of its own, in which the graph can run in minutes."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
from dvc.utils.serialize import modify_yaml

from tests.conftest import REPOSITORY

ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
# of the grid, one row of every kind; DVC takes a name with a dot in it too
ROWS = ("rhd-2d-v1", "rhd-2d-v3-t", "rhd-rgb-v1", "stb-rgb-v1", "stb-rgb-v1-l10", "stb-rgb-v3-l10")
ROWS += ("stb-cross", "stb-separate", "icvl-resnet50", "nyu-w0.5", "msra-resnet18-p8")
TOGETHER = ("rhd-2d-v1", "rhd-2d-v3-t", "stb-cross")  # those of 2D joints train first, each for 240 steps
GRID = (sys.executable, "-m", "stages.grid", *TOGETHER, "--workers", "2")
# in dvc.yaml, for a clone whose report is not looked at
NO_REPORT = {
    "cmd: python -m stages.report": "cmd: mkdir -p reports && cd reports && mkdir -p tables figures metrics training "
    "notebooks && touch tables/a index.html",
    "cmd: python -m stages.reproduction": "cmd: touch reports/reproduction.md",
}


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess:
    result = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True)
    assert result.returncode == 0, f"{command}:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return result


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def clone_at_tiny(folder: Path, with_report: bool = True) -> Path:
    """The working tree's tracked and new files as a fresh repository: profile `tiny`, some rows of the grid.

    Of these the 2D ones train for seconds, and every eight steps leave a checkpoint.
    """
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=REPOSITORY).stdout.splitlines()
    for name in listed:
        if (REPOSITORY / name).is_file() and not name.startswith("reports/") and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    with modify_yaml(folder / "params.yaml") as settings:
        rows = settings["experiments"]
        rows["nyu-w0.5"] = rows["nyu-resnet18"]
        for name in set(rows) - set(ROWS):
            del rows[name]
        settings["profile"] = "tiny"
        settings["profiles"]["tiny"]["training"]["joints_2d"] |= {"steps": 240}
    replace_in(folder / "handvae/model/training.py", '"cpu": 30.0', '"cpu": 0.0')
    for command, nothing in () if with_report else NO_REPORT.items():
        replace_in(folder / "dvc.yaml", command, nothing)
    run("git", "init", "-q", cwd=folder)
    commit_all(folder, "a clone at profile tiny")
    return folder


def commit_all(folder: Path, message: str) -> None:
    run("git", "add", "-A", cwd=folder)
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    run("git", *identity, "commit", "-q", "-m", message, cwd=folder)


def files(folder: Path, words: tuple[str, ...] = ("",)) -> dict[str, bytes]:
    """The artifacts but raw data whose paths have one of the words in them."""
    patterns = ("data/[!r]*/*", "models/**/*", "reports/**/*")
    paths = [path for pattern in patterns for path in folder.glob(pattern) if path.is_file()]
    names = sorted(str(path.relative_to(folder)) for path in paths)
    return {name: (folder / name).read_bytes() for name in names if any(word in name for word in words)}


def paths_of(row: str) -> list[str]:
    """How the paths of what a row leaves begin; in reports/ it is the report that writes."""
    return [f"{folder}/{row}" for folder in ("models", "data/predictions", "data/metrics", "data/training")]


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
