"""All-or-nothing writing: a file or folder appears under its name only when it is complete.

A process killed at any moment leaves at most a `*.partial` beside the target: nobody reads it, the next run replaces it
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


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
    """Remove a folder that is gone from under its name at once, never there in part."""
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
