"""scipy.io is the independent implementation here; hostile files are built by hand, byte by byte."""

import os
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
import scipy.io as sio
import scipy.sparse

from handvae.base.errors import InputError
from handvae.datasets import plain_mat

RNG = np.random.default_rng(0)
X = RNG.integers(1, 1000, (3, 4, 5)) + 0.25
NAMES = ["thumb tip", "wrist", "", "palm"]
CELLS = np.array([[name] for name in NAMES], dtype=object)


def read(tmp_path, content: bytes, name="x", ndim=3, max_bytes=10**7, first=None):
    path = tmp_path / "joints.mat"
    path.write_bytes(content)
    return plain_mat.read(path, name, ndim, max_bytes, first)


def refusal(tmp_path, content: bytes, **wanted) -> str:
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        read(tmp_path, content, **wanted)
    assert time.monotonic() - started < 1
    message = str(caught.value)
    assert "joints.mat: expected a whole MATLAB 5 file" in message and "\n" not in message and len(message) < 1000
    return message.partition(", found ")[2]


def written(tmp_path, variables) -> bytes:
    plain_mat.write(tmp_path / "written.mat", variables)
    return (tmp_path / "written.mat").read_bytes()


def by_scipy(tmp_path, variables, **options) -> bytes:
    sio.savemat(tmp_path / "scipy.mat", variables, **options)
    return (tmp_path / "scipy.mat").read_bytes()


def peak_of(call):
    """Return what `call` returns and the most bytes it had allocated at a time."""
    tracemalloc.start()
    result = call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return result, peak


# honest files


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 4, 5), (3, 1, 1, 2), (3, 30000)])
@pytest.mark.parametrize("dtype", ["f8", "f4", ">f8", "i2", "u8"])
def test_numbers_come_back_and_scipy_reads_the_same(tmp_path, shape, dtype):
    array = RNG.integers(0, 100, shape).astype(dtype) / np.array(1, dtype)
    for layout in (array, np.asfortranarray(array), np.repeat(array, 2, axis=0)[::2]):
        content = written(tmp_path, {"x": layout, "names": NAMES})
        back = read(tmp_path, content, ndim=len(shape))
        assert back.dtype == np.float64 and back.shape == shape and (back == array).all()
        theirs = sio.loadmat(tmp_path / "joints.mat")
        assert theirs["x"].dtype == np.float64 and theirs["x"].shape == shape and (theirs["x"] == array).all()


def test_scipy_reads_the_cell_array_of_text(tmp_path):
    written(tmp_path, {"names": NAMES, "none": [], "x": X})
    theirs = sio.loadmat(tmp_path / "written.mat")
    assert theirs["names"].shape == (4, 1) and theirs["none"].shape == (0, 1)
    assert ["".join(cell.ravel()) for cell in theirs["names"][:, 0]] == NAMES
    assert sio.whosmat(tmp_path / "written.mat") == [
        ("names", (4, 1), "cell"),
        ("none", (0, 1), "cell"),
        ("x", (3, 4, 5), "double"),
    ]


def test_equal_variables_give_equal_bytes_without_a_date(tmp_path):
    once = written(tmp_path, {"x": X, "names": NAMES})
    assert once == written(tmp_path, {"x": np.asfortranarray(X), "names": list(NAMES)})
    assert once[:116].rstrip() == b"MATLAB 5.0 MAT-file, written by handvae"


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_what_scipy_writes_is_read_whatever_stands_beside_it(tmp_path, dtype, compressed):
    array = RNG.integers(0, 100, (3, 4, 5)).astype(dtype)
    beside = {
        "names": CELLS,
        "text": "some text",
        "struct": {"a": X, "b": "c"},
        "sparse": scipy.sparse.eye(5).tocsc(),
        "complex": X + 1j,
        "logical": X > 500,
        "nan": np.full((2, 2), np.nan),
        "empty": np.zeros((0, 3)),
    }
    content = by_scipy(tmp_path, {**beside, "x": array, "y": array + 1}, do_compression=compressed)
    assert (read(tmp_path, content) == array).all()
    assert (read(tmp_path, content, first=1) == array[1]).all()
    for name, what in {
        "names": "a cell array",
        "text": "text",
        "struct": "a struct",
        "sparse": "a sparse array",
    }.items():
        assert refusal(tmp_path, content, name=name) == what
    assert refusal(tmp_path, content, name="complex") == "complex numbers"
    assert refusal(tmp_path, content, name="logical") == "logical values"
    assert refusal(tmp_path, content, name="nan", ndim=2) == "the number nan at index (0, 0)"
    assert refusal(tmp_path, content, name="empty", ndim=2) == "an array of shape (0, 3)"


