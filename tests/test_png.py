import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from handvae.base.errors import InputError
from handvae.datasets import png

U16 = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60) * 27  # both bytes vary


@pytest.mark.parametrize("image", [U16, np.array([[0, 1, 255, 256, 32001, 65535]], np.uint16)])
def test_16_bit_grey_comes_back(tmp_path, image):
    png.write_u16(tmp_path / "a.png", image)
    found = png.read_grey_u16(tmp_path / "a.png")
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 3)])
def test_8_bit_images_come_back(tmp_path, shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    png.write_u8(tmp_path / "a.png", image)
    found = (png.read_grey_u8 if len(shape) == 2 else png.read_rgb_u8)(tmp_path / "a.png")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, image)


def test_each_reader_refuses_the_kinds_of_the_others(tmp_path):
    readers = {"8-bit grey": png.read_grey_u8, "8-bit RGB": png.read_rgb_u8, "16-bit grey": png.read_grey_u16}
    png.write_u8(tmp_path / "8-bit grey", np.zeros((4, 5), np.uint8))
    png.write_u8(tmp_path / "8-bit RGB", np.zeros((4, 5, 3), np.uint8))
    png.write_u16(tmp_path / "16-bit grey", np.zeros((4, 5), np.uint16))
    for wanted, read in readers.items():
        for found in readers:
            if found == wanted:
                read(tmp_path / found)
            else:
                with pytest.raises(InputError, match=rf"{found}: expected an? {wanted} PNG, found {found}$"):
                    read(tmp_path / found)


def test_a_missing_file_is_named_with_what_it_should_be(tmp_path):
    with pytest.raises(InputError, match=r"none.png: expected a 16-bit grey PNG, found no file"):
        png.read_grey_u16(tmp_path / "none.png")


def test_what_is_no_file_is_refused_at_once(tmp_path):
    """A named pipe would wait for ever."""
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", tmp_path):
        with pytest.raises(InputError, match=f"^{path}: expected an 8-bit RGB PNG, found something else$"):
            png.read_rgb_u8(path)


def test_a_damaged_16_bit_image_is_never_read(tmp_path):
    path = tmp_path / "a.png"
    png.write_u16(path, U16)
    whole = path.read_bytes()
    for position in range(8, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        with pytest.raises(InputError):
            png.read_grey_u16(path)
        path.write_bytes(whole[:position])
        with pytest.raises(InputError):
            png.read_grey_u16(path)


@pytest.mark.parametrize("image", [np.zeros((4, 5, 3), np.uint16), np.zeros((4, 5), np.int32)])
def test_what_is_no_16_bit_image_is_not_written(tmp_path, image):
    with pytest.raises(InputError, match="expected a uint16 image"):
        png.write_u16(tmp_path / "a.png", image)
    assert not list(tmp_path.iterdir())


# files built by hand, chunk by chunk

RGB = np.random.default_rng(1).integers(0, 256, (4, 5, 3), np.uint8)
READERS = {(8, 2): png.read_rgb_u8, (8, 0): png.read_grey_u8, (16, 0): png.read_grey_u16}
IMAGES = {(8, 2): RGB, (8, 0): RGB[..., 0], (16, 0): RGB[..., 0] * np.uint16(257)}


def chunk(name: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def header(bits=8, colour=2, compression=0, filtering=0, interlace=0, width=5, height=4) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, compression, filtering, interlace))


def rows(image: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.astype(image.dtype.newbyteorder(">")).tobytes() for row in image)


def packed(content: bytes) -> bytes:
    return chunk(b"IDAT", zlib.compress(content))


def read(tmp_path, *chunks: bytes, kind=(8, 2)) -> np.ndarray:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND"))
    return READERS[kind](tmp_path / "a.png")


SIDE_CHUNKS = [
    *[
        chunk(b"tRNS", bytes(6)),
        chunk(b"gAMA", struct.pack(">I", 1)),
        chunk(b"sBIT", b"\1\1\1"),
        chunk(b"PLTE", bytes(30)),
    ],
    # Pillow raises IndexError for the first, warns of the second, and refuses the third
    *[chunk(b"iCCP"), chunk(b"acTL", bytes(8)), chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(10**7), 9))],
]


