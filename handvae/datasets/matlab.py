"""Numbers in MATLAB files of versions 5 to 7 (.mat), read by scipy and written here.

scipy's writer would date the file, so that equal labels would not be equal bytes, and a machine that renders need not
have scipy.
"""

import math
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np

from handvae.base.atomic import replacing_file
from handvae.base.errors import InputError
from handvae.datasets import plain_file

_NUMERIC = {"double", "single", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}
_OTHER_VERSIONS = {0: "a file of MATLAB 4", 2: "a MATLAB 7.3 (HDF5) file; in MATLAB, save it with -v7"}
_HEADER = b"MATLAB 5.0 MAT-file, written by handvae".ljust(116) + bytes(8) + struct.pack("<H2s", 0x0100, b"IM")
# types of data elements and classes of matrices
_INT8, _UINT16, _INT32, _UINT32, _DOUBLE, _MATRIX, _COMPRESSED = 1, 4, 5, 6, 9, 14, 15
_CELLS_CLASS, _TEXT_CLASS, _DOUBLE_CLASS = 1, 4, 6


def read(path: Path, name: str, ndim: int, max_numbers: int) -> np.ndarray:
    """Return the numbers of the variable `name`: float64, in MATLAB's shape of `ndim` dimensions.

    InputError if the file is damaged, if the variable is missing, is not real numbers or holds more than `max_numbers`,
    and if scipy takes far more memory than they need.
    """
    wanted = f"a whole MATLAB 5 file with {ndim}-dimensional numbers {name}"
    import scipy.io  # where labels are read: rendering does without it

    with plain_file.opened(path, wanted) as file, plain_file.limited_memory(24 * max_numbers):
        try:
            version, _ = scipy.io.matlab.matfile_version(file)
            if version in _OTHER_VERSIONS:
                raise ValueError(_OTHER_VERSIONS[version])
            variables = scipy.io.whosmat(file)  # (name, shape, class) of each
            names = tuple(variable[0] for variable in variables)
            if names.count(name) != 1:
                raise ValueError(f"it {names.count(name)} times among the variables {names[:20]}")
            _, shape, matrix_class = variables[names.index(name)]
            if matrix_class not in _NUMERIC or len(shape) != ndim or not 0 < math.prod(shape) <= max_numbers:
                raise ValueError(f"{matrix_class} of shape {shape}")
            with warnings.catch_warnings(action="error"):  # of what cannot be read
                numbers = scipy.io.loadmat(file, variable_names=[name])[name]
            if numbers.shape != shape or numbers.dtype.kind not in "fiu":
                raise ValueError(f"{numbers.dtype} of shape {numbers.shape}")
            return numbers.astype(np.float64, copy=False)
        except Exception as error:  # whatever damage leads to
            raise InputError(f"{path}: expected {wanted}, found {' '.join(str(error).split()) or 'damage'}") from None


def write(path: Path, variables: dict[str, np.ndarray | list[str]]) -> None:
    """Write `variables` compressed: float64 of 2 or more dimensions, or a list of ASCII texts as an N x 1 cell array.

    Equal variables give equal bytes; `path` appears only when it is complete.
    """
    with replacing_file(path) as partial, partial.open("wb") as file:
        file.write(_HEADER)
        for name, value in variables.items():
            packed = zlib.compress(_cells(name, value) if isinstance(value, list) else _doubles(name, value), level=1)
            file.write(struct.pack("<II", _COMPRESSED, len(packed)) + packed)  # the one element without padding


def _doubles(name: str, array: np.ndarray) -> bytes:
    return _matrix(_DOUBLE_CLASS, array.shape, name, _element(_DOUBLE, array.astype("<f8").tobytes("F")))


def _cells(name: str, texts: list[str]) -> bytes:
    cells = [
        _matrix(_TEXT_CLASS, (min(len(text), 1), len(text)), "", _element(_UINT16, text.encode("utf-16-le")))
        for text in texts
    ]
    return _matrix(_CELLS_CLASS, (len(texts), 1), name, b"".join(cells))


def _matrix(matrix_class: int, shape: tuple[int, ...], name: str, content: bytes) -> bytes:
    flags, dimensions = struct.pack("<II", matrix_class, 0), struct.pack(f"<{len(shape)}i", *shape)
    head = _element(_UINT32, flags) + _element(_INT32, dimensions) + _element(_INT8, name.encode())
    return _element(_MATRIX, head + content)


def _element(data_type: int, content: bytes) -> bytes:
    return struct.pack("<II", data_type, len(content)) + content + bytes(-len(content) % 8)
