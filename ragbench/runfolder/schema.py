"""Dataclasses from and to JSON objects: the class is the schema, and every field is checked.

The fields of a class are the keys of the object, in the order written. Unknown keys are ignored,
and a field without a default is required. A class that describes only a part of its object has a
field ``raw`` with the whole object, which is written. A class with ``from_json`` and ``to_json``
reads and writes its object itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache, partial
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Any,
    Literal,
    Protocol,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    runtime_checkable,
)

from ragbench.base.errors import DataError
from ragbench.base.files import read_jsonl

AGAIN = "the file was changed by hand: restore it, or run the config again under another `name:`"
SPARSE = {"sparse": True}  # metadata of a field that is not written if it is None
RAW = "raw"
LARGEST = 2**63 - 1  # a larger number fits no table
T = TypeVar("T")
Check = Callable[[Any], Any]


@runtime_checkable
class OwnJson(Protocol):
    """A class that reads and writes its object itself."""

    def to_json(self) -> dict[str, Any]:
        """Return the object."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> OwnJson:
        """Return the class of an object; ValueError with the name of an unreadable field."""


class _WrongError(ValueError):
    """A value is missing or has the wrong type; ``names`` lead to it from the outside."""

    def __init__(self, *names: str, missing: bool = False) -> None:
        super().__init__(*names)
        self.names = names
        self.missing = missing


def parse(kind: type[T], value: object, where: str, *, what: str = "line", fix: str = AGAIN) -> T:
    """Return the dataclass of a JSON object; lists become tuples and numbers are kept.

    ``where``, ``what`` and ``fix`` are for the message.

    Raises:
        DataError: A field is missing or has the wrong type.
    """
    try:
        return cast(T, _check(cast(Any, kind))(value))
    except _WrongError as wrong:
        name = ".".join(wrong.names)
        problem = f"is missing {name!r}" if wrong.missing else f"has an unreadable {name!r}"
        if not name:
            problem = "is not a JSON object"
        raise DataError(f"the {what} {problem}", where=where, fix=fix) from None


def parse_lines(
    kind: type[T], path: Path, *, what: str = "line", fix: str = AGAIN
) -> Iterator[tuple[str, T]]:
    """Yield each object of a JSON-lines file with its place ``FILE:LINE``."""
    for number, line in read_jsonl(path):
        where = f"{path}:{number}"
        yield where, parse(kind, line, where, what=what, fix=fix)


def to_json(value: Any) -> dict[str, Any]:
    """Return the JSON object of a dataclass, its keys in the order of the fields."""
    if isinstance(value, OwnJson):
        return value.to_json()
    known = fields(value)
    if any(field.name == RAW for field in known):
        return dict(getattr(value, RAW))
    found = {field.name: _plain(getattr(value, field.name)) for field in known}
    for field in known:
        if found[field.name] is None and field.metadata == SPARSE:
            del found[field.name]
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(member) for member in value]
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in value.items()}
    return to_json(value) if is_dataclass(value) else value


@cache
def _checks(kind: type) -> dict[str, tuple[Check, bool]]:
    """Return the check of each field by its name, and whether the field is required."""
    hints = get_type_hints(kind)
    return {field.name: (_check(hints[field.name]), _is_required(field)) for field in fields(kind)}


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _object(kind: type, value: Any) -> Any:
    if not isinstance(value, dict):
        raise _WrongError
    found: dict[str, Any] = {}
    for name, (check, required) in _checks(kind).items():
        if name == RAW:
            found[RAW] = value
        elif name in value:
            found[name] = _inside(name, check, value[name])
        elif required:
            raise _WrongError(name, missing=True)
    return kind(**found)


def _inside(name: str, check: Check, value: Any) -> Any:
    try:
        return check(value)
    except _WrongError as wrong:
        raise _WrongError(name, *wrong.names, missing=wrong.missing) from None


@cache
def _check(kind: Any) -> Check:
    """Return the function that checks a value and returns it as a type."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind in (object, Any):
        return lambda value: value
    if isinstance(kind, type) and issubclass(kind, OwnJson):
        return partial(_own, kind)
    if is_dataclass(kind):
        return partial(_object, cast(type, kind))
    if origin is Literal:
        return partial(_literal, inner)
    if origin in (Union, UnionType):
        (some,) = (part for part in inner if part is not NoneType)
        return partial(_optional, _check(some))
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return partial(_tuple, _check(inner[0]))
        return partial(_row, tuple(map(_check, inner)))
    if origin is not None and issubclass(origin, Mapping):
        return partial(_mapping, _check(inner[1]))
    return partial(_scalar, (int, float) if kind is float else kind)


def _own(kind: type[OwnJson], value: Any) -> OwnJson:
    try:
        return kind.from_json(_scalar(dict, value))
    except _WrongError:
        raise
    except ValueError as wrong:
        raise _WrongError(str(wrong)) from None


def _scalar(kind: type | tuple[type, ...], value: Any) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _WrongError
    if isinstance(value, int) and abs(value) > LARGEST:
        raise _WrongError
    return value


def _literal(allowed: tuple[Any, ...], value: Any) -> Any:
    if not isinstance(value, str) or value not in allowed:
        raise _WrongError
    return value


def _optional(check: Check, value: Any) -> Any:
    return None if value is None else check(value)


def _tuple(check: Check, value: Any) -> tuple[Any, ...]:
    return tuple(map(check, _scalar(list, value)))


def _row(checks: tuple[Check, ...], value: Any) -> tuple[Any, ...]:
    if len(_scalar(list, value)) != len(checks):
        raise _WrongError
    return tuple(check(member) for check, member in zip(checks, value, strict=True))


def _mapping(check: Check, value: Any) -> dict[str, Any]:
    return {name: _inside(name, check, member) for name, member in _scalar(dict, value).items()}
