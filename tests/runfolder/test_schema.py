"""A dataclass as the schema of a JSON object: what fits, what does not, and what it says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from ragbench.base.errors import DataError
from ragbench.runfolder.schema import SPARSE, parse, parse_lines, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    name: str
    raw: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    text: str
    whole: int
    number: float | None
    flag: bool = False
    way: Literal["a", "b"] = "a"
    spans: tuple[tuple[str, int, int], ...] = ()
    inner: Mapping[str, Inner] = field(default_factory=dict)
    some: str | None = field(default=None, metadata=SPARSE)


WHOLE: dict[str, Any] = {
    "text": "half of a pair \ud800",
    "whole": 3,
    "number": 1,
    "flag": True,
    "way": "b",
    "spans": [["d", 0, 4]],
    "inner": {"x": {"name": "n", "unknown": [1]}},
}


def test_what_is_read_is_written_again_with_what_it_does_not_know() -> None:
    found = parse(Outer, WHOLE, "f:1")
    assert found.spans == (("d", 0, 4),)
    assert found.inner["x"].name == "n"
    assert json.dumps(to_json(found)) == json.dumps(WHOLE)  # 1 does not become 1.0
    assert to_json(parse(Outer, WHOLE | {"some": "s"}, "f:1"))["some"] == "s"


def test_defaults_stand_for_keys_that_are_missing() -> None:
    found = parse(Outer, {"text": "t", "whole": 1, "number": None, "other": 2}, "f:1")
    assert (found.flag, found.way, found.spans, found.some) == (False, "a", (), None)
    assert "other" not in to_json(found)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": 5}, "the line has an unreadable 'text'"),
        ({"text": None}, "unreadable 'text'"),
        ({"text": ...}, "the line is missing 'text'"),
        ({"whole": True}, "unreadable 'whole'"),
        ({"whole": 1.5}, "unreadable 'whole'"),
        ({"number": "1"}, "unreadable 'number'"),
        ({"number": False}, "unreadable 'number'"),
        ({"flag": 1}, "unreadable 'flag'"),
        ({"way": "c"}, "unreadable 'way'"),
        ({"way": ["a"]}, "unreadable 'way'"),
        ({"spans": [["d", 0]]}, "unreadable 'spans'"),
        ({"spans": "d"}, "unreadable 'spans'"),
        ({"inner": []}, "unreadable 'inner'"),
        ({"inner": {"x": 1}}, "unreadable 'inner.x'"),
        ({"inner": {"x": {}}}, "is missing 'inner.x.name'"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], message: str) -> None:
    value = {key: v for key, v in (WHOLE | changes).items() if v is not ...}
    with pytest.raises(DataError, match=message) as caught:
        parse(Outer, value, "f:1")
    assert caught.value.where == "f:1"
    assert caught.value.fix


def test_what_is_no_object_is_named() -> None:
    with pytest.raises(DataError, match="the file is not a JSON object"):
        parse(Outer, [], "f", what="file")


def test_lines_are_named_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"name": "a"}\n\n{"name": 2}\n', encoding="utf-8")
    found = parse_lines(Inner, path, fix="mend it")
    assert next(found) == (f"{path}:1", Inner(name="a", raw={"name": "a"}))
    with pytest.raises(DataError) as caught:
        next(found)
    assert (caught.value.where, caught.value.fix) == (f"{path}:3", "mend it")
