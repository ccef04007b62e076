"""The folder .grid: a lock, a record, logs, and for each worker a clone of the workspace, all on one cache of DVC."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock
import psutil

from handvae.base import atomic
from handvae.base.errors import InputError
from stages.parallel import processes

GRID = Path(".grid")
LOCK = GRID / "dvc.lock"  # the one that clones start from
BROKEN = GRID / "dvc.lock.broken"
DVC = [sys.executable, "-m", "dvc"]
NEW = ("handvae", "stages", "notebooks", ":(glob)*.yaml", "dvc.lock")  # untracked files elsewhere may be data
# links, so that a set lies on the disk once; no git: a clone is the workspace's files, not its history
CONFIG = """[core]
    no_scm = true
[cache]
    dir = {cache}
    type = "reflink,hardlink,symlink,copy"
"""


@contextmanager
def held(home: Path) -> Iterator[None]:
    """One grid at a time in a workspace. What a killed one left is put in order first."""
    (home / GRID).mkdir(exist_ok=True)
    try:
        lock = filelock.FileLock(home / GRID / "lock", timeout=0).acquire()  # the system's: a kill releases it
    except filelock.Timeout as error:
        raise InputError(f"{home}: another stages.grid is at work here; wait for it, or end it first") from error
    with lock:
        processes.sweep(home)
        mend(home)
        yield


def mend(home: Path) -> None:
    """Put away what a killed DVC left: a lock of a dead process, and a dvc.lock that was cut while it was written.

    DVC writes dvc.lock in place. Its run-cache knows what was done, so that an older dvc.lock loses nothing.
    """
    rwlock, lock = home / ".dvc/tmp/rwlock", home / "dvc.lock"
    if rwlock.exists() and not _alive(rwlock):
        rwlock.unlink()
    if not lock.exists() or _is_whole(lock):
        return
    print(f"{lock.name}: cut by a kill, now {BROKEN}; goes on from the last whole one", flush=True)
    os.replace(lock, home / BROKEN)
    if (home / LOCK).exists():
        atomic.write_bytes(lock, (home / LOCK).read_bytes())


def _is_whole(lock: Path) -> bool:
    """Whether DVC would read this dvc.lock, and it has stages, which DVC does not ask for."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.serialize import ParseError, load_yaml
    from voluptuous import Invalid

    try:
        return "stages" in COMPILED_LOCKFILE_SCHEMA(load_yaml(lock))
    except (ParseError, UnicodeDecodeError, Invalid):
        return False


def _alive(rwlock: Path) -> bool:
    """Whether a process that DVC's own lock names still runs and is DVC."""
    try:
        tree = json.loads(rwlock.read_text())
        readers = [reader for readers in tree.get("read", {}).values() for reader in readers]
        pids = {int(holder["pid"]) for holder in [*readers, *tree.get("write", {}).values()] if holder}
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
    for pid in pids:
        with suppress(psutil.Error):
            if any("dvc" in word for word in psutil.Process(pid).cmdline()):
                return True
    return False


def make(home: Path, number: int, files: Iterable[Path]) -> list[Path]:
    """`number` clones with the data `files` in them as links to the cache. InputError if DVC cannot bring a file."""
    names = files_of(home)
    cache = _output([*DVC, "cache", "dir"], home).strip()
    remove(home)
    (home / "checkpoints").mkdir(exist_ok=True)
    atomic.write_bytes(home / LOCK, (home / "dvc.lock").read_bytes())
    clones = [home / GRID / f"workers/{worker}" for worker in range(number)]
    for clone in clones:
        for name in names:
            if (home / name).is_file():
                (clone / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(home / name, clone / name)
        (clone / ".dvc/config.local").write_text(CONFIG.format(cache=(home / cache).resolve()))
        # a row can go on from its checkpoint, here or at home
        os.symlink(home / "checkpoints", clone / "checkpoints")
        _output([*DVC, "checkout", *map(str, files)], clone)
    return clones


def files_of(home: Path) -> list[str]:
    """The files of a clone: tracked ones but reports, and new ones of the code. InputError without git."""
    listed = ["git", "ls-files", "-z"]
    try:
        text = _output(listed, home) + _output([*listed, "--others", "--exclude-standard", "--", *NEW], home)
    except InputError as error:
        raise InputError(f"{error}; expected a git checkout; or use --workers 1") from error
    return [name for name in text.split("\0") if name and not name.startswith("reports/")]


def _output(command: Sequence[str], folder: Path) -> str:
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if ran.returncode:
        raise InputError(f"{folder}: {' '.join(ran.stderr.split())}")
    return ran.stdout


def remove(home: Path) -> None:
    shutil.rmtree(home / GRID / "workers", ignore_errors=True)


def reset(home: Path, clone: Path) -> None:
    """Before a row: end what still runs in the clone, remove its lock, and start from the common dvc.lock."""
    processes.sweep(clone)
    (clone / ".dvc/tmp/rwlock").unlink(missing_ok=True)
    shutil.copy(home / LOCK, clone / "dvc.lock")
