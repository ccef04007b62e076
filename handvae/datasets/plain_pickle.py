"""Reads pickles as data: dicts, lists, tuples, text, bytes, numbers and numeric numpy arrays, and nothing else.

A machine of its own for the opcodes that such data needs, protocols 2 to 5, Python 2 and 3, NumPy 1 and 2. Python's
Unpickler with a restricted `find_class` would not do: it allocates what a file merely claims (a memo index of 2**31
takes 32 GB), and its BUILD sets attributes on whatever it was given. Here functions are names, and only a few names
mean anything.
"""

import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from handvae.base.errors import InputError
from handvae.datasets import plain_file

_NUMERIC = re.compile(r"[|<>=]?(\?|b1|[iu][1248]|f[248]|c8|c16|[bBhHiIlLqQefdFD])")
_MAX_DIMENSIONS = 32
_DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, struct.error, MemoryError)
_MAX_STACK = 1_000_000  # Python's pickler sets dict and list items in batches of 1000


def load(path: Path, max_bytes: int, max_opcodes: int, wanted: str = "a pickle") -> object:
    """Return the plain data in the pickle at `path`, of what is `wanted`.

    Both limits are the caller's idea of how large an honest file can be; time and memory are bounded by them: an opcode
    makes one object at most, a container or a place in the memo of about 80 bytes.
    InputError if the file is larger, damaged, or asks for anything but plain data.
    """
    machine = _Machine(plain_file.read(path, max_bytes, wanted), max_opcodes)
    try:
        return machine.run()
    except _RefusedError as refusal:
        raise InputError(f"{path}: expected {wanted}, only plain data and numeric arrays, found {refusal}") from None
    except _DAMAGE as error:
        raise InputError(
            f"{path}: expected {wanted}, whole and of plain data, found damage near byte {machine.position:,} "
            f"({type(error).__name__})"
        ) from None


class _RefusedError(Exception):
    """The pickle asks for something that plain data does not need."""


class _Function:
    """A function's name as the pickle gave it: inert, compared by identity."""

    def __init__(self, name: str):
        self.name = name


class _Dtype:
    """A dtype that a later BUILD may give its byte order; np.dtype itself cannot change."""

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype


_NDARRAY, _DTYPE, _RECONSTRUCT = _Function("ndarray"), _Function("dtype"), _Function("_reconstruct")
_SCALAR, _FROMBUFFER, _ENCODE, _BYTES = (_Function(name) for name in ("scalar", "_frombuffer", "encode", "bytes"))
_FUNCTIONS = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _DTYPE,
    ("_codecs", "encode"): _ENCODE,  # how Python 3 writes bytes at protocol 2
    ("__builtin__", "bytes"): _BYTES,  # and empty bytes
    ("builtins", "bytes"): _BYTES,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _RECONSTRUCT for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _SCALAR for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _FROMBUFFER for core in ("core", "_core")},
}