@pytest.mark.parametrize("shape", [(3, 50_000), (7, 9_999), (70_000, 2), (1, 5), (5, 1)])
def test_first_equals_slicing_across_pieces(tmp_path, shape):
    array = RNG.normal(size=shape)
    for content in (written(tmp_path, {"x": array}), by_scipy(tmp_path, {"x": array.astype("f4")})):
        for first in {0, 1, shape[0] // 2, shape[0] - 1} & set(range(shape[0])):
            whole = read(tmp_path, content, ndim=2)
            assert (read(tmp_path, content, ndim=2, first=first) == whole[first]).all()


@pytest.mark.parametrize("compressed", [False, True])
def test_first_takes_the_memory_of_the_result(tmp_path, compressed):
    array = np.zeros((3, 20_000, 36, 3))
    array[:] = np.arange(20_000)[:, None, None] + np.arange(3)[:, None, None, None]
    sio.savemat(tmp_path / "big.mat", {"other": array, "x": array}, do_compression=compressed)
    kept, peak = peak_of(lambda: plain_mat.read(tmp_path / "big.mat", "x", 4, 2 * 10**8, first=2))
    assert (kept == array[2]).all() and kept.shape == (20_000, 36, 3)
    assert peak < 1.13 * kept.nbytes + 4 * 10**6 < 0.5 * array.nbytes


def test_the_real_labels_are_read_as_scipy_reads_them(real):
    path = real / "stb" / "labels" / "B1Counting_BB.mat"
    array = plain_mat.read(path, "handPara", ndim=3, max_bytes=10**7)
    assert array.shape == (3, 21, 1500) and array.dtype == np.float64
    assert (array == sio.loadmat(path)["handPara"]).all()
    assert (plain_mat.read(path, "handPara", 3, 10**7, first=2) == array[2]).all()


# files built by hand


def element(kind: int, content: bytes, order="<", size: int | None = None) -> bytes:
    tag = struct.pack(order + "II", kind, len(content) if size is None else size)
    return tag + content + bytes(-len(content) % 8)


def small(kind: int, content: bytes, order="<", size: int | None = None) -> bytes:
    return struct.pack(order + "I", (len(content) if size is None else size) << 16 | kind) + content.ljust(4, b"\0")


def variable(extents, data: bytes, name=b"x", kind=6, flags=0, order="<", size: int | None = None) -> bytes:
    word = struct.pack(order + "II", flags << 8 | kind, 0)
    dimensions = struct.pack(f"{order}{len(extents)}i", *extents)
    name = small(1, name, order) if len(name) <= 4 else element(1, name, order)
    return element(14, element(6, word, order) + element(5, dimensions, order) + name + data, order, size)


def packed(content: bytes, more: bytes = b"") -> bytes:
    deflated = zlib.compress(content) + more
    return struct.pack("<II", 15, len(deflated)) + deflated


def mat(*variables: bytes, order="<", version=0x0100, subsystem=bytes(8), text=b"MATLAB 5.0 by hand") -> bytes:
    mark = {"<": b"IM", ">": b"MI"}[order]
    return text.ljust(116) + subsystem + struct.pack(order + "H", version) + mark + b"".join(variables)


SIX = np.arange(6.0)
DOUBLES = element(9, SIX.tobytes())


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("stored", "dtype"),
    [(1, "i1"), (2, "u1"), (3, "i2"), (4, "u2"), (5, "i4"), (6, "u4"), (7, "f4"), (9, "f8"), (12, "i8"), (13, "u8")],
)
def test_doubles_stored_as_any_type_in_either_byte_order(tmp_path, stored, dtype, order):
    lowest = 0 if dtype[0] == "u" else -100
    for count in (1, 2, 4, 6):
        numbers = np.array([lowest, 3, 100, 7, 0, 1])[:count]
        data = numbers.astype(dtype).astype(np.dtype(dtype).newbyteorder(order)).tobytes()
        pack = small if len(data) <= 4 else element
        content = mat(variable((1, count), pack(stored, data, order), order=order), order=order)
        assert read(tmp_path, content, ndim=2).tolist() == [numbers.tolist()]


