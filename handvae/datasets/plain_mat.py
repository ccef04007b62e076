"""Reads and writes MATLAB 5 files (.mat, versions 5 to 7) that hold plain numbers.

scipy.io.loadmat would not do: it allocates what a file merely claims (300 bytes that claim 768 MiB take 768 MiB), and
it holds a whole array where one row of three is wanted. Here all sizes are checked against each other first, memory
grows only with numbers that are there, and every byte of the file is read, so that damage is found wherever it is.
"""

import math
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from handvae.base.atomic import replacing_file
from handvae.base.errors import InputError
from handvae.datasets import plain_file

# A file is a header and data elements; an element is its type, its size and its content, padded to 8 bytes.
_HEADER_BYTES, _PLAIN_VERSION, _HDF5_VERSION = 128, 0x0100, 0x0200
_INT8, _UINT16, _INT32, _UINT32, _DOUBLE, _MATRIX, _COMPRESSED = 1, 4, 5, 6, 9, 14, 15
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
# A matrix has a class, whatever type its numbers are stored in: 6 to 15 are numeric.
_CELLS_CLASS, _TEXT_CLASS, _DOUBLE_CLASS, _LAST_CLASS = 1, 4, 6, 15
_NOT_NUMBERS = {1: "a cell array", 2: "a struct", 4: "text", 5: "a sparse array"}
_RUNS_CODE = {3: "an object", 16: "a function handle", 17: "an opaque object"}  # when MATLAB loads it
_COMPLEX, _LOGICAL = 0x0800, 0x0200
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")  # what MATLAB allows
_MAX_DIMENSIONS = 32
_MAX_VARIABLES = 1000  # the sets' files hold five at most
_PIECE = 2**18  # bytes in hand at a time; a multiple of every number's size
_MAX_EXACT = 2**53  # from here on float64 skips integers


def read(
    path: Path,
    name: str,
    ndim: int,
    max_bytes: int,
    first: int | None = None,
    max_numbers: int | None = None,
    finite: bool = True,
) -> np.ndarray:
    """Return the numbers of the top-level variable `name`: float64, in MATLAB's shape of `ndim` dimensions as stored.

    With `first`, only index `first` of dimension 0 is kept, and that dimension dropped: memory is 9/8 of the result's,
    not the array's. `max_bytes` is the caller's idea of how large an honest file can be, as it is and inflated, and
    `max_numbers` of how many numbers it keeps: one takes 8 bytes here and may be stored in 1. By default `max_bytes` is
    the limit of the result too.
    InputError if the file is larger, damaged, or no MATLAB 5 file; if it holds anything that would run code in MATLAB;
    if `name` is missing, no real numeric array of `ndim` dimensions, or one of the numbers kept is not finite (unless
    `finite` is False) or too large an integer for float64. Other variables are read to their end but not looked into.
    """
    what = f"a whole MATLAB 5 file with {ndim}-dimensional numbers {name}"
    plain_file.check(path, what)
    try:
        return _read(path, name, ndim, max_bytes, first, max_bytes // 8 if max_numbers is None else max_numbers, finite)
    except (_RefusedError, OSError) as found:
        raise InputError(f"{path}: expected {what}, found {found}") from None


def write(path: Path, variables: dict[str, np.ndarray | list[str]]) -> None:
    """Write `variables` compressed: numbers (2 or more dimensions) as double, a list of text as an N x 1 cell array.

    Equal variables give equal bytes; `path` appears only when it is complete. ValueError for numbers that `read` would
    refuse, text that is not ASCII, names that MATLAB does not allow; struct.error for 4 GiB, too much for the format.
    """
    with replacing_file(path) as partial, partial.open("wb") as file:
        header = b"MATLAB 5.0 MAT-file, written by handvae".ljust(116) + bytes(8)  # no date, no subsystem
        file.write(header + struct.pack("<H2s", _PLAIN_VERSION, b"IM"))
        for name, value in variables.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"expected a name that MATLAB allows, found {name!r}")
            matrix = _cells(name, value) if isinstance(value, list) else _doubles(name, value)
            packer = zlib.compressobj(level=1)  # the last digits of measured numbers do not compress: effort is wasted
            packed = b"".join([packer.compress(part) for part in matrix] + [packer.flush()])
            file.write(struct.pack("<II", _COMPRESSED, len(packed)) + packed)  # the one element without padding


class _RefusedError(ValueError):
    """What was found in place of the numbers."""


