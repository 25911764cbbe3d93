"""YAML validated against a pydantic model; errors name the line."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from ragbench.base.errors import UsageError, first_line, masked, may_be_secret, near
from ragbench.base.files import plain_file

MAX_BYTES = 1 << 20
MAX_NODES = 100_000
TAG = "tag:yaml.org,2002:"
WRITE = (
    "correct this line or the one before it: close its quotes and brackets, indent like the lines "
    "around it, and quote a text with `: `, ` #` or a sign at its start"
)
Keys = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)


class Fields(BaseModel):
    """Base of what keys are checked against; pydantic alone would read true as the number 1."""

    @field_validator("*", mode="before")
    @classmethod
    def _check_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        parts = value.values() if isinstance(value, Mapping) else value
        several = parts if isinstance(value, Mapping | list | tuple) else (value,)
        if any(isinstance(part, bool) for part in several):
            kinds = _kinds(cls, info.field_name or "")
            if bool not in kinds and object not in kinds and {int, float} & kinds:
                raise PydanticKnownError("int_type" if int in kinds else "float_type")
        return value


@cache
def _kinds(model: type[BaseModel], name: str) -> frozenset[type]:
    """Return the types in the annotation of a field; ``object`` if it may be anything."""
    return frozenset(_types(model.model_fields[name].annotation))


def _types(annotation: Any) -> Iterator[type]:
    if annotation is Any:
        yield object
    elif isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    elif isinstance(annotation, bool):  # within a Literal
        yield bool
    for part in get_args(annotation):
        yield from _types(part)


@dataclass(frozen=True)
class Document:
    """A loaded YAML value with the line of each key.

    Attributes:
        value: Plain dicts, lists, strings, numbers, booleans and None.
        path: The source file.
        lines: Line (from 1) of each key path.
        origins: The source of each key path that was set from outside the file.
        text: The YAML text.
    """

    value: Any
    path: Path
    lines: dict[Keys, int]
    origins: dict[Keys, str] = field(default_factory=dict)
    text: str = ""

    def where(self, keys: Keys) -> str:
        """Return the file and line of a key, or the override that set it."""
        prefixes = [keys[:end] for end in range(len(keys), -1, -1)]
        for prefix in prefixes:  # an override replaces everything under its key
            if prefix in self.origins:
                return self.origins[prefix]
        for prefix in prefixes:
            if prefix in self.lines:
                dotted = ".".join(str(k) for k in keys)
                suffix = f" ({dotted})" if dotted else ""
                return f"{self.path}:{self.lines[prefix]}{suffix}"
        return str(self.path)

    def part(self, key: str) -> Document:
        """Return the document under a top-level key; an empty document if the key is missing."""
        lines = {k[1:]: v for k, v in self.lines.items() if k[:1] == (key,)}
        lines.setdefault((), self.lines.get((key,), 1))
        return Document(self.value.get(key) or {}, self.path, lines)


def load(path: Path) -> Document:
    """Return a YAML mapping; tags, exploding aliases and repeated keys are errors.

    Raises:
        UsageError: The file is missing, too large, not YAML or not a mapping.
    """
    try:
        data = plain_file(path).read_bytes()
    except OSError as error:
        raise UsageError(
            f"the file cannot be read: {error.strerror}",
            where=str(path),
            fix=f"check the path; the current folder is {Path.cwd()}",
        ) from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"the file has {len(data):,} bytes, over {MAX_BYTES:,}", where=str(path))
    try:
        text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig").read()
    except UnicodeDecodeError as error:
        raise UsageError(f"the file is not UTF-8: {error}", where=str(path)) from None
    return _parse(text, path)


def from_mapping(value: Mapping[str, Any], *, what: str) -> Document:
    """Return a mapping as if it had been read from a file.

    Args:
        value: Plain dicts, lists, strings, numbers, booleans and None.
        what: The name of the mapping, for messages.

    Returns:
        The document, a copy.

    Raises:
        UsageError: A value is none of these.
    """
    try:
        text = yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True)
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(
            f"the {what} holds a value that YAML cannot: {first_line(error)}",
            fix="use plain dicts, lists, strings, numbers, booleans and None",
        ) from None
    return _parse(text, Path(what))


def _parse(text: str, path: Path) -> Document:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(root, yaml.MappingNode):
            raise UsageError(
                "the file is not a YAML mapping", where=str(path), fix="write `key: value` lines"
            )
        builder = _Builder(path)
        return Document(builder.build(root, ()), path, builder.lines, text=text)
    except yaml.MarkedYAMLError as error:
        number = error.problem_mark.line if error.problem_mark else None
        where = str(path) if number is None else f"{path}:{number + 1}"
        line = "" if number is None else "".join(text.splitlines()[number : number + 1])
        if "\t" in line[: len(line) - len(line.lstrip())]:
            raise UsageError(
                "the file is not YAML: a tab indents the line",
                where=where,
                fix="use spaces instead of tabs",
            ) from None
        raise UsageError(f"the file is not YAML: {error.problem}", where=where, fix=WRITE) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"the file is not YAML: {error}", where=str(path), fix=WRITE) from None


class _Builder:
    """Converts a composed node tree to plain values of YAML's own scalar types."""

    SCALARS = ("str", "int", "float", "bool", "null", "timestamp")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Keys, int] = {}
        self.count = 0
        self.open: set[int] = set()

    def build(self, node: yaml.Node, keys: Keys) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(keys, line)
        self.count += 1
        if self.count > MAX_NODES or id(node) in self.open:
            raise self.error("the file's aliases expand without end", line)
        self.open.add(id(node))
        try:
            return self._value(node, keys, line)
        finally:
            self.open.discard(id(node))

    def _value(self, node: yaml.Node, keys: Keys, line: int) -> Any:
        if isinstance(node, yaml.ScalarNode):
            if node.tag.removeprefix(TAG) not in self.SCALARS:
                raise self.error(f"the tag {node.tag!r} is not supported", line)
            if node.tag == TAG + "timestamp":
                return node.value
            try:
                return yaml.SafeLoader("").construct_object(node)
            except (yaml.YAMLError, ValueError, LookupError) as error:
                raise self.error(f"the value {node.value!r} is invalid: {error}", line) from None
        if isinstance(node, yaml.SequenceNode) and node.tag == TAG + "seq":
            return [self.build(item, (*keys, i)) for i, item in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode) or node.tag != TAG + "map":
            raise self.error(f"the tag {node.tag!r} is not supported", line)
        result: dict[str, Any] = {}
        for key_node, item in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise self.error("a key is not plain text", key_line)
            key = key_node.value
            if key in result:
                raise self.error(f"the key {key!r} is repeated", key_line)
            self.lines[(*keys, key)] = key_line
            result[key] = self.build(item, (*keys, key))
        return result

    def error(self, what: str, line: int) -> UsageError:
        return UsageError(what, where=f"{self.path}:{line}", fix="write plain YAML")


