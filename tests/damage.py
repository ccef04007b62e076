"""Damaged files, and what a reader must say of them."""

import multiprocessing
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from handvae.base.errors import InputError

COPIES = 200


def damaged(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """A copy with bytes flipped, cut short, emptied, with a stretch taken out, or another file in its place."""
    data = bytearray(content)
    a, b = sorted(int(position) for position in rng.integers(0, len(data), 2))
    match int(rng.integers(6)):
        case 0 | 1:
            for position in rng.integers(0, len(data), int(rng.integers(1, 4))):
                data[position] ^= int(rng.integers(1, 256))
        case 2:
            del data[a:]
        case 3:
            del data[a : a + int(rng.integers(1, 20))]
        case 4:
            data = bytearray(other)
        case 5:
            data = data[a:b] if a % 7 else bytearray()
    return bytes(data)


def refusal(function, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert "expected" in message and "found" in message and "\n" not in message
    return message


def in_little_memory(most_bytes: int, function: Callable, *arguments) -> None:
    """Call `function`; asserts, on Linux, that it takes no more than so many bytes more at any time.

    It runs in a process of its own: this one may have freed so much memory that a limit on more of it is never met.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        process.submit(_in_little_memory, most_bytes, function, *arguments).result()


def _in_little_memory(most_bytes: int, function: Callable, *arguments) -> None:
    status, peak = Path("/proc/self/status"), r"VmHWM:\s*(\d+) kB"
    if not status.exists():
        function(*arguments)
        return
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what is taken now
    before_kb = int(re.search(peak, status.read_text())[1])
    function(*arguments)
    assert 1024 * (int(re.search(peak, status.read_text())[1]) - before_kb) < most_bytes


def refused_or(check: Callable[[], None], path: Path, copies: list[bytes]) -> int:
    """Put each damaged copy at `path` and run `check`, which reads it and asserts that the data are right.

    Returns how many copies ended in an InputError: one line that names the file.
    """
    refused = 0
    for content in copies:
        path.write_bytes(content)
        try:
            check()
        except InputError as error:
            assert re.fullmatch(rf".*{path.name}.*expected.*found.*", str(error)), error
            refused += 1
    return refused