@pytest.mark.parametrize("kind", READERS)
def test_chunks_that_say_how_to_show_the_pixels_change_nothing(tmp_path, kind):
    pixels = zlib.compress(rows(IMAGES[kind]))
    for around in ([b"", b""], *[[side, b""] for side in SIDE_CHUNKS], *[[b"", side] for side in SIDE_CHUNKS]):
        parts = [chunk(b"IDAT", pixels[:7]), chunk(b"IDAT"), chunk(b"IDAT", pixels[7:])]
        found = read(tmp_path, header(*kind), around[0], *parts, around[1], kind=kind)
        assert found.dtype == IMAGES[kind].dtype and (found == IMAGES[kind]).all()


@pytest.mark.parametrize("kind", READERS)
def test_only_one_header_and_no_unknown_critical_chunk(tmp_path, kind):
    """Pillow obeys the last header, whatever it says."""
    image, second = (
        IMAGES[kind],
        {"palette": header(8, 3), "bits": header(1, 0), "RGBA": header(8, 6), "same": header(*kind)},
    )
    for more in (*second.values(), header(*kind, width=9000, height=9000), chunk(b"CgBI", b"1234"), chunk(b"\0\0\0\0")):
        for parts in ([more, packed(rows(image))], [packed(rows(image)), more]):
            with pytest.raises(InputError, match=r"a.png: expected a plain PNG, found chunk b'.*' at byte \d+$"):
                read(tmp_path, header(*kind), *parts, kind=kind)


@pytest.mark.parametrize("kind", READERS)
def test_the_pixels_are_exactly_as_many_as_the_header_says(tmp_path, kind):
    """Pillow fills rows that are not there with zeros."""
    content = rows(IMAGES[kind])
    pixels, count = zlib.compress(content), len(content)
    for parts, found in {
        (): f"pixels cut after 0 of {count} bytes",
        (packed(b""),): f"pixels cut after 0 of {count} bytes",
        (packed(content[:-1]),): f"pixels cut after {count - 1} of {count} bytes",
        (packed(content[: count // 2]),): f"pixels cut after {count // 2} of {count} bytes",
        (chunk(b"IDAT", pixels[:-4]),): f"pixels cut after {count} of {count} bytes",
        (packed(content + b"\0"),): f"more than {count} bytes of pixels",
        (packed(content + bytes(10**7)),): f"more than {count} bytes of pixels",
        (packed(content), packed(content)): f"more than {count} bytes of pixels",
        (chunk(b"IDAT", pixels[:-1] + bytes([pixels[-1] ^ 1])),): ".*incorrect data check",
        (chunk(b"IDAT", b"no zlib"),): ".*incorrect header check",
        (packed(b"\5" + content[1:]),): "cannot decode image data",  # there are filters 0 to 4
    }.items():
        message = rf"a.png: expected a whole PNG, found one that does not decode \({found}\)$"
        with pytest.raises(InputError, match=message):
            read(tmp_path, header(*kind), *parts, kind=kind)


@pytest.mark.parametrize("methods", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 7)])
def test_unknown_methods_and_interlaced_images_are_refused(tmp_path, methods):
    with pytest.raises(InputError, match=rf"0, 0, 0 in the header, found \[{', '.join(map(str, methods))}\]$"):
        read(tmp_path, header(8, 2, *methods), packed(rows(RGB)))


def test_every_filter_is_undone_as_pillow_does(tmp_path):
    """Pillow's encoder chooses a filter for every row: smooth and random rows take different ones."""
    y, x = np.mgrid[:90, :70]
    smooth = np.stack([x + y, 2 * x, (x * y) // 16], axis=-1).astype(np.uint8)
    smooth[60:] = np.random.default_rng(2).integers(0, 256, (30, 70, 3))
    smooth[80:] = 9
    for image, read_image in ((smooth, png.read_rgb_u8), (smooth[..., 0], png.read_grey_u8)):
        Image.fromarray(image).save(tmp_path / "a.png")
        assert (read_image(tmp_path / "a.png") == image).all()