class _Machine:
    """The pickle's stack machine over bytes in memory. Everything it allocates is paid for by bytes of the file."""

    def __init__(self, data: bytes, max_opcodes: int):
        self.data, self.position, self.max_opcodes = data, 0, max_opcodes
        self.stack: list = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}
        # Arrays may not add up to more than the file: one stretch of bytes named a million times is an attack.
        # Text to bytes and bytes to array cost once each.
        self.array_bytes_left = 2 * len(data)

    def run(self) -> object:
        data, steps, stack = self.data, _STEPS, self.stack
        if data[:1] != b"\x80":
            raise _RefusedError("no pickle of protocol 2 to 5")
        for _ in range(self.max_opcodes):
            opcode = data[self.position]
            self.position += 1
            if opcode == 0x2E:  # STOP
                if len(stack) != 1 or self.marks:
                    raise ValueError("values left over")
                return stack[0]
            step = steps.get(opcode)
            if step is None:
                raise _RefusedError(f"pickle opcode 0x{opcode:02x} at byte {self.position - 1:,}")
            step(self)
            if len(stack) > _MAX_STACK:
                raise _RefusedError(f"more than {_MAX_STACK:,} values in waiting")
        raise _RefusedError(f"more than {self.max_opcodes:,} opcodes")

    # reading

    def take(self, count: int) -> bytes:
        if count < 0 or self.position + count > len(self.data):
            raise ValueError("the file ends too early")
        taken = self.data[self.position : self.position + count]
        self.position += count
        return taken

    def number(self, count: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(count), "little", signed=signed)

    def counted(self, count_bytes: int) -> bytes:
        return self.take(self.number(count_bytes))

    def line(self) -> str:
        end = self.data.index(b"\n", self.position)
        return self.take(end + 1 - self.position)[:-1].decode("latin-1")

    # the stack

    def pop(self) -> object:
        if self.marks and len(self.stack) <= self.marks[-1]:
            raise ValueError("a value is missing")
        return self.stack.pop()

    def pop_to_mark(self) -> list:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def push_tuple(self, count: int) -> None:
        self.stack.append(tuple(self.pop() for _ in range(count))[::-1])

    def remember(self, key: int) -> None:
        self.memo[key] = self.stack[-1]

    def recall(self, key: int) -> None:
        self.stack.append(self.memo[key])

    def extend(self, values: list) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise TypeError("APPEND to something that is no list")
        target.extend(values)

    def set_items(self, values: list) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(values) % 2:
            raise TypeError("SETITEMS on something that is no dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            # the hash of a deeply nested tuple would overflow C's stack
            if not isinstance(key, str | bytes | int | np.integer):
                raise _RefusedError(f"a dict key of type {type(key).__name__}")
            target[key] = value

    # what stands for code in a pickle

    def function(self, module: object, name: object) -> None:
        if type(module) is not str or type(name) is not str:
            raise TypeError("a function needs a name")
        if (module, name) not in _FUNCTIONS:
            raise _RefusedError(f"a request for {module[:60]!r}.{name[:60]!r}")
        self.stack.append(_FUNCTIONS[module, name])

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        if type(arguments) is not tuple or not isinstance(function, _Function):
            raise _RefusedError("a call of something that is no function")
        if function is _DTYPE:
            self.stack.append(_Dtype(_numeric_dtype(arguments[0])))
        elif function is _RECONSTRUCT and arguments[0] is _NDARRAY:
            self.stack.append(np.empty(0, np.uint8))  # BUILD fills it in
        elif function is _SCALAR:
            self.stack.append(self.array(arguments[1], arguments[0], ())[()])
        elif function is _FROMBUFFER:
            buffer, dtype, shape, order = arguments
            self.stack.append(self.array(buffer, dtype, shape, fortran=order == "F"))
        elif function is _ENCODE and arguments[1] in ("latin1", "latin-1"):
            self.stack.append(self.paid(arguments[0].encode("latin-1")))
        elif function is _BYTES and arguments == ():
            self.stack.append(b"")
        else:
            raise _RefusedError(f"a call of {function.name} with unusual arguments")

    def build(self) -> None:
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, np.ndarray):
            _, shape, dtype, fortran, content = state
            array = self.array(content, dtype, shape, bool(fortran))
            # In place, because the memo already holds the empty array; every part of this state has been checked.
            target.__setstate__((1, array.shape, array.dtype, bool(fortran), array.tobytes("F" if fortran else "C")))
        elif isinstance(target, _Dtype):
            if state[1] not in ("<", ">", "=", "|") or any(part is not None for part in state[2:5]):
                raise _RefusedError("a dtype with fields")
            target.dtype = target.dtype.newbyteorder(state[1])
        else:
            raise _RefusedError("a state for something that is no array")

    def paid(self, content: bytes) -> bytes:
        self.array_bytes_left -= len(content)
        if self.array_bytes_left < 0:
            raise _RefusedError("arrays larger than the file")
        return content

    def array(self, content: object, dtype: object, shape: object, fortran: bool = False) -> np.ndarray:
        if not isinstance(dtype, _Dtype) or type(shape) is not tuple or len(shape) > _MAX_DIMENSIONS:
            raise TypeError("an array needs a dtype and a shape")
        if any(type(extent) is not int or not 0 <= extent <= len(self.data) for extent in shape):
            raise _RefusedError("an array larger than the file")
        if type(content) is str:  # Python 2's text and bytes are one type
            content = content.encode("latin-1")
        if type(content) not in (bytes, bytearray):
            raise TypeError("an array needs bytes")
        array = np.frombuffer(self.paid(content), dtype.dtype)
        return array.reshape(shape, order="F" if fortran else "C").copy(order="K")


