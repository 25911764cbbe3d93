"""Strata given by a file: which codes or terms a model has seen, and which were held out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from ragbench.base import home
from ragbench.base.errors import DataError
from ragbench.base.files import plain_file, strict_json

DEMO = "demo"
DEMO_SPLIT = Path(__file__).parents[2] / "models" / "demo" / "split.json"
T = TypeVar("T")


def read_split(reference: str, task: str) -> dict[str, list[str]]:
    """Return the ids of each stratum of a task, in the order of the file.

    The reference is ``demo`` for what the demonstration adapter has seen, or a JSON file with
    ``{TASK: {"strata": {STRATUM: [ids]}}}``; a relative path starts from RAGBENCH_HOME.

    Raises:
        DataError: The file is not there or not of that form, or an id appears twice.
    """
    path = DEMO_SPLIT if reference == DEMO else home.home() / home.expand(reference)
    try:
        found = strict_json.decode(plain_file(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _wrong(f"the split cannot be read: {error}", path) from None
    strata = _at(_at(found, task, path), "strata", path)
    if not isinstance(strata, dict) or not strata:
        raise _wrong(f"the split has no strata of {task}", path)
    seen: set[str] = set()
    for name, ids in strata.items():
        if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
            raise _wrong(f"the stratum {name!r} of {task} is not a list of ids", path)
        if twice := next((i for i in ids if i in seen), None):
            raise _wrong(f"{twice!r} appears in two strata of {task}", path)
        seen |= set(ids)
        if len(set(ids)) < len(ids):
            raise _wrong(f"an id appears twice in the stratum {name!r} of {task}", path)
    return strata


def _at(value: Any, key: str, path: Path) -> Any:
    if not isinstance(value, dict) or key not in value:
        raise _wrong(f"the split has no {key!r}", path)
    return value[key]


def _wrong(what: str, path: Path) -> DataError:
    form = '{"TASK": {"strata": {"seen": ["ID", ...], "held-out": [...]}}}'
    return DataError(what, where=str(path), fix=f"write {form}")


def by_stratum(
    members: Iterable[tuple[str, T]], strata: dict[str, list[str]], *, task: str
) -> dict[str, list[T]]:
    """Return the members of each stratum, in their own order; those of no stratum are left out.

    Members are (id, member) of all that can be asked about.

    Raises:
        DataError: A stratum has no members.
    """
    stratum_of = {i: name for name, ids in strata.items() for i in ids}
    found: dict[str, list[T]] = {name: [] for name in strata}
    for identifier, member in members:
        if identifier in stratum_of:
            found[stratum_of[identifier]].append(member)
    if empty := next((name for name, held in found.items() if not held), None):
        raise DataError(
            f"nothing in the stratum {empty!r} can be asked about",
            where=f"tasks: {task}: split",
            fix="the ids are those of the corpus, such as E11.9 or HP:0001631",
        )
    return found


def in_turn(groups: Sequence[Sequence[T]]) -> list[T]:
    """Return one member of each group in turn; the rest of the longer ones comes last."""
    gap = object()
    turns = zip_longest(*groups, fillvalue=gap)
    return [member for turn in turns for member in turn if member is not gap]  # type: ignore[misc]
