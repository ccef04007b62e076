import struct
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from handvae.datasets import matlab
from tests.damage import COPIES, damaged, in_little_memory, refusal, refused_or

RNG = np.random.default_rng(0)
X = RNG.integers(1, 1000, (3, 4, 5)) + 0.25
NAMES = ["thumb tip", "wrist", "", "palm"]
CELLS = np.array([[name] for name in NAMES], dtype=object)
BESIDE = {"names": CELLS, "text": "some text", "sparse": scipy.sparse.eye(5).tocsc(), "complex": X + 1j}
LITTLE_BYTES = 160 * 2**20  # the limit, and scipy itself


def refused(path, name="x", ndim=3, max_numbers=1000) -> str:
    message = refusal(matlab.read, path, name, ndim, max_numbers)
    assert f"{path}: expected a whole MATLAB 5 file with {ndim}-dimensional numbers {name}, found " in message
    return message.partition(", found ")[2]


@pytest.mark.parametrize("shape", [(1, 1), (3, 1, 1, 2), (3, 30000)])
def test_numbers_come_back_in_the_order_that_scipy_reads_too(tmp_path, shape):
    path, array = tmp_path / "x.mat", RNG.normal(size=shape)
    for layout in (array, np.asfortranarray(array)):
        matlab.write(path, {"names": NAMES, "x": layout})
        assert np.array_equal(matlab.read(path, "x", len(shape), array.size), array)
        assert np.array_equal(scipy.io.loadmat(path)["x"], array)


@pytest.mark.parametrize(("dtype", "compressed"), [("f8", True), (">f8", False), ("u2", True)])
def test_what_scipy_writes_is_read_whatever_stands_beside_it(tmp_path, dtype, compressed):
    path, array = tmp_path / "x.mat", RNG.integers(0, 100, (3, 4, 5)).astype(dtype)
    scipy.io.savemat(path, {**BESIDE, "x": array, "y": array + 1}, do_compression=compressed)
    numbers = matlab.read(path, "x", 3, array.size)
    assert numbers.dtype == np.float64 and np.array_equal(numbers, array)


def test_what_is_not_there_or_not_wanted_is_named(tmp_path):
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {**BESIDE, "x": X, "empty": np.zeros((0, 3))})
    assert refused(path, "joints").startswith("it 0 times among the variables ('names', 'text', 'sparse', ")
    assert refused(path, "complex") == "complex128 of shape (3, 4, 5)"
    assert refused(path, "names", 2).startswith("cell of") and refused(path, "sparse", 2).startswith("sparse of")
    assert refused(path, "x", 4) == refused(path, "x", 3, 59) == "double of shape (3, 4, 5)"
    assert refused(path, "empty", 2) == "double of shape (0, 3)"


def test_other_files_are_told_apart(tmp_path):
    path = tmp_path / "x.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + bytes(384))
    assert refused(path).startswith("a MATLAB 7.3 (HDF5) file; in MATLAB, save it")
    path.write_bytes(b"<!DOCTYPE html><html>Log in</html>".ljust(500))
    assert refused(path).startswith("Unknown mat file type")


DOUBLES = matlab._element(9, np.arange(6.0).tobytes())


def packed(content: bytes, shape=(2, 3)) -> bytes:
    """A compressed matrix x of doubles whose size may be a lie."""
    compressed = zlib.compress(matlab._matrix(6, shape, "x", content), level=1)
    return matlab._HEADER + struct.pack("<II", 15, len(compressed)) + compressed


@pytest.mark.parametrize(
    "content",
    [
        packed(DOUBLES, (2, 4)),
        packed(DOUBLES, (-2, -3)),
        packed(DOUBLES, (2**31 - 1, 2**31 - 1)),
        packed(struct.pack("<II", 9, 2**31)),
        packed(DOUBLES + bytes(2**28)),
    ],
    ids=["fewer numbers than the shape", "a negative shape", "a huge shape", "numbers of 2 GB", "a bomb"],
)
def test_a_hostile_file_is_refused_without_memory(tmp_path, content):
    (tmp_path / "x.mat").write_bytes(packed(DOUBLES))  # negative control: the others differ in what they claim
    assert matlab.read(tmp_path / "x.mat", "x", 2, 6).tolist() == [[0, 2, 4], [1, 3, 5]]
    (tmp_path / "x.mat").write_bytes(content)
    in_little_memory(LITTLE_BYTES, refused, tmp_path / "x.mat", 2)


def test_a_damaged_file_gives_the_same_numbers_or_one_input_error(tmp_path):
    path, rng = tmp_path / "x.mat", np.random.default_rng(1)
    matlab.write(path, {"names": NAMES, "x": X, "y": X[0]})  # compressed: without its checksum a number may change
    copies = [damaged(path.read_bytes(), b"<html></html>", rng) for _ in range(COPIES)]
    assert refused_or(lambda: np.testing.assert_array_equal(matlab.read(path, "x", 3, 60), X), path, copies) > 80
