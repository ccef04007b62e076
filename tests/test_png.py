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
    assert png.format_name(tmp_path / "a.png") == kind
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
    assert png.format_name(path) == kind
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


def test_what_is_no_file_or_no_png_or_too_large_is_named(tmp_path):
    path = tmp_path / "a.png"
    assert f"{path}: expected an 8-bit RGB PNG, found no file" in refusal(png.read_rgb_u8, path)
    path.touch()
    assert f"{path}: expected a PNG, found an empty file" in refusal(png.read_rgb_u8, path)
    Image.new("RGB", (4, 5)).save(path, "JPEG")
    assert f"{path}: expected a PNG, found another format" in refusal(png.read_rgb_u8, path)
    Image.new("RGB", (5000, 1)).save(path)
    assert "5000x1 px, more than 4,096 a side" in refusal(png.read_rgb_u8, path)


@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_picture_is_the_same_or_refused(tmp_path, kind):
    (read, image), path, rng = READERS[kind], tmp_path / "a.png", np.random.default_rng(1)
    png.write(path, image)
    copies = [damaged(path.read_bytes(), b"<html></html>", rng) for _ in range(COPIES)]
    assert refused_or(lambda: np.testing.assert_array_equal(read(path), image), path, copies) > 190


def test_colours_of_16_bits_of_which_pillow_would_drop_half_are_refused(tmp_path):
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(7))), (b"IEND", b""))
    (tmp_path / "a.png").write_bytes(png._SIGNATURE + b"".join(png._chunk(*chunk) for chunk in chunks))
    assert "found 16-bit RGB" in refusal(png.read_rgb_u8, tmp_path / "a.png", True)
