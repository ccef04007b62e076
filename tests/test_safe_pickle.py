import os
import pickle

import numpy as np
import pytest

from handvae.datasets import rhd_annotations, safe_pickle
from tests.damage import COPIES, damaged, in_little_memory, refusal, refused_or

PLAIN = {
    0: {"text": "Hände", "numbers": [0, 255, 256, -1, 2**40, -(2**62), 0.1, True, None]},
    1: {"nested": ((), (1,), (1, 2), [[], {}])},
    "f32": np.arange(12, dtype=np.float32).reshape(3, 4) - np.float32(0.1),
    "f64 big": np.arange(600, dtype=">f8").reshape(20, 30),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "bool": np.array([True, False]),
    "scalar": np.float32(1.5),
    "numpy keys": {np.int64(0): 1, np.uint8(3): 2},
}


def load(tmp_path, content: bytes):
    (tmp_path / "anno.pickle").write_bytes(content)
    return safe_pickle.load(tmp_path / "anno.pickle", 10**7)


def refused(tmp_path, content: bytes) -> str:
    message = refusal(load, tmp_path, content)
    assert f"{tmp_path}/anno.pickle: expected a pickle, only numbers and numeric arrays, found " in message
    return message


def same(a, b) -> bool:
    if isinstance(b, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in b)
    if isinstance(b, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and (a == b).all()
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("protocol", range(6))
def test_numbers_and_arrays_come_back_as_pickle_itself_reads_them(tmp_path, protocol):
    content = pickle.dumps(PLAIN, protocol)
    assert same(load(tmp_path, content), pickle.loads(content))
    if protocol < 4:  # the names before NumPy 2; from protocol 4 on a length stands before them
        content = content.replace(b"numpy._core.", b"numpy.core.")
        assert same(load(tmp_path, content), pickle.loads(content))


def test_honest_annotations_stay_below_the_limit(tmp_path):
    """Random float64 as text, as protocol 2 writes it, takes the most bytes."""
    frames, rng = 100, np.random.default_rng(0)
    shapes = rhd_annotations._SHAPES.items()
    raw = {index: {key: rng.normal(size=shape) for key, shape in shapes} for index in range(frames)}
    content = pickle.dumps(raw, 2)
    assert len(content) < rhd_annotations._PICKLE_BYTES_A_FRAME * frames and same(load(tmp_path, content), raw)


class Calls:
    def __init__(self, function, *arguments):
        self.recipe = (function, arguments)

    def __reduce__(self):
        return self.recipe


@pytest.mark.parametrize(
    "attack",
    [
        Calls(os.system, "touch marked"),
        Calls(getattr, Calls(__import__, "os"), "system"),
        Calls(np.frombuffer, b"12345678", "O"),  # NumPy would take the bytes for a pointer
    ],
)
def test_anything_else_is_refused_and_runs_nothing(tmp_path, monkeypatch, attack):
    monkeypatch.chdir(tmp_path)
    assert "a request for" in refused(tmp_path, pickle.dumps({0: attack}))
    assert [path.name for path in tmp_path.iterdir()] == ["anno.pickle"]


@pytest.mark.parametrize("dtype", ["O", "i4,f8", "U4"])
def test_arrays_of_anything_but_numbers_are_refused(tmp_path, dtype):
    assert "an array of type" in refused(tmp_path, pickle.dumps(np.zeros(2, dtype)))


def test_the_attacks_work_on_pickle_itself(tmp_path, monkeypatch):
    """Negative control: a test above that passes with a broken attack would say nothing."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Calls(os.system, "touch marked")))
    assert (tmp_path / "marked").exists()


F8 = b"cnumpy\ndtype\nX\x02\x00\x00\x00f8K\x00K\x01\x87R"
POINTERS = b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb"  # flags: its numbers are objects
RECONSTRUCT = b"cnumpy._core.multiarray\n_reconstruct\n"
EMPTY = RECONSTRUCT + b"cnumpy\nndarray\nK\x00\x85C\x01b\x87R"
FROMBUFFER = b"cnumpy._core.numeric\n_frombuffer\n"
HOSTILE = {
    "an array larger than its bytes": EMPTY + b"(K\x01K\x09\x85" + F8 + b"\x89C\x08abcdefghtb",
    "a call of ndarray": b"cnumpy\nndarray\nK\x01\x85R",
    "attributes of a function": RECONSTRUCT + b"N}X\x08\x00\x00\x00__code__K\x00s\x86b",
    "bytes of 2 GB": b"B\xff\xff\xff\x7fabc",
    "an array of 8 TB": FROMBUFFER + b"(J\xff\xff\xff\x7f" + F8 + b"J\xff\xff\xff\x7f\x85X\x01\x00\x00\x00CtR",
    "many containers": b"](" + b"}" * 9 * 10**6 + b"e",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pickle_is_refused_without_memory(tmp_path, name):
    in_little_memory(250 * 2**20, refused, tmp_path, b"\x80\x04" + HOSTILE[name] + b".")


def test_an_array_that_says_its_numbers_are_pointers_is_numbers(tmp_path):
    """Also a control: but for its size it is the hostile array."""
    array = load(tmp_path, b"\x80\x04" + EMPTY + b"(K\x01K\x01\x85" + F8 + POINTERS + b"\x89C\x08abcdefghtb.")
    assert array.dtype == np.float64 and array.tobytes() == b"abcdefgh" and not array.dtype.hasobject


def test_a_larger_file_is_refused_at_once(tmp_path):
    (tmp_path / "anno.pickle").write_bytes(pickle.dumps(list(range(1000))))
    assert "at most 100 bytes" in refusal(safe_pickle.load, tmp_path / "anno.pickle", 100)


def test_a_damaged_pickle_is_read_or_one_input_error(tmp_path):
    """A flipped digit is still data: the reader of a set checks it."""
    content, rng = pickle.dumps(PLAIN, 3), np.random.default_rng(3)
    copies = [damaged(content, b"<html></html>", rng) for _ in range(COPIES)]
    path = tmp_path / "anno.pickle"
    assert COPIES > refused_or(lambda: safe_pickle.load(path, 10**6), path, copies) > COPIES / 2
