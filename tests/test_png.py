import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from handvae.datasets import png
from tests.damage import COPIES, damaged, refusal, refused_or

RNG = np.random.default_rng(0)
RGB_U8 = RNG.integers(0, 256, (40, 60, 3), np.uint8)
GREY_U8 = RNG.integers(0, 34, (40, 60), np.uint8)
GREY_U16 = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60) * 27  # both bytes vary
READERS = {
    "8-bit RGB": (png.read_rgb_u8, RGB_U8),
    "8-bit grey": (png.read_grey_u8, GREY_U8),
    "16-bit grey": (png.read_grey_u16, GREY_U16),
}


def saved(tmp_path, image: Image.Image, **options):
    image.save(tmp_path / "a.png", **options)
    return tmp_path / "a.png"


@pytest.mark.parametrize("kind", READERS)
def test_what_is_written_comes_back_and_pillow_reads_the_same(tmp_path, kind):
    read, image = READERS[kind]
    png.write(tmp_path / "a.png", image)
    assert png.kind(tmp_path / "a.png") == kind
    for read_back in (read(tmp_path / "a.png"), np.array(Image.open(tmp_path / "a.png"))):
        assert read_back.dtype == image.dtype and np.array_equal(read_back, image)


def own_pictures() -> dict[str, tuple[Image.Image, dict]]:
    rgb = Image.fromarray(RGB_U8)
    return {
        "8-bit RGBA": (rgb.convert("RGBA"), {}),
        "8-bit palette": (rgb.quantize(200), {"transparency": bytes(range(200))}),
        "4-bit palette": (rgb.quantize(16), {}),
        "8-bit grey with alpha": (rgb.convert("LA"), {}),
        "1-bit grey": (rgb.convert("1"), {}),
    }


@pytest.mark.parametrize("kind", own_pictures())
def test_colour_pictures_of_ones_own_are_converted_and_others_refused(tmp_path, kind):
    image, options = own_pictures()[kind]
    path = saved(tmp_path, image, **options)
    assert png.kind(path) == kind
    assert refusal(png.read_rgb_u8, path).endswith(f"expected an 8-bit RGB PNG, found {kind}")
    assert np.array_equal(png.read_rgb_u8(path, convert=True), np.array(image.convert("RGBA"))[..., :3])


@pytest.mark.parametrize("mode", ["P", "LA", "RGB", "RGBA"])
def test_masks_of_ones_own_keep_their_labels(tmp_path, mode):
    image = Image.fromarray(GREY_U8)
    if mode == "P":
        image.putpalette(RNG.integers(0, 256, 768).tolist())  # a mask to look at: any colour for a label
    path = saved(tmp_path, image if mode == "P" else image.convert(mode))
    assert "expected an 8-bit grey PNG, found 8-bit " in refusal(png.read_grey_u8, path)
    assert np.array_equal(png.read_grey_u8(path, convert=True), GREY_U8)


def test_masks_whose_labels_cannot_be_told_are_refused_and_so_are_numbers_of_16_bits(tmp_path):
    for image in (Image.fromarray(RGB_U8), Image.fromarray(GREY_U8 > 9), Image.fromarray(GREY_U16)):
        assert "expected an 8-bit grey PNG" in refusal(png.read_grey_u8, saved(tmp_path, image), True)
    assert "found 16-bit grey" in refusal(png.read_rgb_u8, tmp_path / "a.png", True)


def chunk(name: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def by_hand(width=1, height=1, bits=8, pixels=b"\0\1\2\3") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND")


def test_what_is_no_file_or_no_png_is_named(tmp_path):
    path = tmp_path / "a.png"
    assert f"{path}: expected an 8-bit RGB PNG, found no file" in refusal(png.read_rgb_u8, path)
    path.touch()
    assert f"{path}: expected a PNG, found an empty file" in refusal(png.read_rgb_u8, path)
    Image.new("RGB", (4, 5)).save(path, "JPEG")
    assert f"{path}: expected a PNG, found another format" in refusal(png.read_rgb_u8, path)


@pytest.mark.parametrize(
    "content, expected",
    [
        (by_hand(5000), "5000x1 px, more than 4,096 a side"),
        (by_hand(2**31 - 1, 2**31 - 1), "exceeds limit"),  # of Pillow
        (by_hand(bits=16, pixels=bytes(7)), "found 16-bit RGB"),  # Pillow would drop half of the bits
        (by_hand(64, 48), "does not decode"),
    ],
)
def test_pictures_that_claim_too_much_or_hold_too_little_are_refused(tmp_path, content, expected):
    (tmp_path / "a.png").write_bytes(content)
    assert expected in refusal(png.read_rgb_u8, tmp_path / "a.png")


@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_picture_is_the_same_or_refused(tmp_path, kind):
    (read, image), path, rng = READERS[kind], tmp_path / "a.png", np.random.default_rng(1)
    png.write(path, image)
    copies = [damaged(path.read_bytes(), b"<html></html>", rng) for _ in range(COPIES)]
    assert refused_or(lambda: np.testing.assert_array_equal(read(path), image), path, copies) > 190