def _numeric_dtype(name: object) -> np.dtype:
    if type(name) is not str:
        raise TypeError("a dtype needs a name")
    if not _NUMERIC.fullmatch(name):
        raise _RefusedError(f"an array of type {name[:20]!r}")
    return np.dtype(name)


def _at_most_64_bits(value: int) -> int:
    if not -(2**63) <= value < 2**64:
        raise _RefusedError("an integer of more than 64 bits")
    return value


def _skip_frame(machine: _Machine) -> None:
    if machine.number(8) > len(machine.data) - machine.position:
        raise ValueError("the file ends too early")


def _check_protocol(machine: _Machine) -> None:
    protocol = machine.number(1)
    if not 2 <= protocol <= 5:
        raise _RefusedError(f"pickle protocol {protocol}")


def _push(read: Callable[[_Machine], object]) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(read(machine))


_STEPS = {
    0x80: _check_protocol,
    0x95: _skip_frame,
    ord("("): lambda m: m.marks.append(len(m.stack)),
    # None, bool, numbers
    ord("N"): _push(lambda m: None),
    0x88: _push(lambda m: True),
    0x89: _push(lambda m: False),
    ord("J"): _push(lambda m: m.number(4, signed=True)),
    ord("K"): _push(lambda m: m.number(1)),
    ord("M"): _push(lambda m: m.number(2)),
    0x8A: _push(lambda m: _at_most_64_bits(int.from_bytes(m.counted(1), "little", signed=True))),
    ord("G"): _push(lambda m: struct.unpack(">d", m.take(8))[0]),
    # text and bytes; Python 2's str becomes text
    ord("T"): _push(lambda m: m.counted(4).decode("latin-1")),
    ord("U"): _push(lambda m: m.counted(1).decode("latin-1")),
    ord("X"): _push(lambda m: m.counted(4).decode()),
    0x8C: _push(lambda m: m.counted(1).decode()),
    ord("B"): _push(lambda m: m.counted(4)),
    ord("C"): _push(lambda m: m.counted(1)),
    0x96: _push(lambda m: bytearray(m.counted(8))),
    # containers
    ord("]"): _push(lambda m: []),
    ord("a"): lambda m: m.extend([m.pop()]),
    ord("e"): lambda m: m.extend(m.pop_to_mark()),
    ord(")"): _push(lambda m: ()),
    ord("t"): _push(lambda m: tuple(m.pop_to_mark())),
    0x85: lambda m: m.push_tuple(1),
    0x86: lambda m: m.push_tuple(2),
    0x87: lambda m: m.push_tuple(3),
    ord("}"): _push(lambda m: {}),
    ord("s"): lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    ord("u"): lambda m: m.set_items(m.pop_to_mark()),
    # the memo
    ord("h"): lambda m: m.recall(m.number(1)),
    ord("j"): lambda m: m.recall(m.number(4)),
    ord("q"): lambda m: m.remember(m.number(1)),
    ord("r"): lambda m: m.remember(m.number(4)),
    0x94: lambda m: m.remember(len(m.memo)),
    # names, calls and states
    ord("c"): lambda m: m.function(m.line(), m.line()),
    0x93: lambda m: m.function(*[m.pop(), m.pop()][::-1]),
    ord("R"): lambda m: m.reduce(),
    ord("b"): lambda m: m.build(),
}