def test_a_file_by_hand_is_read_and_scipy_agrees(tmp_path):
    """Negative control: the hostile files below differ from this one only in what they claim."""
    for content in (mat(variable((2, 3), DOUBLES)), mat(packed(variable((2, 3), DOUBLES)), subsystem=b" " * 8)):
        assert read(tmp_path, content, ndim=2).tolist() == SIX.reshape(2, 3, order="F").tolist()
        assert (sio.loadmat(tmp_path / "joints.mat")["x"] == read(tmp_path, content, ndim=2)).all()


DOUBLE, OPAQUE = element(6, struct.pack("<II", 6, 0)), element(6, struct.pack("<II", 17, 0))
OPAQUE = element(
    14, OPAQUE + element(1, b"obj") + element(1, b"MCOS") + element(1, b"table") + variable((1, 1), DOUBLES)
)
LYING = variable((2, 3), DOUBLES, size=10**6)
FINE = variable((2, 3), DOUBLES)
OTHER = variable((2, 3), DOUBLES, b"other")
BIG = variable((3 * 2**25, 1), struct.pack("<II", 9, 3 * 2**28) + bytes(64), size=3 * 2**28 + 48)
LONG_NAME = variable((2, 3), DOUBLES, b"n" * 10**7)
HUGE = (2**31 - 1,) * 4
HOSTILE = {
    "empty": (b"", "an empty file"),
    "HDF5": (b"\x89HDF\r\n\x1a\n".ljust(1000), "a MATLAB 7.3 (HDF5) file; in MATLAB, save it with -v7"),
    "HDF5 of MATLAB": (mat(text=b"MATLAB 7.3 MAT-file", version=0x0200), "a MATLAB 7.3 (HDF5) file; in MATLAB, save"),
    "HDF5 by its version": (mat(version=0x0200), "a MATLAB 7.3 (HDF5) file"),
    "a web page": (b"\n<!DOCTYPE html><html>Log in</html>".ljust(500), "a web page"),
    "text": (b"frame 1\nframe 2\n", "no such header; the file starts with b'frame 1\\nframe 2\\n'"),
    "MATLAB 4": (struct.pack("<IIIII", 0, 1, 1, 0, 2) + b"x\0" + bytes(200), "no such header"),
    "another version": (mat(FINE, version=0x0300), "no such header"),
    "half a header": (mat()[:100], "no such header"),
    "no variable": (mat(), "only the variables []"),
    "other names": (mat(OTHER, packed(variable((2, 3), DOUBLES, b"b"))), "only the variables ['b', 'other']"),
    "a subsystem": (mat(FINE, subsystem=struct.pack("<Q", 128)), "a subsystem, where MATLAB keeps objects and fun"),
    "an object": (mat(FINE, variable((1, 1), DOUBLES, b"y", kind=3)), "an object"),
    "a function handle": (mat(FINE, packed(variable((1, 1), DOUBLES, b"f", kind=16))), "a function handle"),
    "an opaque object": (mat(FINE, OPAQUE), "an opaque object"),
    "an opaque object, packed": (mat(packed(OPAQUE), packed(FINE)), "an opaque object"),
    "class 0": (mat(FINE, variable((1, 1), DOUBLES, b"y", kind=0)), "a variable of unknown class 0"),
    "class 18": (mat(variable((2, 3), DOUBLES, kind=18)), "a variable of unknown class 18"),
    "twice": (mat(FINE, packed(FINE)), "two variables x"),
    "another twice": (mat(OTHER, FINE, OTHER), "two variables other"),
    "wrong dimensions": (mat(variable((1, 2, 3), DOUBLES)), "an array of shape (1, 2, 3)"),
    "one dimension": (mat(variable((6,), DOUBLES)), "dimensions of type 5 and 4 bytes"),
    "33 dimensions": (mat(variable((1,) * 33, DOUBLES)), "dimensions of type 5 and 132 bytes"),
    "a negative dimension": (mat(variable((-2, -3), DOUBLES)), "a negative dimension (-3)"),
    "fewer bytes": (mat(variable((2, 4), DOUBLES)), "48 bytes for an array of shape (2, 4) and 8 bytes a number"),
    "more bytes": (mat(variable((2, 2), DOUBLES)), "48 bytes for an array of shape (2, 2)"),
    "huge dimensions": (mat(variable(HUGE, DOUBLES)), "48 bytes for an array of shape (2147483647, 21"),
    "huge and empty": (mat(variable((0, 2**31 - 1), element(9, b""))), "an array of shape (0, 2147483647)"),
    "no numbers": (mat(variable((3, 0), element(9, b""))), "an array of shape (3, 0)"),
    "huge element": (mat(element(14, b"", size=2**32 - 1)), "a file cut short: 0 bytes of the last variable's 4,294,9"),
    "huge part": (mat(element(14, DOUBLE + element(5, b"", size=2**32 - 1))), "dimensions of type 5 and 4,294,967,295"),
    "huge numbers": (mat(variable((2**28, 1), struct.pack("<II", 9, 2**31))), "a data element larger than the one ar"),
    "too small a matrix": (mat(variable((2, 3), DOUBLES, size=64)), "a data element larger than the one around it"),
    "too large a matrix": (mat(LYING), "a file cut short: 96 bytes of the last variable's 1,000,000"),
    "too large a matrix, packed": (mat(packed(LYING)), "999,904 bytes after the last number"),
    "too small a matrix, packed": (mat(packed(FINE + b"more")), "more bytes in a variable than it says"),
    "a small element of 5": (mat(variable((2, 3), small(9, b"", size=5))), "a small data element of 5 bytes"),
    "unknown numbers": (mat(variable((2, 3), element(8, SIX.tobytes()))), "numbers of unknown type 8"),
    "a matrix as numbers": (mat(variable((2, 3), FINE)), "numbers of unknown type 14"),
    "imaginary part": (mat(variable((2, 3), DOUBLES + DOUBLES)), "56 bytes after the last number"),
    "infinite": (mat(variable((1, 2), element(7, struct.pack("<ff", 1, -np.inf)))), "the number -inf at index (0, 1)"),
    "integers": (mat(variable((1, 1), element(12, struct.pack("<q", 2**53 + 1)))), "the number 9007199254740992.0 at"),
    "no name": (mat(variable((2, 3), DOUBLES, b"")), "a variable name of type 1 and 0 bytes"),
    "a name of 10 MB": (mat(LONG_NAME, FINE), "a variable name of type 1 and 10,000,000 bytes"),
    "a name of 10 MB, packed": (mat(packed(LONG_NAME), FINE), "a variable name of type 1 and 10,000,000 bytes"),
    "a name of two lines": (mat(FINE, variable((2, 3), DOUBLES, b"a\nb")), "a variable named 'a\\nb'"),
    "a data element": (mat(FINE, DOUBLES), "a data element of type 9 where a variable should start"),
    "garbage": (mat(FINE, b"more"), "4 bytes after the last variable"),
    "zeros": (mat(FINE, bytes(8)), "a data element of type 0 where a variable should start"),
    "packed twice": (mat(packed(packed(FINE))), "a compressed data element of type 15 where a variable should be"),
    "not packed": (mat(element(15, FINE)), "damaged compressed data (Error -3"),
    "bytes behind": (mat(packed(FINE, b"more")), "bytes after the end of compressed data"),
    "cut while packed": (mat(element(15, zlib.compress(FINE)[:-5])[:-3]), "compressed data cut short"),
    "a wrong checksum": (mat(FINE, element(15, zlib.compress(OTHER)[:-1] + b"!")), "damaged compressed data (Error -3"),
    "768 MiB claimed": (mat(packed(BIG)), "a variable cut short"),
    "a bomb": (mat(packed(BIG[:64] + bytes(10**8))), "a variable cut short"),
    "a modest bomb": (mat(packed(FINE + bytes(10**8))), "more bytes in a variable than it says"),
    "a small bomb": (mat(packed(struct.pack("<II", 14, 2**32 - 1) + bytes(10**8))), "variables of more than"),
    "two small bombs": (mat(packed(OTHER), *2 * [packed(BIG)]), "a variable cut short"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_with_its_reason_and_without_memory(tmp_path, case):
    content, reason = HOSTILE[case]
    ndim = 4 if case == "huge dimensions" else 2
    found, peak = peak_of(lambda: refusal(tmp_path, content, ndim=ndim, max_bytes=2**30, first=0))
    assert found.startswith(reason)
    assert peak < 3 * 10**6


def test_what_is_not_there_or_too_large_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.mat")
    for name, found in {"joints.mat": "no file", "": "something else", "pipe.mat": "something else"}.items():
        path = tmp_path / name
        with pytest.raises(InputError, match=f"^{path}: expected a whole MATLAB 5 file with .*, found {found}$"):
            plain_mat.read(path, "x", 2, 10**6)
    content = mat(packed(variable((1000, 1), element(9, bytes(8000)), b"zeros")), packed(FINE))
    assert read(tmp_path, content, ndim=2, max_bytes=8168).shape == (2, 3)
    assert refusal(tmp_path, content, ndim=2, max_bytes=8100) == "variables of more than 8,100 bytes"
    assert refusal(tmp_path, content, ndim=2, max_bytes=100) == f"{len(content)} bytes, more than 100"


def test_numbers_stored_in_a_byte_each_do_not_become_many_more_bytes(tmp_path):
    """10 kB that hold 10 MB would be 80 MB; a limit on the bytes in the file does not see it."""
    content = mat(packed(variable((1, 10**7), element(1, bytes(10**7)))))
    for first in (None, 0):
        found, peak = peak_of(lambda first=first: refusal(tmp_path, content, ndim=2, max_bytes=2 * 10**7, first=first))
        assert found == "10,000,000 numbers to keep, more than 2,500,000"
        assert peak < 3 * 10**6
    path, content = tmp_path / "joints.mat", mat(variable((3, 4), element(1, bytes(12))))
    assert read(tmp_path, content, ndim=2).shape == (3, 4)
    assert plain_mat.read(path, "x", 2, 10**6, max_numbers=12).shape == (3, 4)
    assert plain_mat.read(path, "x", 2, 10**6, first=0, max_numbers=4).shape == (4,)
    for first, limit in ((None, 11), (0, 3)):
        with pytest.raises(InputError, match=f"found {limit + 1} numbers to keep, more than {limit}$"):
            plain_mat.read(path, "x", 2, 10**6, first, limit)


def test_a_file_of_many_variables_takes_neither_time_nor_memory(tmp_path):
    many = [variable((1, 1), element(9, bytes(8)), b"v%05d" % index) for index in range(1001)]
    assert read(tmp_path, mat(FINE, *many[:999]), ndim=2).shape == (2, 3)
    assert refusal(tmp_path, mat(FINE, *many), ndim=2) == "more than 1,000 variables"


def test_bytes_behind_are_found_where_the_compressed_data_ends_with_a_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(plain_mat, "_PIECE", len(zlib.compress(FINE)))
    assert read(tmp_path, mat(packed(FINE)), ndim=2).shape == (2, 3)
    assert refusal(tmp_path, mat(packed(FINE, b"more")), ndim=2) == "bytes after the end of compressed data"


def test_an_index_that_is_not_there_is_refused(tmp_path):
    for first in (2, -1):
        reason = f"an array of shape (2, 3) where index {first} of the first dimension is wanted"
        assert refusal(tmp_path, mat(FINE), ndim=2, first=first) == reason


def test_the_first_number_that_is_not_finite_is_named_where_it_is_wanted(tmp_path):
    array = np.zeros((3, 20_000, 2))
    array[1, 15_000, 1] = array[1, 19_000, 1] = np.nan
    content = by_scipy(tmp_path, {"x": array})
    assert refusal(tmp_path, content) == refusal(tmp_path, content, first=1) == "the number nan at index (1, 15000, 1)"
    assert not read(tmp_path, content, first=2).any()


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"1st": X}, "expected a name that MATLAB allows, found '1st'"),
        ({"n" * 64: X}, "expected a name that MATLAB allows"),
        ({"x": np.zeros(3)}, r"x: expected numbers in 2 or more dimensions, found float64 \(3,\)"),
        ({"x": np.zeros((0, 3))}, r"x: expected numbers in 2 or more dimensions, found float64 \(0, 3\)"),
        ({"x": X > 5}, "found bool"),
        ({"x": X + 1j}, "found complex128"),
        ({"x": np.array([[1, np.nan]])}, r"the number nan at index \(0, 1\)"),
        ({"x": np.array([[2**60 + 1]])}, r"the number 1.15\d*e\+18 at index \(0, 0\)"),
        ({"names": ["Händchen"]}, "ascii"),
    ],
)
def test_what_cannot_be_written_leaves_the_old_file(tmp_path, variables, reason):
    old = written(tmp_path, {"x": X})
    with pytest.raises(ValueError, match=reason):
        plain_mat.write(tmp_path / "written.mat", {"good": X, **variables})
    assert [path.name for path in tmp_path.iterdir()] == ["written.mat"]
    assert (tmp_path / "written.mat").read_bytes() == old