def parse_value(text: str) -> Any:
    """Return the value after ``key=`` in an override, parsed as YAML, or else as text."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        return None if root is None else _Builder(Path()).build(root, ())
    except (yaml.YAMLError, UsageError, RecursionError):
        return text


def check(
    model: type[M], document: Document, *, sample: Callable[[Keys], str] = lambda keys: ""
) -> M:
    """Return the document as a validated pydantic model.

    ``sample`` returns how a key is written, for messages.

    Raises:
        UsageError: A key is unknown, missing or of the wrong type. The message has the line of
            the first error, and suggests close names for an unknown key.
    """
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        try:
            found = error.errors(include_url=False)
        except UnicodeEncodeError:  # pydantic cannot say which text it is
            raise UsageError(
                "a key or a text holds half of a surrogate pair",
                where=document.where(()),
                fix="write the character itself instead of its \\u escapes",
            ) from None
        raise _explain(model, document, found, sample) from None


def _explain(
    model: type[BaseModel],
    document: Document,
    found: Sequence[Any],
    sample: Callable[[Keys], str],
) -> UsageError:
    locations = [detail["loc"] for detail in found]
    # Entries that are wrong do not count, so that their list is too short as well.
    found = [
        detail
        for detail in found
        if detail["type"] != "too_short"
        or not any(loc[: len(detail["loc"])] == detail["loc"] != loc for loc in locations)
    ]
    places = [_real_keys(document.value, detail["loc"]) for detail in found]
    # A misspelt key is also a missing key; reporting the misspelling helps more.
    first = next((i for i, e in enumerate(found) if e["type"] == "extra_forbidden"), 0)
    detail, keys = found[first], places[first]
    own = [e for e, place in zip(found, places, strict=True) if place == keys]
    others = len(set(places)) - 1
    more = f" (and {others} more error{'s' * (others > 1)})" if others else ""
    name = str(detail["loc"][-1]) if detail["loc"] else ""
    if "fix" in detail.get("ctx", {}):  # a validator said what to do
        what = f"{detail['msg']}{more}"
        return UsageError(what, where=document.where(keys), fix=detail["ctx"]["fix"])
    if detail["type"] == "extra_forbidden":
        known = _fields_beside(model, detail["loc"])
        return UsageError(
            f"there is no key {name!r}{more}", where=document.where(keys), fix=near(name, known)
        )
    if detail["type"] == "missing":
        return UsageError(
            f"the key {name!r} is missing{more}",
            where=document.where(keys),
            fix=f"add `{sample((*keys, name)) or f'{name}: ...'}` there",
        )
    right = sample(keys)
    fix = f"write `{right}`" if right else ""
    if detail["type"] == "literal_error":
        fix = near(str(detail.get("input")), re.findall("'([^']*)'", detail["ctx"]["expected"]))
    message = _plainly(keys, own)
    if any(isinstance(key, str) and may_be_secret(key) for key in keys):
        return UsageError(f"{message}{more}", where=document.where(keys), fix=fix)
    value = masked(json.dumps(detail.get("input"), ensure_ascii=False, default=str))
    shown = value if len(value) <= 80 else value[:77] + "..."
    return UsageError(f"{message}; it is {shown}{more}", where=document.where(keys), fix=fix)


# What a key takes, by the beginning of the type of pydantic's error.
TAKES = {
    "model": "a mapping of keys",
    "dataclass": "a mapping of keys",
    "dict": "a mapping of keys",
    "mapping": "a mapping of keys",
    "tuple": "a list",
    "list": "a list",
    "int": "a whole number",
    "float": "a number",
    "finite": "a number",
    "bool": "true or false",
    "string_type": "a text",
    "none": "nothing",
}
BOUNDS = {
    "greater_than": ("gt", "a number above {}"),
    "greater_than_equal": ("ge", "a number of at least {}"),
    "less_than": ("lt", "a number below {}"),
    "less_than_equal": ("le", "a number of at most {}"),
}


def _plainly(keys: Keys, details: Sequence[Any]) -> str:
    """Return what is wrong with a value, by the errors of all types that it may have."""
    name = f"`{keys[-1]}`" if keys and isinstance(keys[-1], str) else "this entry"
    taken = dict.fromkeys(filter(None, map(_takes, details)))
    if taken:
        return f"{name} takes {' or '.join(taken)}"
    return str(details[0]["msg"].removeprefix("Value error, "))


def _takes(detail: Any) -> str:
    """Return what a key takes by one error; empty for an error of a validator of ours."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in BOUNDS:
        key, text = BOUNDS[kind]
        return text.format(f"{context[key]:,}".removesuffix(".0"))
    if kind == "literal_error":
        return f"one of {context['expected'].replace(' or ', ', ')}"
    if kind == "too_short":
        least = context["min_length"]
        return "at least one entry" if least == 1 else f"at least {least} entries"
    if kind == "string_pattern_mismatch":
        return f"a text of the form {context['pattern']}"
    return next((text for start, text in TAKES.items() if kind.startswith(start)), "")


def _real_keys(value: Any, location: tuple[str | int, ...]) -> Keys:
    """Return the keys of a pydantic location, without the names of union members."""
    keys: list[str | int] = []
    for part in location:
        in_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if in_list or (isinstance(value, dict) and part in value):
            value = value[part]
            keys.append(part)
    return tuple(keys)


def _fields_beside(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """Return the keys that are allowed next to an unknown key."""
    import typing

    known: Any = model
    for part in location[:-1]:
        if isinstance(part, str) and isinstance(known, type) and issubclass(known, BaseModel):
            target = known.model_fields.get(part)
            known = target.annotation if target else known
        members = [known, *typing.get_args(known)]
        members += [inner for member in members for inner in typing.get_args(member)]
        models = [m for m in members if isinstance(m, type) and issubclass(m, BaseModel)]
        named = [m for m in models if m.__name__ == part]
        known = (named or models or [known])[0]
    if isinstance(known, type) and issubclass(known, BaseModel):
        return list(known.model_fields)
    return []
