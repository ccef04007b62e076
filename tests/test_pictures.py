"""Pictures as people have them: every mode comes in as RGB, turned right, and what is none is named in one line."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from handvae.base.errors import InputError
from handvae.prediction import pictures

ORIENTATION = 0x0112  # EXIF's tag
RGB = np.kron(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
GREY_U16 = (RGB[..., 0].astype(np.uint16) << 8) + 17


def saved(path, values, mode="RGB", **options):
    Image.fromarray(values).convert(mode).save(path, **options)
    return path


def test_photographs_are_turned_as_their_exif_says(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # taken upright, stored lying
    path = saved(tmp_path / "a.png", np.rot90(RGB), exif=exif)
    assert np.array_equal(pictures.read_rgb_u8(path), RGB)


def test_a_damaged_tag_of_exif_does_not_keep_a_photograph_from_being_turned(tmp_path):
    tags = struct.pack("<HHIHxx", ORIENTATION, 3, 1, 6) + struct.pack("<HHI4s", 0x011A, 2, 3, b"72")  # a number as text
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + tags + bytes(4)
    path = saved(tmp_path / "a.jpg", np.rot90(RGB), exif=exif, quality=95, subsampling=0)
    assert np.abs(pictures.read_rgb_u8(path).astype(int) - RGB).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 10))
def test_pictures_are_turned_as_pillow_turns_them(tmp_path, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = saved(tmp_path / "a.png", RGB, exif=exif)
    with Image.open(path) as image:
        assert np.array_equal(pictures.read_rgb_u8(path), ImageOps.exif_transpose(image))


def test_pictures_whose_range_is_not_known_are_refused(tmp_path):
    for name, values in (("share.tif", np.float32(RGB[..., 0]) / 255), ("whole.tif", RGB[..., 0].astype(np.int32))):
        Image.fromarray(values).save(tmp_path / name)
        with pytest.raises(InputError, match=rf"{name}: expected 8 or 16 bits a channel, found 32"):
            pictures.read_rgb_u8(tmp_path / name)
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 4000\n" + np.array([600, 0], ">u2").tobytes())
    with pytest.raises(InputError, match=r"a\.pgm: expected depth in mm as PNG or TIFF, found PGM"):
        pictures.read_depth_mm(tmp_path / "a.pgm")


def test_every_mode_becomes_rgb_transparent_pixels_white_and_16_bit_grey_keeps_its_range(tmp_path):
    grey = np.asarray(Image.fromarray(RGB).convert("L"))[..., None].repeat(3, axis=2)
    assert np.array_equal(pictures.read_rgb_u8(saved(tmp_path / "grey.webp", RGB, "L", lossless=True)), grey)
    assert np.array_equal(pictures.read_rgb_u8(saved(tmp_path / "print.tif", RGB, "CMYK")), RGB)
    rgba = np.dstack([RGB, np.zeros(RGB.shape[:2], np.uint8)])
    assert (pictures.read_rgb_u8(saved(tmp_path / "clear.png", rgba, "RGBA")) == 255).all()
    Image.fromarray(GREY_U16).save(tmp_path / "depth.png")
    assert np.array_equal(pictures.read_rgb_u8(tmp_path / "depth.png"), RGB[..., :1].repeat(3, axis=2))
    assert np.array_equal(pictures.read_depth_mm(tmp_path / "depth.png"), GREY_U16.astype(np.float32))


def claiming(path, width, height):
    """A small PNG whose header claims another size."""
    content = bytearray(saved(path, RGB).read_bytes())
    content[16:24] = struct.pack(">2I", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("size", [(13_000, 10_000), (20_000, 20_000), (20_001, 10)])  # Pillow refuses the second
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, size, recwarn):
    with pytest.raises(InputError, match=r"huge\.png: expected at most 120 million pixels.*; make it smaller first"):
        pictures.read_rgb_u8(claiming(tmp_path / "huge.png", *size))
    assert not recwarn.list  # Pillow's own limit warns first


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5])
def test_damaged_pictures_are_named(tmp_path, share):
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "png")
    path = tmp_path / "cut.png"
    path.write_bytes(buffer.getvalue()[: int(share * len(buffer.getvalue()))])
    with pytest.raises(InputError, match=r"cut\.png: expected a (whole )?picture"):
        pictures.read_rgb_u8(path)


def test_a_folder_gives_its_pictures_in_order_and_names_the_rest(tmp_path, capsys):
    for name in ("b.JPG", "a.png", ".DS_Store", "Thumbs.db", "notes.txt", "c.mp4"):
        (tmp_path / name).touch()
    assert pictures.inputs([str(tmp_path)]) == [str(tmp_path / name) for name in ("a.png", "b.JPG", "c.mp4")]
    assert "1 files are no pictures or videos: notes.txt" in capsys.readouterr().out
    (tmp_path / "a.mov").touch()  # as telephones put beside a.png; its results have names of their own
    assert len(pictures.inputs([str(tmp_path)])) == 4
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InputError, match="would be written over"):
        pictures.inputs([str(tmp_path)])
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="expected pictures or videos in the folder, found none"):
        pictures.inputs([str(empty)])