def mutated(content: bytes, rng: np.random.Generator, untouched: range) -> bytes:
    """A damaged copy: bytes flipped, cut short, a stretch emptied or doubled, or two stretches swapped."""
    data = bytearray(content)
    places = np.array([place for place in range(len(data)) if place not in untouched])
    a, b = sorted(int(place) for place in rng.choice(places, 2, replace=False))
    length = int(rng.integers(1, 50))
    match int(rng.integers(5)):
        case 0:
            for place in rng.choice(places, int(rng.integers(1, 6))):
                data[place] ^= int(rng.integers(1, 256))
        case 1:
            del data[a:]
        case 2:
            for place in places[(places >= a) & (places < a + length)]:
                data[place] = 0
        case 3:
            data[a:a] = data[a : a + length]
        case 4:
            pairs = [(i, j) for i, j in zip(range(a, a + length), range(b, len(data)), strict=False)]
            for i, j in pairs:
                if i not in untouched and j not in untouched:
                    data[i], data[j] = data[j], data[i]
    return bytes(data)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_damaged_file_gives_the_same_numbers_or_one_input_error(tmp_path, compressed):
    content = by_scipy(tmp_path, {"names": CELLS, "x": X, "y": X[0]}, do_compression=compressed)
    # Without compression there is no checksum: a flipped byte among the numbers is another number; they are spared.
    start = len(content) if compressed else content.index(X.tobytes("F"))
    outcomes = {"read": 0, "refused": 0}
    tracemalloc.start()
    for seed in range(400):
        damaged = mutated(content, np.random.default_rng(seed), range(start, start + X.nbytes))
        tracemalloc.reset_peak()
        started = time.monotonic()
        try:
            array = read(tmp_path, damaged)
            assert array.shape == X.shape and (array == X).all()
            outcomes["read"] += 1
        except InputError as error:
            assert "\n" not in str(error) and "joints.mat: expected" in str(error) and ", found " in str(error)
            outcomes["refused"] += 1
        assert time.monotonic() - started < 1 and tracemalloc.get_traced_memory()[1] < 5 * 10**7
    tracemalloc.stop()
    assert outcomes["refused"] > 200 and outcomes["read"] > 10  # the header's text may hold anything


def test_damage_under_a_good_checksum_gives_numbers_or_one_input_error(tmp_path):
    content = variable(X.shape, element(9, X.tobytes("F")))
    outcomes = {"read": 0, "refused": 0}
    for seed in range(300):
        damaged = mat(packed(mutated(content, np.random.default_rng(seed), range(0))))
        try:
            array = read(tmp_path, damaged)
            assert array.shape == X.shape and array.dtype == np.float64 and np.isfinite(array).all()
            outcomes["read"] += 1
        except InputError as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 50
