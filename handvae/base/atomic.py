"""All-or-nothing writing: a file or folder appears under its name only when it is complete.

A process killed at any moment leaves at most a `*.partial` beside the target: nobody reads it, the next run replaces it
"""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

SYNCING = 32  # files at a time: the file system then writes its journal once for many
_unsynced: ContextVar[list[Path] | None] = ContextVar("_unsynced", default=None)


def _partial(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


@contextmanager
def replacing_file(path: Path | str) -> Iterator[Path]:
    """Yield a scratch path beside `path`; on success it replaces `path`, on any error it is removed."""
    path = Path(path)
    partial = _partial(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        if (unsynced := _unsynced.get()) is None:
            _sync(partial)
        else:
            unsynced.append(path)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def synced_together() -> Iterator[None]:
    """Sync the files that are written inside at the end of the block, many at a time: one by one takes longer than to
    render them. A power cut before the end may leave their names without their content."""
    token = _unsynced.set([])
    try:
        yield
        with ThreadPoolExecutor(SYNCING) as pool:
            list(pool.map(_sync, _unsynced.get()))
    finally:
        _unsynced.reset(token)


def _sync(path: Path) -> None:
    with open(path, "r+b") as file:  # Windows syncs only what may be written
        os.fsync(file.fileno())


@contextmanager
def replacing_folder(path: Path | str) -> Iterator[Path]:
    """Yield an empty scratch folder beside `path`; on success it replaces `path` whole, on any error it is removed."""
    path = Path(path)
    partial = _partial(path)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if path.exists():
            shutil.rmtree(path)
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_folder(path: Path | str) -> None:
    """Remove a folder. Its name is gone at once: nobody sees a part of it."""
    path = Path(path)
    partial = _partial(path)
    shutil.rmtree(partial, ignore_errors=True)
    os.replace(path, partial)
    shutil.rmtree(partial)


def write_bytes(path: Path | str, data: bytes) -> None:
    with replacing_file(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path | str, text: str) -> None:
    write_bytes(path, text.encode())
