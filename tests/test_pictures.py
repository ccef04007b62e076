"""Pictures as people have them: every mode comes in as RGB, turned right, and what is none is named in one line."""

import io

import numpy as np
import pytest
from PIL import Image

from handvae.base.errors import InputError
from handvae.prediction import pictures

ORIENTATION = 0x0112  # EXIF's tag
RANDOM = np.random.default_rng(0)
RGB = np.kron(RANDOM.integers(0, 256, (6, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))


def saved(path, image, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize("turn", range(1, 9))
def test_photographs_are_turned_as_their_exif_says(tmp_path, turn):
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    transpose = [None, 0, 3, 1, 5, 4, 6, 2][turn - 1]  # Pillow's number of what undoes the turn
    stored = Image.fromarray(RGB)
    stored = stored if transpose is None else stored.transpose({2: 4, 4: 2}.get(transpose, transpose))
    path = saved(tmp_path / "a.png", stored, exif=exif)
    assert np.array_equal(pictures.read_rgb_u8(path), RGB)


@pytest.mark.parametrize(
    ("mode", "name", "off_by"), [("CMYK", "a.tif", 1), ("RGBA", "a.png", 0), ("L", "a.webp", 90), ("P", "a.gif", 90)]
)
def test_every_mode_becomes_rgb(tmp_path, mode, name, off_by):
    path = saved(tmp_path / name, Image.fromarray(RGB).convert(mode), **({"lossless": True} if "webp" in name else {}))
    image_u8 = pictures.read_rgb_u8(path)
    assert (image_u8.shape, image_u8.dtype) == (RGB.shape, np.uint8)
    assert np.abs(image_u8.astype(int).mean() - RGB.mean()) < off_by + 3


def test_transparent_pixels_are_white_and_16_bit_grey_keeps_its_range(tmp_path):
    rgba = np.dstack([RGB, np.zeros(RGB.shape[:2], np.uint8)])
    assert (pictures.read_rgb_u8(saved(tmp_path / "a.png", Image.fromarray(rgba))) == 255).all()
    grey = (RGB[..., 0].astype(np.uint16) << 8) + 17
    image_u8 = pictures.read_rgb_u8(saved(tmp_path / "b.png", Image.fromarray(grey)))
    assert np.array_equal(image_u8, np.repeat(RGB[..., :1], 3, axis=2))
    assert np.array_equal(pictures.read_depth_mm(tmp_path / "b.png"), grey.astype(np.float32))


def test_a_colour_picture_is_no_depth(tmp_path):
    with pytest.raises(InputError, match=r"a\.png: expected depth in mm, a 16-bit grey picture, found one of mode RGB"):
        pictures.read_depth_mm(saved(tmp_path / "a.png", Image.fromarray(RGB)))


def test_a_wide_picture_is_read_and_one_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    wide = saved(tmp_path / "wide.png", Image.new("RGB", (20_000, 40)))
    assert pictures.read_rgb_u8(wide).shape == (40, 20_000, 3)
    large = saved(tmp_path / "large.png", Image.new("1", (13_000, 10_000)))
    with pytest.raises(InputError, match=r"large\.png: expected at most 120 million pixels, found 13,000 x 10,000 px"):
        pictures.read_rgb_u8(large)
    huge = saved(tmp_path / "huge.png", Image.new("1", (20_000, 20_000)))
    with pytest.raises(InputError, match=r"huge\.png: expected at most 120 million pixels"):
        pictures.read_rgb_u8(huge)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5])
@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_damaged_pictures_are_named(tmp_path, kind, share):
    buffer = io.BytesIO()
    Image.fromarray(np.kron(RGB, np.ones((8, 8, 1), np.uint8))).save(buffer, kind)
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(buffer.getvalue()[: int(share * len(buffer.getvalue()))])
    with pytest.raises(InputError, match=rf"cut\.{kind}: expected a (whole )?picture"):
        pictures.read_rgb_u8(path)


def test_a_folder_gives_its_pictures_in_order_and_names_the_rest(tmp_path, capsys):
    for name in ("b.JPG", "a.png", ".DS_Store", "Thumbs.db", "notes.txt", "c.mp4"):
        (tmp_path / name).touch()
    assert [name[-5:] for name in pictures.inputs([str(tmp_path)])] == ["a.png"[-5:], "b.JPG"[-5:], "c.mp4"[-5:]]
    assert "1 files are no pictures or videos: notes.txt" in capsys.readouterr().out
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InputError, match="would be written over"):
        pictures.inputs([str(tmp_path)])
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="expected pictures or videos in the folder, found none"):
        pictures.inputs([str(empty)])
