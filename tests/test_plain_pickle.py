import os
import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from handvae.base.errors import InputError
from handvae.datasets import plain_pickle, rhd_annotations

LIMITS = {"max_bytes": 10**7, "max_opcodes": 10**6}


def load(tmp_path, content: bytes, **limits):
    path = tmp_path / "anno.pickle"
    path.write_bytes(content)
    return plain_pickle.load(path, **{**LIMITS, **limits})


def refusal(tmp_path, content: bytes, **limits) -> str:
    with pytest.raises(InputError) as caught:
        load(tmp_path, content, **limits)
    message = str(caught.value)
    assert "anno.pickle: expected" in message and "found" in message and "\n" not in message
    return message


def same(a, b) -> bool:
    if isinstance(b, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in b)
    if isinstance(b, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(b, (np.ndarray, np.generic)):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return type(a) is type(b) and a == b


PLAIN = {
    0: {
        "text": "Hände",
        "bytes": b"\x00\xff",
        "empty": b"",
        "numbers": [0, 255, 256, -1, 2**40, -(2**62), 0.1, True, None],
    },
    1: {"nested": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [[], {}])},
    "f32": np.arange(12, dtype=np.float32).reshape(3, 4) - np.float32(0.1),
    "f64 big": np.arange(6, dtype=">f8").reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "bool": np.array([True, False]),
    "none": np.zeros((0, 3), np.int64),
    "zero-dimensional": np.array(7, np.uint8),
    "scalar": np.float32(1.5),
    "numpy keys": {np.int64(0): 1, np.uint8(3): 2},
    "twice": [shared := np.arange(4, dtype="<i2"), shared],
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("numpy_1", [False, True])
def test_plain_data_comes_back_as_pickle_itself_reads_it(tmp_path, protocol, numpy_1):
    content = pickle.dumps(PLAIN, protocol)
    if numpy_1 and protocol < 4:  # the names before NumPy 2; from protocol 4 on a length stands before them
        content = content.replace(b"numpy._core.", b"numpy.core.")
    assert same(load(tmp_path, content), pickle.loads(content))


def test_a_list_of_many_arrays_and_a_long_list_come_back(tmp_path):
    data = [np.full(3, value, np.float32) for value in range(3000)] + list(range(5000))
    assert same(load(tmp_path, pickle.dumps(data, 2)), data)


def test_an_array_pickled_by_python_2_is_read(tmp_path):
    # cPickle.dumps({'K': numpy.array([1.5, -2.0], 'f4')}, 2): its str is bytes and text at once
    values = np.array([1.5, -2.0], "<f4").tobytes()
    content = (
        b"\x80\x02}q\x00U\x01Kq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85q\x04U\x01b"
        b"q\x05\x87q\x06Rq\x07(K\x01K\x02\x85q\x08cnumpy\ndtype\nq\x09U\x02f4q\x0aK\x00K\x01\x87q\x0bRq\x0c(K\x03U\x01<"
        b"q\x0dNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0eb\x89U\x08" + values + b"q\x0ftq\x10bs."
    )
    assert same(load(tmp_path, content), {"K": np.array([1.5, -2.0], "<f4")})


class Calls:
    def __init__(self, function, *arguments):
        self.recipe = (function, arguments)

    def __reduce__(self):
        return self.recipe


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    "attack",
    [
        Calls(os.system, "touch marked"),
        Calls(getattr, Calls(__import__, "os"), "system"),
        Calls(eval, "open('marked', 'w')"),
        Calls(np.fromfile, "anno.pickle"),
        Calls(np.frombuffer, b"1234", "O"),
        Calls(bytearray, 10**12),
        Calls(np.ndarray, (10**6, 10**6)),
        {1, 2},
        complex(1, 2),
        np.array([{}, None], dtype=object),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array(["text"]),
        np.datetime64("2020-01-01"),
    ],
    ids=lambda attack: type(attack).__name__,
)
def test_anything_but_plain_data_is_refused_and_runs_nothing(tmp_path, monkeypatch, attack, protocol):
    monkeypatch.chdir(tmp_path)
    refusal(tmp_path, pickle.dumps({0: attack}, protocol))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["anno.pickle"]


def test_the_message_names_what_the_pickle_asked_for(tmp_path):
    assert "posix" in refusal(tmp_path, pickle.dumps(os.system)) and "system" in refusal(
        tmp_path, pickle.dumps(os.system)
    )
    assert "protocol 2 to 5" in refusal(tmp_path, pickle.dumps({0: 1}, 0))
    assert "'O8'" in refusal(tmp_path, pickle.dumps(np.array([None])))


