"""PNG files: read by Pillow if whole, of sane size and of the expected format, else an InputError; and written.

Pillow's own writer tries every filter on every row, which takes twice as long.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from handvae.base.atomic import write_bytes
from handvae.base.errors import InputError
from handvae.datasets import plain_file

RGB_U8, GREY_U8, GREY_U16 = "8-bit RGB", "8-bit grey", "16-bit grey"
_MAX_SIDE_PX, _MAX_FILE_BYTES = 4096, 64 * 2**20
_COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGBA"}  # PNG colour types
_SIGNATURE, _START_BYTES = b"\x89PNG\r\n\x1a\n", 29  # a header follows at once
_UP = 2  # the filter "difference to the row above"


def read_rgb_u8(path: Path, convert: bool = False) -> np.ndarray:
    """(H, W, 3) uint8 of an 8-bit RGB PNG, or with `convert` of any with 1 to 8 bits; transparency is left out."""
    return _read(path, RGB_U8, convert)


def read_grey_u8(path: Path, convert: bool = False) -> np.ndarray:
    """(H, W) uint8 of an 8-bit grey PNG; with `convert` also a palette's indices, and 8-bit colours if all are grey."""
    return _read(path, GREY_U8, convert)


def read_grey_u16(path: Path) -> np.ndarray:
    """(H, W) uint16 of a 16-bit grey PNG."""
    return _read(path, GREY_U16, False)


def format_name(path: Path) -> str:
    """The format in a PNG's header: "8-bit RGB", "4-bit palette, interlaced". InputError if it is no PNG."""
    with plain_file.opened(path, "a PNG") as file:
        return _format_name(path, file.read(_START_BYTES))


def write(path: Path, image: np.ndarray) -> None:
    """Write (H, W, 3) uint8 as RGB or (H, W) uint8 or uint16 as grey, whole or not at all."""
    if (image.dtype, image.shape[2:]) not in ((np.uint8, (3,)), (np.uint8, ()), (np.uint16, ())):
        raise InputError(
            f"{path}: expected an image (H, W, 3) uint8 or (H, W) uint8 or uint16, found {image.shape} {image.dtype}"
        )
    height, width = image.shape[:2]
    rows = np.ascontiguousarray(image, image.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    filtered = np.full((height, 1 + rows.shape[1]), _UP, np.uint8)
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8 * image.itemsize, 2 if image.ndim == 3 else 0, 0, 0, 0)
    # level 1: a few percent larger than the default and several times faster
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered, level=1)), (b"IEND", b""))
    write_bytes(path, _SIGNATURE + b"".join(_chunk(name, data) for name, data in chunks))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))


def _read(path: Path, wanted: str, convert: bool) -> np.ndarray:
    """InputError if `path` is missing, damaged, too large, or neither what is `wanted` nor can be converted to it."""
    expected = f"{'a' if wanted == GREY_U16 else 'an'} {wanted} PNG"
    data = plain_file.read(path, _MAX_FILE_BYTES, expected)
    actual, image = _format_name(path, data), _decoded(path, data)
    if actual == wanted:
        return np.array(image)
    if convert and wanted == RGB_U8 and not actual.startswith("16"):
        return np.array(image.convert("RGBA").convert("RGB"))  # at once, Pillow warns of transparent palettes
    bands = [np.array(band) for band in image.split()][: 3 if image.mode.startswith("RGB") else 1]
    exact = image.mode == "P" or actual.startswith("8")  # grey of fewer bits is spread over 0 to 255
    if convert and wanted == GREY_U8 and exact and all(np.array_equal(bands[0], band) for band in bands):
        return bands[0]
    raise InputError(f"{path}: expected {expected}, found {actual}")


def _format_name(path: Path, data: bytes) -> str:
    if len(data) < _START_BYTES or not data.startswith(_SIGNATURE):
        raise InputError(f"{path}: expected a PNG, found {'another format' if data else 'an empty file'}")
    bits, colour, _, _, interlaced = data[_START_BYTES - 5 : _START_BYTES]
    return f"{bits}-bit {_COLOURS.get(colour, 'unknown colour')}{', interlaced' if interlaced else ''}"


def _decoded(path: Path, data: bytes) -> Image.Image:
    try:
        Image.open(io.BytesIO(data), formats=["PNG"]).verify()  # the checksums, at which decoding does not look
        image = Image.open(io.BytesIO(data), formats=["PNG"])
        if max(image.size) > _MAX_SIDE_PX:
            raise ValueError(f"{image.width}x{image.height} px, more than {_MAX_SIDE_PX:,} a side")
        image.load()
        return image
    except Exception as error:  # whatever damage leads to
        damage = "a damaged header" if isinstance(error, UnidentifiedImageError) else error
        raise InputError(f"{path}: expected a whole PNG, found one that does not decode ({damage})") from None