class _Stream:
    """The bytes of one matrix, in order, from pieces of at most _PIECE bytes; `left` is what it says it still holds."""

    def __init__(self, pieces: Iterator[bytes], order: str, left: int):
        self.pieces, self.order, self.left, self.held = pieces, order, left, b""

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise _RefusedError("a data element larger than the one around it")
        while len(self.held) < count:
            piece = next(self.pieces, None)
            if piece is None:
                raise _RefusedError("a variable cut short")
            self.held += piece
        taken, self.held = self.held[:count], self.held[count:]
        self.left -= count
        return taken

    def finish(self) -> None:
        while self.left:
            self.take(min(self.left, _PIECE))
        if self.held or any(self.pieces):  # asking for more also lets zlib compare its checksum
            raise _RefusedError("more bytes in a variable than it says")

    def integers(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f"{self.order}{count}I", self.take(4 * count))

    def tag(self) -> tuple[int, int, int]:
        """Return the next element's type, its size and its padding, both in bytes."""
        (kind,) = self.integers(1)
        if not kind >> 16:
            (count,) = self.integers(1)
            return kind, count, -count % 8
        kind, count = kind & 0xFFFF, kind >> 16  # a small element: the tag takes 4 bytes and the content the next 4
        if count > 4:
            raise _RefusedError(f"a small data element of {count:,} bytes")
        return kind, count, 4 - count

    def part(self, what: str, kind: int, sizes: range) -> bytes:
        found, count, padding = self.tag()
        if found != kind or count not in sizes:
            raise _RefusedError(f"{what} of type {found} and {count:,} bytes")
        content = self.take(count)
        self.take(padding)
        return content

    def head(self) -> tuple[str, int, tuple[int, ...]]:
        """Return the variable's name, its class and flags in one word, and its shape."""
        word, _ = struct.unpack(f"{self.order}II", self.part("array flags", _UINT32, range(8, 9)))
        kind = word & 0xFF
        if not 1 <= kind <= _LAST_CLASS or kind in _RUNS_CODE:
            raise _RefusedError(_RUNS_CODE.get(kind, f"a variable of unknown class {kind}"))
        content = self.part("dimensions", _INT32, range(8, 4 * _MAX_DIMENSIONS + 1, 4))
        extents = struct.unpack(f"{self.order}{len(content) // 4}i", content)
        if min(extents) < 0:
            raise _RefusedError(f"a negative dimension ({min(extents)})")
        name = self.part("a variable name", _INT8, range(1, 64)).decode("latin-1")
        if not _NAME.fullmatch(name):
            raise _RefusedError(f"a variable named {name!r}")
        return name, word, extents


def _read(
    path: Path, name: str, ndim: int, max_bytes: int, first: int | None, max_numbers: int, finite: bool
) -> np.ndarray:
    with path.open("rb") as file:
        size = path.stat().st_size
        if size > max_bytes:
            raise _RefusedError(f"{size:,} bytes, more than {max_bytes:,}")
        order = _byte_order(file.read(_HEADER_BYTES))
        numbers, names = None, set()
        for stream in _matrices(file, size, order, max_bytes):
            found, word, extents = stream.head()
            if found in names:
                raise _RefusedError(f"two variables {found}")
            names.add(found)
            if len(names) > _MAX_VARIABLES:
                raise _RefusedError(f"more than {_MAX_VARIABLES:,} variables")
            if found == name:
                _check(word, extents, ndim, first)
                numbers = _numbers(stream, extents, first, max_numbers, finite)
    if numbers is None:
        raise _RefusedError(f"only the variables {sorted(names)[:20]}")
    return numbers


def _byte_order(header: bytes) -> str:
    marks = {b"IM": "<", b"MI": ">"}
    order = marks.get(header[126:])
    version = order and struct.unpack(f"{order}H", header[124:126])[0]
    if header.startswith((b"\x89HDF", b"MATLAB 7.3")) or version == _HDF5_VERSION:
        raise _RefusedError("a MATLAB 7.3 (HDF5) file; in MATLAB, save it with -v7")
    if not header:
        raise _RefusedError("an empty file")
    if re.match(rb"\s*<(!doctype|html)", header, re.IGNORECASE):
        raise _RefusedError("a web page")
    if version != _PLAIN_VERSION:
        raise _RefusedError(f"no such header; the file starts with {header[:20]!r}")
    if header[116:124] not in (bytes(8), b" " * 8):
        raise _RefusedError("a subsystem, where MATLAB keeps objects and function handles")
    return order


def _matrices(file: BinaryIO, size: int, order: str, max_bytes: int) -> Iterator[_Stream]:
    """Yield each top-level variable; the caller takes what it wants of it, the rest is read before the next one."""
    left = max_bytes
    while file.tell() < size:
        tag = file.read(8)
        if len(tag) < 8:
            raise _RefusedError(f"{len(tag)} bytes after the last variable")
        kind, count = struct.unpack(f"{order}II", tag)
        if kind not in (_MATRIX, _COMPRESSED):
            raise _RefusedError(f"a data element of type {kind} where a variable should start")
        if count > size - file.tell():
            raise _RefusedError(f"a file cut short: {size - file.tell():,} bytes of the last variable's {count:,}")
        if kind == _MATRIX:
            stream = _Stream(_plain(file, count), order, count)
        else:
            stream = _Stream(_inflated(file, count), order, 8)
            kind, stream.left = stream.integers(2)
            if kind != _MATRIX:
                raise _RefusedError(f"a compressed data element of type {kind} where a variable should be")
        left -= stream.left
        if left < 0:
            raise _RefusedError(f"variables of more than {max_bytes:,} bytes")
        yield stream
        stream.finish()


