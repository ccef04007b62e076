"""PNG files, strictly: a file is whole, of the expected kind and depth and of sane size, or it is an InputError.

Pillow alone accepts wrong checksums in the pixel data and quietly reduces 16-bit colour to 8; neither may pass here.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from handvae.base.atomic import replacing_file
from handvae.base.errors import InputError

MAX_SIDE_PX = 4096
MAX_FILE_BYTES = 64 * 2**20
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KINDS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGBA"}  # PNG colour types


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
    with replacing_file(path) as partial:
        # Level 1: a few percent larger than the default and several times faster.
        Image.fromarray(image).save(partial, format="PNG", compress_level=1)


def _read(path: Path, bits: int, kind: str) -> np.ndarray:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise InputError(f"{path}: expected a PNG of at most {MAX_FILE_BYTES:,} bytes, found {size:,}")
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: expected {_a_png(bits, kind)}, found no file") from None
    _check_chunks(path, data, bits, kind)
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            image.load()
            return np.array(image)
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ) as error:
        raise InputError(f"{path}: expected a whole PNG, found one that does not decode ({error})") from None


def _a_png(bits: int, kind: str) -> str:
    return f"{'an' if bits == 8 else 'a'} {bits}-bit {kind} PNG"


def _check_chunks(path: Path, data: bytes, bits: int, kind: str) -> None:
    """Walk the chunks: header of the expected kind and size first, every checksum right, the end chunk there."""
    if data[:8] != _SIGNATURE:
        raise InputError(f"{path}: expected a PNG, found {'an empty file' if not data else 'another format'}")
    position, chunk = 8, b""
    while chunk != b"IEND":
        if position + 12 > len(data):
            raise InputError(f"{path}: expected a whole PNG, found it cut after {len(data):,} bytes")
        (length,) = struct.unpack_from(">I", data, position)
        chunk, end = data[position + 4 : position + 8], position + 8 + length
        if end + 4 > len(data):
            raise InputError(f"{path}: expected a whole PNG, found it cut after {len(data):,} bytes")
        if zlib.crc32(memoryview(data)[position + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise InputError(f"{path}: expected a whole PNG, found a wrong checksum at byte {position:,}")
        if position == 8:
            _check_header(path, chunk, data[position + 8 : end], bits, kind)
        position = end + 4


def _check_header(path: Path, chunk: bytes, header: bytes, bits: int, kind: str) -> None:
    if chunk != b"IHDR" or len(header) != 13:
        raise InputError(f"{path}: expected a PNG header, found chunk {chunk!r} of {len(header)} bytes")
    width, height, found_bits, colour = struct.unpack(">IIBB", header[:10])
    if not (1 <= width <= MAX_SIDE_PX and 1 <= height <= MAX_SIDE_PX):
        raise InputError(f"{path}: expected 1 to {MAX_SIDE_PX} px a side, found {width}x{height}")
    found_kind = _KINDS.get(colour, "unknown colour")
    if (found_bits, found_kind) != (bits, kind):
        raise InputError(f"{path}: expected {_a_png(bits, kind)}, found {found_bits}-bit {found_kind}")
