"""Files that somebody else made: regular ones, read once, and no larger, on disk or in memory, than they can be."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from handvae.base.errors import InputError

if sys.platform == "linux":
    import resource

_LITTLE_MEMORY = 64 * 2**20


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
    """The file, open. InputError unless `path` is a regular file, or a link to one, that can be read."""
    try:
        is_file, is_there = path.is_file(), path.is_symlink() or path.exists()
    except OSError as error:  # a loop of links, a folder that may not be entered
        raise InputError(f"{path}: expected {wanted}, found none that can be reached ({error.strerror})") from None
    if not is_file:
        raise InputError(f"{path}: expected {wanted}, found {'something else' if is_there else 'no file'}")
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: expected {wanted}, found one that cannot be read ({error.strerror})") from None


@contextmanager
def limited_memory(more_bytes: int) -> Iterator[None]:
    """MemoryError, on Linux, if this process comes to take `more_bytes` (and a little) more than now.

    For libraries that make room for whatever size a damaged file claims. It counts for all threads of the process.
    """
    if sys.platform != "linux":
        yield
        return
    taken = resource.getpagesize() * int(Path("/proc/self/statm").read_text().split()[0])
    before, highest = resource.getrlimit(resource.RLIMIT_AS)
    limit = taken + more_bytes + _LITTLE_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit if before == resource.RLIM_INFINITY else min(limit, before), highest))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, highest))
