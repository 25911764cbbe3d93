"""Overrides of a config: ``--set key=value``, and the environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ragbench.base.errors import UsageError, may_be_secret
from ragbench.base.yamlfile import Document, parse_value

ENVIRONMENT = "RAGBENCH_SET_"


def override_all(
    document: Document, overrides: Iterable[str], environment: Mapping[str, str]
) -> None:
    """Set values in a document; overrides win over the environment.

    Args:
        document: The config as read.
        overrides: ``key=value`` texts.
        environment: Variables such as ``RAGBENCH_SET_seed``.

    Raises:
        UsageError: An override names no place, or is not ``key=value``.
    """
    for text, origin in [*_from_environment(environment), *((o, _origin(o)) for o in overrides)]:
        _override(document, text, origin)


def _from_environment(environment: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Yield overrides such as RAGBENCH_SET_tasks__0__limit=5."""
    for name in sorted(environment):
        if name.startswith(ENVIRONMENT):
            key = name.removeprefix(ENVIRONMENT).replace("__", ".")
            yield f"{key}={environment[name]}", f"the environment variable {name}"


def _origin(override: str) -> str:
    """Return how a message names an override; the value of an address or a key is left out."""
    key, _, _ = override.partition("=")
    return f"--set {key}=..." if may_be_secret(key.split(".")[-1]) else f"--set {override}"


def _override(document: Document, text: str, origin: str) -> None:
    """Set one value; list members are found by position or by ``name``."""
    key, equals, raw = text.partition("=")
    if not equals or not key:
        raise UsageError(f"{text!r} is not key=value", where=origin, fix="write --set seed=3")
    place: Any = document.value
    keys: list[str | int] = []
    parts = key.split(".")
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        if isinstance(place, dict):
            keys.append(part)
            if not last:
                place = place.setdefault(part, {})
            else:
                place[part] = parse_value(raw)
        elif isinstance(place, list):
            index = _member(place, ".".join(parts[position:]), part, origin)
            keys.append(index)
            if last:
                place[index] = parse_value(raw)
            elif isinstance(place[index], str):
                place[index] = {"name": place[index]}
                place = place[index]
            else:
                place = place[index]
        else:
            raise UsageError(f"there is nothing under {'.'.join(map(str, keys))!r}", where=origin)
    document.origins[tuple(keys)] = origin


def _member(members: list[Any], rest: str, part: str, origin: str) -> int:
    names = [m.get("name") if isinstance(m, dict) else m for m in members]
    if part in names:
        return names.index(part)
    if part.isascii() and part.isdigit() and int(part) < len(members):
        return int(part)
    raise UsageError(
        f"there is no member {part!r} (of {rest!r})",
        where=origin,
        fix=f"use a position from 0 to {len(members) - 1}, or a name: "
        + ", ".join(str(n) for n in names if n),
    )
