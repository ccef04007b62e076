"""Plain trees, as YAML gives them, into dataclasses: nothing missing, nothing unknown, nothing of another type."""

import dataclasses
import datetime
import types
import typing

from handvae.base.errors import InputError


def check_keys(tree: object, expected: list[str], where: str) -> None:
    if not isinstance(tree, dict):
        raise InputError(f"{where}: expected the keys {', '.join(expected)}, found {tree!r}")
    missing = [key for key in expected if key not in tree]
    unknown = [str(key) for key in tree if key not in expected]
    if missing or unknown:
        found = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"unknown: {', '.join(unknown)}"] * bool(unknown)
        raise InputError(f"{where}: expected the keys {', '.join(expected)}; {'; '.join(found)}")


def convert(value: object, kind: object, where: str) -> object:
    """`value` as `kind`, a dataclass, a container of one, a literal or a plain type; InputError if it is not one."""
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        check_keys(value, list(hints), where)
        return kind(**{key: convert(value[key], hint, f"{where}.{key}") for key, hint in hints.items()})
    if kind is typing.Any:
        return value
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is dict and isinstance(value, dict):
        return {
            convert(key, arguments[0], f"{where}: key"): convert(item, arguments[1], f"{where}.{key}")
            for key, item in value.items()
        }
    if origin is list and isinstance(value, list):
        return [convert(item, arguments[0], f"{where}[{number}]") for number, item in enumerate(value)]
    if origin is typing.Literal and value in arguments:
        return value
    if origin is types.UnionType:
        for option in arguments:
            if _is_list_of(value, option) if typing.get_origin(option) is list else _is_plain(value, option):
                return value
    if origin is None and _is_plain(value, kind):
        return value
    expected = "one of " + ", ".join(arguments) if origin is typing.Literal else getattr(kind, "__name__", str(kind))
    items = value if isinstance(value, list) else [value]
    unquoted = any(isinstance(item, int | float | datetime.date) for item in items) and str in (kind, *arguments)
    hint = " (YAML reads it so without quotes; in quotes it is text)" if unquoted else ""
    raise InputError(f"{where}: expected {expected}, found {value!r}{hint}")


def _is_list_of(value: object, kind: object) -> bool:
    (of,) = typing.get_args(kind)
    return isinstance(value, list) and all(isinstance(item, of) for item in value)


def _is_plain(value: object, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
