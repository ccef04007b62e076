"""Pickles of numbers and numeric arrays, read by Python's Unpickler without running anything that they ask for.

NumPy's own functions would not be safe: `ndarray` takes bytes of the file for pointers, and so does a dtype whose state
says that its numbers are objects. Their names, of NumPy 1 and 2, stand for functions here that know numeric types only.
"""

import gc
import io
import pickle
from pathlib import Path

import numpy as np

from handvae.base.errors import InputError
from handvae.datasets import plain_file

_NUMERIC = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"}
_MEMORY = 8  # times the file's size; arrays of RHD take three times what they take in the file


def load(path: Path, max_bytes: int, wanted: str = "a pickle") -> object:
    """Return what the pickle at `path` holds: dicts, lists, tuples, text, bytes, numbers and numeric arrays.

    InputError if the file is larger than `max_bytes`, damaged, takes far more memory than its size, or asks for
    anything but these data.
    """
    data = plain_file.read(path, max_bytes, wanted)
    unpickler = _Unpickler(io.BufferedReader(io.BytesIO(data)), encoding="latin1")  # Python 2's text is bytes as well
    gc.disable()  # it would look through all arrays again and again while more of them are made: half of the time
    try:
        with plain_file.limited_memory(_MEMORY * len(data)):
            return unpickler.load()
    except _RefusedError as refusal:
        raise InputError(f"{path}: expected {wanted}, only numbers and numeric arrays, found {refusal}") from None
    except Exception as error:  # whatever damage leads to
        raise InputError(
            f"{path}: expected {wanted}, only numbers and numeric arrays, found damage ({type(error).__name__})"
        ) from None
    finally:
        gc.enable()


class _RefusedError(Exception):
    """The pickle asks for something that is no number and no numeric array."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        module = module.replace("numpy.core.", "numpy._core.")
        if (module, name) not in _FUNCTIONS:
            raise _RefusedError(f"a request for {module[:60]!r}.{name[:60]!r}")
        function = _FUNCTIONS[module, name]
        return lambda *arguments: function(*arguments)  # a pickle may set attributes of what it is given


class _Dtype:
    """A numeric dtype, whose byte order the pickle tells later."""

    def __init__(self, name: str, *_: object):
        if name not in _NUMERIC:
            raise _RefusedError(f"an array of type {str(name)[:20]!r}")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array that the pickle fills after it has made it."""

    def __setstate__(self, state: tuple) -> None:
        version, shape, dtype, fortran, content = state
        super().__setstate__((version, shape, dtype.dtype, fortran, content))


def _scalar(dtype: _Dtype, content: bytes) -> np.generic:
    return np.frombuffer(content, dtype.dtype)[0]


def _frombuffer(content: bytes | bytearray, dtype: _Dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    # bytes of its own: memory that the pickle could free through another array would be read after that
    return np.frombuffer(bytes(content), dtype.dtype).reshape(shape, order=order)


_FUNCTIONS = {
    ("numpy", "ndarray"): None,  # named where _reconstruct is called, never called itself
    ("numpy", "dtype"): _Dtype,
    ("numpy._core.multiarray", "_reconstruct"): lambda *_: _Array(0),
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy._core.numeric", "_frombuffer"): _frombuffer,
    ("_codecs", "encode"): lambda text, _: text.encode("latin-1"),  # how Python 3 writes bytes at protocol 2
}
