"""Plain trees, as YAML gives them, into dataclasses: nothing missing, nothing unknown, of the declared type and range.

A range stands beside its type: `steps: Annotated[int, Range(...)]`. A TypedDict stays a dict of the declared keys.
A check that spans fields is the dataclass's own __post_init__, which raises a ValueError that starts with the field.
"""

import dataclasses
import datetime
import types
import typing
from collections.abc import Callable

from handvae.base.errors import InputError


@dataclasses.dataclass(frozen=True)
class Range:
    """A condition on a value of the declared type, in words and as a test."""

    expected: str
    holds: Callable[[typing.Any], bool]


def convert(value: object, hint: object, where: str = "") -> typing.Any:
    """`value` as `hint`: a dataclass, TypedDict, list, dict, literal, union or plain type, each perhaps with Ranges.

    Raises InputError that starts with `where`, the way to the value from the top of the tree.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) or typing.is_typeddict(hint):
        return _with_keys(value, hint, where)
    if origin is typing.Annotated:
        converted = convert(value, arguments[0], where)
        for limit in arguments[1:]:
            if not limit.holds(converted):
                raise InputError(f"{where}: expected {limit.expected}, found {converted!r}")
        return converted
    if origin is dict and isinstance(value, dict):
        items = value.items()
        return {convert(key, arguments[0], where): convert(item, arguments[1], f"{where}.{key}") for key, item in items}
    if origin is list and isinstance(value, list):
        return [convert(item, arguments[0], f"{where}[{number}]") for number, item in enumerate(value)]
    if _is_plain(value, hint):
        return value
    in_words = "one of " + ", ".join(arguments) if origin is typing.Literal else getattr(hint, "__name__", str(hint))
    raise InputError(f"{where}: expected {in_words}, found {value!r}{_advice(value, hint)}")


def _with_keys(tree: object, hint: type, where: str) -> typing.Any:
    """`tree` as a dataclass or TypedDict."""
    hints = typing.get_type_hints(hint, include_extras=True)
    expected = f"{where or 'top level'}: expected the keys {', '.join(hints)}"
    if not isinstance(tree, dict):
        raise InputError(f"{expected}, found {tree!r}")
    if missing := [key for key in hints if key not in tree]:
        expected += f"; missing: {', '.join(missing)}"
    if unknown := [str(key) for key in tree if key not in hints]:
        expected += f"; unknown: {', '.join(unknown)}"
    if missing or unknown:
        raise InputError(expected)
    way = f"{where}." if where else ""
    fields = {key: convert(tree[key], hints[key], f"{way}{key}") for key in hints}
    try:
        return hint(**fields)
    except ValueError as error:
        raise InputError(f"{way}{error}") from None


def _is_plain(value: object, hint: typing.Any) -> bool:
    """Whether `value` is of a plain type, a literal, or a list or union of these. A bool is no number."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return any(_is_plain(value, option) for option in arguments)
    if origin is list and isinstance(value, list):
        return all(_is_plain(item, arguments[0]) for item in value)
    if origin is not None:
        return origin is typing.Literal and value in arguments
    if hint is typing.Any or isinstance(value, bool):
        return hint in (typing.Any, bool)
    return isinstance(value, (int, float) if hint is float else hint)


def _advice(value: object, hint: object) -> str:
    """For numbers and dates where text is wanted: YAML took it for what it looks like."""
    items = value if isinstance(value, list) else [value]
    unquoted = any(isinstance(item, int | float | datetime.date) for item in items)
    wants_text = str in (hint, *typing.get_args(hint))
    return " (YAML reads it so without quotes; in quotes it is text)" if unquoted and wants_text else ""
