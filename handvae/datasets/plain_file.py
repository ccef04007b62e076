"""The bytes of a file that somebody else made: a regular file, read once, up to a limit."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from handvae.base.errors import InputError


def read(path: Path, max_bytes: int, wanted: str = "a file") -> bytes:
    """All bytes of `path`. InputError, which says what was `wanted`, if there is no such file, if it is larger than
    `max_bytes`, no regular file (a named pipe would wait for ever, a device never end) or cannot be read."""
    with opened(path, wanted) as file:
        # of what there is: read(n) allocates n bytes in advance
        data = file.read(min(os.fstat(file.fileno()).st_size, max_bytes) + 1)
    if len(data) > max_bytes:
        size = path.stat().st_size
        raise InputError(f"{path}: expected {wanted} of at most {max_bytes:,} bytes, found {size:,}")
    return data


@contextmanager
def opened(path: Path, wanted: str) -> Iterator[BinaryIO]:
    """The file, open; InputError for what `check` refuses and for what cannot be read."""
    check(path, wanted)
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: expected {wanted}, found one that cannot be read ({error.strerror})") from None


def check(path: Path, wanted: str) -> None:
    """InputError unless `path` is a regular file, or a link to one."""
    try:
        is_file = path.is_file()
        found = "no file" if not path.is_symlink() and not path.exists() else "something else"
    except OSError as error:  # a loop of links, a folder that may not be entered
        raise InputError(f"{path}: expected {wanted}, found none that can be reached ({error.strerror})") from None
    if not is_file:
        raise InputError(f"{path}: expected {wanted}, found {found}")
