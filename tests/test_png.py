import numpy as np
import pytest

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