def _plain(file: BinaryIO, count: int) -> Iterator[bytes]:
    while piece := file.read(min(count, _PIECE)):
        count -= len(piece)
        yield piece


def _inflated(file: BinaryIO, count: int) -> Iterator[bytes]:
    packed, inflate = _plain(file, count), zlib.decompressobj()
    while not inflate.eof:
        waiting = inflate.unconsumed_tail or next(packed, b"")
        try:
            piece = inflate.decompress(waiting, _PIECE)
        except zlib.error as error:
            raise _RefusedError(f"damaged compressed data ({error})") from None
        if not waiting and not piece:
            raise _RefusedError("compressed data cut short")
        yield piece
    if inflate.unused_data or any(packed):
        raise _RefusedError("bytes after the end of compressed data")


def _check(word: int, extents: tuple[int, ...], ndim: int, first: int | None) -> None:
    what = _NOT_NUMBERS.get(word & 0xFF)
    if what or word & (_COMPLEX | _LOGICAL):
        raise _RefusedError(what or ("complex numbers" if word & _COMPLEX else "logical values"))
    if len(extents) != ndim or 0 in extents or not 0 <= (first or 0) < extents[0]:
        index = "" if first is None else f" where index {first} of the first dimension is wanted"
        raise _RefusedError(f"an array of shape {extents}{index}")


def _numbers(
    stream: _Stream, extents: tuple[int, ...], first: int | None, max_numbers: int, finite: bool
) -> np.ndarray:
    stored, count, padding = stream.tag()
    if stored not in _STORED:
        raise _RefusedError(f"numbers of unknown type {stored}")
    dtype = np.dtype(stream.order + _STORED[stored])
    if count != math.prod(extents) * dtype.itemsize:
        raise _RefusedError(f"{count:,} bytes for an array of shape {extents} and {dtype.itemsize} bytes a number")
    shape = extents if first is None else extents[1:]
    if math.prod(shape) > max_numbers:
        raise _RefusedError(f"{math.prod(shape):,} numbers to keep, more than {max_numbers:,}")
    # A bytearray grows with what is there: the file's claim, checked or not, is never allocated in advance.
    kept, at, rows = bytearray(), 0, 1 if first is None else extents[0]
    while count:
        piece = np.frombuffer(stream.take(min(count, _PIECE)), dtype)
        offset = ((first or 0) - at) % rows
        kept += _exact(piece[offset::rows], extents, at + offset, rows, finite).data
        at, count = at + len(piece), count - piece.nbytes
    stream.take(padding)
    if stream.left:
        raise _RefusedError(f"{stream.left:,} bytes after the last number")
    return np.frombuffer(kept, np.float64).reshape(shape, order="F")


def _exact(stored: np.ndarray, extents: tuple[int, ...], start: int, step: int, finite: bool = True) -> np.ndarray:
    """Return the numbers as float64; number i of `stored` is number start + i * step of the whole array."""
    values = stored.astype(np.float64)
    wrong = ~np.isfinite(values) & finite if stored.dtype.kind == "f" else np.abs(values) >= _MAX_EXACT
    if wrong.any():
        i = int(np.argmax(wrong))
        index = tuple(map(int, np.unravel_index(start + i * step, extents, order="F")))
        raise _RefusedError(f"the number {values[i]} at index {index}")
    return values


def _element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def _matrix_head(kind: int, extents: tuple[int, ...], name: str) -> bytes:
    flags, dimensions = struct.pack("<II", kind, 0), struct.pack(f"<{len(extents)}i", *extents)
    return _element(_UINT32, flags) + _element(_INT32, dimensions) + _element(_INT8, name.encode())


def _doubles(name: str, array: np.ndarray) -> list[bytes | memoryview]:
    """Return the bytes of a matrix of doubles, in parts."""
    if array.dtype.kind not in "fiu" or array.ndim < 2 or not array.size:
        raise ValueError(f"{name}: expected numbers in 2 or more dimensions, found {array.dtype} {array.shape}")
    numbers = _exact(array.ravel("F"), array.shape, 0, 1).astype("<f8", copy=False)
    head = _matrix_head(_DOUBLE_CLASS, array.shape, name) + struct.pack("<II", _DOUBLE, numbers.nbytes)
    return [struct.pack("<II", _MATRIX, len(head) + numbers.nbytes) + head, numbers.data]


def _cells(name: str, texts: list[str]) -> list[bytes]:
    """Return the bytes of an N x 1 cell array of rows of text, in parts."""
    content = _matrix_head(_CELLS_CLASS, (len(texts), 1), name)
    for text in texts:
        text.encode("ascii")  # raises for what MATLAB and scipy would read in different ways
        head = _matrix_head(_TEXT_CLASS, (min(len(text), 1), len(text)), "")
        content += _element(_MATRIX, head + _element(_UINT16, text.encode("utf-16-le")))
    return [_element(_MATRIX, content)]
