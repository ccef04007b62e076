"""PNG files, strictly: a file is whole, of the expected kind and depth and of sane size, or it is an InputError.

Pillow alone accepts wrong checksums in the pixel data, fills missing rows with black, obeys the last of two headers and
quietly reduces 16-bit colour to 8; none of it may pass here. So it never sees the file: the chunks are walked and the
pixels inflated here, and Pillow only undoes the rows' filters. Chunks that say how to show the pixels are left out.
Files are written here as well: to try every filter on every row, as Pillow does, takes twice as long.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from handvae.base.atomic import write_bytes
from handvae.base.errors import InputError
from handvae.datasets import plain_file

MAX_SIDE_PX = 4096
MAX_FILE_BYTES = 64 * 2**20
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KINDS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGBA"}  # PNG colour types
# Pillow's names for the pixels in memory and in a PNG, and the bytes that one takes in it
_MODES = {(8, "grey"): ("L", "L", 1), (16, "grey"): ("I;16", "I;16B", 2), (8, "RGB"): ("RGB", "RGB", 3)}
_UP = 2  # the filter "difference to the row above"
_ANCILLARY = 0x20  # the bit of a chunk's first letter that says a reader may ignore it


def read_rgb_u8(path: Path) -> np.ndarray:
    """(H, W, 3) uint8. InputError if `path` is missing, damaged, or no 8-bit RGB PNG."""
    return _read(path, 8, "RGB")


def read_grey_u8(path: Path) -> np.ndarray:
    """(H, W) uint8. InputError if `path` is missing, damaged, or no 8-bit single-channel PNG."""
    return _read(path, 8, "grey")


def read_grey_u16(path: Path) -> np.ndarray:
    """(H, W) uint16. InputError if `path` is missing, damaged, or no 16-bit single-channel PNG."""
    return _read(path, 16, "grey")


def write_u8(path: Path, image_u8: np.ndarray) -> None:
    """Write (H, W, 3) as RGB or (H, W) as grey, whole or not at all."""
    if image_u8.dtype != np.uint8 or image_u8.shape[2:] not in ((), (3,)):
        raise InputError(f"{path}: expected a uint8 image (H, W) or (H, W, 3), found {image_u8.dtype} {image_u8.shape}")
    _write(path, image_u8)


def write_u16(path: Path, image_u16: np.ndarray) -> None:
    """Write (H, W) as 16-bit grey, whole or not at all."""
    if image_u16.dtype != np.uint16 or image_u16.ndim != 2:
        raise InputError(f"{path}: expected a uint16 image (H, W), found {image_u16.dtype} {image_u16.shape}")
    _write(path, image_u16)


def _write(path: Path, image: np.ndarray) -> None:
    height, width = image.shape[:2]
    rows = np.ascontiguousarray(image, image.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    filtered = np.full((height, 1 + rows.shape[1]), _UP, np.uint8)
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8 * image.itemsize, 2 if image.ndim == 3 else 0, 0, 0, 0)
    # level 1: a few percent larger than the default and several times faster
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered, level=1)), (b"IEND", b""))
    write_bytes(path, _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _read(path: Path, bits: int, kind: str) -> np.ndarray:
    width, height, packed = _parts(path, plain_file.read(path, MAX_FILE_BYTES, _a_png(bits, kind)), bits, kind)
    mode, stored_mode, pixel_bytes = _MODES[bits, kind]
    try:
        rows = _inflated(packed, height * (1 + width * pixel_bytes))
        image = Image.frombytes(mode, (width, height), zlib.compress(rows, level=0), "zip", stored_mode)
    except (zlib.error, ValueError) as error:
        raise InputError(f"{path}: expected a whole PNG, found one that does not decode ({error})") from None
    return np.array(image)


def _a_png(bits: int, kind: str) -> str:
    return f"{'an' if bits == 8 else 'a'} {bits}-bit {kind} PNG"


def _parts(path: Path, data: bytes, bits: int, kind: str) -> tuple[int, int, bytearray]:
    """Walk the chunks, header of the expected kind first: return width, height and the compressed rows."""
    if data[:8] != _SIGNATURE:
        raise InputError(f"{path}: expected a PNG, found {'an empty file' if not data else 'another format'}")
    position, chunk, packed = 8, b"", bytearray()
    while chunk != b"IEND":
        if position + 12 > len(data):
            raise InputError(f"{path}: expected a whole PNG, found it cut after {len(data):,} bytes")
        (length,) = struct.unpack_from(">I", data, position)
        chunk, start, end = data[position + 4 : position + 8], position + 8, position + 8 + length
        if end + 4 > len(data):
            raise InputError(f"{path}: expected a whole PNG, found it cut after {len(data):,} bytes")
        if zlib.crc32(memoryview(data)[start - 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise InputError(f"{path}: expected a whole PNG, found a wrong checksum at byte {position:,}")
        if position == 8:
            width, height = _size(path, chunk, data[start:end], bits, kind)
        elif chunk == b"IDAT":
            packed += memoryview(data)[start:end]
        elif not chunk[0] & _ANCILLARY and chunk not in (b"PLTE", b"IEND"):  # a palette beside RGB only suggests
            raise InputError(f"{path}: expected a plain PNG, found chunk {chunk!r} at byte {position:,}")
        position = end + 4
    return width, height, packed


def _size(path: Path, chunk: bytes, header: bytes, bits: int, kind: str) -> tuple[int, int]:
    if chunk != b"IHDR" or len(header) != 13:
        raise InputError(f"{path}: expected a PNG header, found chunk {chunk!r} of {len(header)} bytes")
    width, height, found_bits, colour, *methods = struct.unpack(">IIBBBBB", header)
    if not (1 <= width <= MAX_SIDE_PX and 1 <= height <= MAX_SIDE_PX):
        raise InputError(f"{path}: expected 1 to {MAX_SIDE_PX} px a side, found {width}x{height}")
    found_kind = _KINDS.get(colour, "unknown colour")
    if (found_bits, found_kind) != (bits, kind):
        raise InputError(f"{path}: expected {_a_png(bits, kind)}, found {found_bits}-bit {found_kind}")
    if methods != [0, 0, 0]:
        raise InputError(f"{path}: expected compression, filter and interlacing 0, 0, 0 in the header, found {methods}")
    return width, height


def _inflated(packed: bytearray, count: int) -> bytes:
    """The rows, each with its filter's number in front: exactly the `count` bytes that the image takes."""
    inflate = zlib.decompressobj()
    rows = inflate.decompress(packed, count + 1)
    if len(rows) > count or inflate.unused_data:
        raise ValueError(f"more than {count:,} bytes of pixels")
    if len(rows) < count or not inflate.eof:
        raise ValueError(f"pixels cut after {len(rows):,} of {count:,} bytes")
    return rows