F4 = b"cnumpy\ndtype\nX\x02\x00\x00\x00f4K\x00K\x01\x87R"
RECONSTRUCT = b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
SCALAR = b"cnumpy._core.multiarray\nscalar\n"
HOSTILE = {
    "BUILD sets attributes of a function": SCALAR + b"}X\x08\x00\x00\x00__code__K\x00sb",
    "BUILD sets slots of a function": SCALAR + b"N}X\x0c\x00\x00\x00__defaults__K\x00s\x86b",
    "BUILD on a dict": b"}}b",
    "BUILD of an array with a shape of text": RECONSTRUCT + b"(K\x01X\x01\x00\x00\x003" + F4 + b"\x89C\x00tb",
    "BUILD of an array larger than its bytes": RECONSTRUCT + b"(K\x01K\x09\x85" + F4 + b"\x89C\x04abcdtb",
    "BUILD of an array with a negative shape": RECONSTRUCT + b"(K\x01J\xff\xff\xff\xff\x85" + F4 + b"\x89C\x04abcdtb",
    "BUILD of an array without a dtype": RECONSTRUCT + b"(K\x01K\x01\x85X\x02\x00\x00\x00f4\x89C\x04abcdtb",
    "a dtype given fields": F4
    + b"(K\x03X\x01\x00\x00\x00<NX\x01\x00\x00\x00a}J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
    "REDUCE of a number": b"K\x01)R",
    "REDUCE of an array": RECONSTRUCT + b")R",
    "REDUCE with other arguments": b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R",
    "bytes of a claimed length": b"c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R",
    "a memo index of 2**32 - 1, which is fine, read again": b"K\x01r\xff\xff\xff\xffj\x00\x00\x00\x00",
    "bytes that claim 2 GB": b"B\xff\xff\xff\x7fabc",
    "a bytearray that claims 2**62 bytes": b"\x96" + struct.pack("<Q", 2**62) + b"abc",
    "a frame that claims 2**62 bytes": b"\x95" + struct.pack("<Q", 2**62) + b"K\x01",
    "an integer of 255 bytes": b"\x8a\xff" + b"\x7f" * 255,
    "a dict key that is a tuple": b"})K\x01s",
    "a pop below the mark": b"K\x01(\x85",
    "no value": b"",
    "two values": b"K\x01K\x01",
    "an open mark": b"(K\x01",
    "an unset memo": b"h\x05",
    "an extension code": b"\x82\x01",
    "a persistent id": b"K\x01Q",
    "a NEWOBJ": b"cnumpy\nndarray\n)\x81",
    "an INST": b"(ios\nsystem\n",
    "a function named by a nested list": b"]q\x00h\x00a]h\x00a\x93",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hand_made_hostile_pickle_is_refused_without_memory(tmp_path, name):
    tracemalloc.start()
    refusal(tmp_path, b"\x80\x04" + HOSTILE[name] + b".")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * 10**6


def test_the_hostile_pickles_differ_from_an_accepted_one_only_in_what_they_ask(tmp_path):
    array = load(tmp_path, b"\x80\x04" + RECONSTRUCT + b"(K\x01K\x01\x85" + F4 + b"\x89C\x04abcdtb.")
    assert array.dtype == np.float32 and array.tobytes() == b"abcd"


def test_the_functions_that_stand_for_names_stay_untouched(tmp_path):
    before = {key: dict(vars(function)) for key, function in plain_pickle._FUNCTIONS.items()}
    for content in HOSTILE.values():
        refusal(tmp_path, b"\x80\x04" + content + b".")
    assert {key: dict(vars(function)) for key, function in plain_pickle._FUNCTIONS.items()} == before


def test_one_stretch_of_bytes_cannot_become_many_arrays(tmp_path):
    content = b"\x80\x04(B" + struct.pack("<I", 10**5) + bytes(10**5) + b"q\x00" + F4 + b"q\x01"
    one = b"cnumpy._core.numeric\n_frombuffer\n(h\x00h\x01J" + struct.pack("<i", 25000) + b"\x85X\x01\x00\x00\x00CtR"
    assert load(tmp_path, content + one + b"t.")[2].shape == (25000,)
    assert "larger than the file" in refusal(tmp_path, content + 1000 * one + b"t.")


def test_deep_nesting_is_no_stack_overflow(tmp_path):
    deep = load(tmp_path, b"\x80\x02" + b")" + b"\x85" * 900_000 + b".")
    assert type(deep) is tuple and len(deep) == 1
    del deep


def test_files_and_work_are_limited(tmp_path):
    content = pickle.dumps(list(range(1000)), 2)
    assert "at most 100 bytes" in refusal(tmp_path, content, max_bytes=100)
    assert "more than 500 opcodes" in refusal(tmp_path, content, max_opcodes=500)
    assert "in waiting" in refusal(tmp_path, b"\x80\x02" + b")" * 1_100_000 + b".", max_opcodes=10**7)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    """A named pipe would wait for ever."""
    os.mkfifo(tmp_path / "pipe.pickle")
    for path in (tmp_path / "pipe.pickle", tmp_path):
        with pytest.raises(InputError, match=f"^{path}: expected a pickle, found something else$"):
            plain_pickle.load(path, **LIMITS)


MANY = 900_000
GREEDY = {
    "a memo of the same value": b"K\x01" + b"\x94" * MANY,
    "empty dicts": b"](" + b"}" * MANY + b"e",
    "empty bytearrays": b"](" + (b"\x96" + bytes(8)) * MANY + b"e",
    "lists in lists": b"]" * MANY + b"a" * (MANY - 1),
    "a long text": b"X" + struct.pack("<I", 5 * 10**6) + b"a" * 5 * 10**6,
}


@pytest.mark.parametrize("name", GREEDY)
def test_annotations_of_few_images_take_little_memory_whatever_they_hold(tmp_path, name):
    """The limits are those of an honest file with as many frames as there are images."""
    path = rhd_annotations.annotation_path(tmp_path / "training")
    (tmp_path / "training" / "color").mkdir(parents=True)
    (tmp_path / "training" / "color" / "00000.png").touch()
    path.write_bytes(b"\x80\x04" + GREEDY[name] + b".")
    tracemalloc.start()
    with pytest.raises(InputError, match=f"{path}: expected annotations of the 1 images in color/.* found ") as caught:
        rhd_annotations.read_annotations(tmp_path, "training")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "more than 200,200 opcodes" in str(caught.value) or "of at most 4,004,000 bytes" in str(caught.value)
    assert peak < 5 * 10**7


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_honest_annotations_stay_below_the_limits(tmp_path, protocol, dtype):
    """Arrays that do not share their dtype take the most opcodes, random float64 as text the most bytes."""
    frames, rng = 300, np.random.default_rng(0)

    def array(shape):
        own = np.dtype(dtype).newbyteorder("S").newbyteorder("S")  # equal to the common one, another object
        return np.frombuffer(rng.normal(size=shape).astype(dtype).tobytes(), own).reshape(shape)

    raw = {index: {key: array(shape) for key, shape in rhd_annotations._SHAPES.items()} for index in range(frames)}
    assert raw[0]["K"].dtype is not raw[1]["K"].dtype
    limits = {
        "max_bytes": rhd_annotations._PICKLE_BYTES_A_FRAME * frames,
        "max_opcodes": rhd_annotations._PICKLE_OPCODES_A_FRAME * frames,
    }
    assert same(load(tmp_path, pickle.dumps(raw, protocol), **limits), raw)


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """A damaged copy: bytes flipped, cut short, a stretch doubled, or two stretches swapped."""
    data = bytearray(content)
    a, b = sorted(int(position) for position in rng.integers(0, len(data), 2))
    match int(rng.integers(4)):
        case 0:
            for position in rng.integers(0, len(data), int(rng.integers(1, 6))):
                data[position] ^= int(rng.integers(1, 256))
        case 1:
            del data[a:]
        case 2:
            data[a:a] = data[a : a + int(rng.integers(1, 50))]
        case 3:
            data = data[b:] + data[a:b] + data[:a]
    return bytes(data)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_damaged_pickle_is_plain_data_or_one_input_error(tmp_path, protocol):
    content = pickle.dumps(PLAIN, protocol)
    rng = np.random.default_rng(protocol)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(300):
        try:
            load(tmp_path, mutated(content, rng))
            outcomes["read"] += 1
        except InputError as error:
            assert "\n" not in str(error) and "anno.pickle" in str(error)
            outcomes["refused"] += 1
    assert (
        outcomes["refused"] > 150 and outcomes["read"] > 0
    )  # a flipped digit is still data; the reader of a set checks


def test_the_attacks_work_on_pickle_itself(tmp_path, monkeypatch):
    """Negative control: a test above that passes with a broken attack would say nothing."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Calls(os.system, "touch marked")))
    assert (tmp_path / "marked").exists()
