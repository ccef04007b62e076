"""Label files in text: one record a line, tokens between white space. Bounded in time and memory by the limits."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from handvae.base import encoding
from handvae.base.errors import InputError
from handvae.datasets import plain_file

MAX_FILE_BYTES = 400_000_000  # ICVL's 331,006 training labels, the largest real file, are far below
MAX_LINE_BYTES = 10_000
MAX_VALUE = 1e6  # px or mm: a number beyond it is no joint, and its square could overflow

_NUMBER = re.compile(rb"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")  # float() would also take 1_0, nan and infinity


def records(path: Path, max_lines: int) -> Iterator[tuple[str, list[bytes]]]:
    """The tokens of each line that is not blank, after "<path>: line <number>" for messages.

    Real files end lines in LF, CR LF or CR CR LF; in text mode the last would leave blank lines. A byte-order mark is
    left out. InputError for a missing file, for UTF-16, for a file over MAX_FILE_BYTES and for more than `max_lines`
    lines, blank ones included.
    """
    with plain_file.opened(path, "a file") as file:
        if (size := os.fstat(file.fileno()).st_size) > MAX_FILE_BYTES:
            raise InputError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, found {size}")
        file.seek(encoding.mark_bytes(path, file.read(encoding.START_BYTES)))
        for number in range(1, max_lines + 2):
            line = file.readline(MAX_LINE_BYTES + 1)
            if not line:
                return
            if len(line) > MAX_LINE_BYTES:
                raise InputError(f"{path}: line {number}: expected at most {MAX_LINE_BYTES} bytes, found more")
            if tokens := line.split():
                yield f"{path}: line {number}", tokens
    raise InputError(f"{path}: expected at most {max_lines} lines, found more")


def is_number(token: bytes) -> bool:
    return _NUMBER.fullmatch(token) is not None


def joints(where: str, tokens: list[bytes]) -> list[float]:
    """The tokens of a label as numbers: of any size, or NaN or infinity, which make this label doubtful and no other.

    InputError for the first token that is no number.
    """
    try:
        return floats(where, tokens)
    except InputError:
        if all(is_number(token) or token.lower().lstrip(b"+-") in (b"nan", b"inf") for token in tokens):
            return [float(token) for token in tokens]
        raise


def floats(where: str, tokens: list[bytes]) -> list[float]:
    """The tokens as numbers of at most MAX_VALUE in size. InputError for the first token that is not."""
    try:
        values = [float(token) for token in tokens]
    except ValueError:
        values = []
    if len(values) != len(tokens) or not all(abs(value) <= MAX_VALUE for value in values) or b"_" in b"".join(tokens):
        bad = next(token for token in tokens if not (is_number(token) and abs(float(token)) <= MAX_VALUE))
        raise InputError(f"{where}: expected a number of size at most {MAX_VALUE:.0f}, found {shown(bad)}")
    return values


def shown(token: bytes | str) -> str:
    """A token for a message: quoted, and cut where it is long."""
    text = token.decode("ascii", errors="replace") if isinstance(token, bytes) else token
    return repr(text if len(text) <= 40 else f"{text[:40]}...")
