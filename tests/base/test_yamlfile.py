"""YAML: plain values only, every mistake with its line."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from ragbench.base.errors import UsageError
from ragbench.base.yamlfile import MAX_BYTES, Document, check, from_mapping, load, parse_value


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Arm(Strict):
    name: str
    k: int = Field(5, gt=0)


class Study(Strict):
    name: str
    seed: int = 17
    scoring: Literal["options", "letters"] = "options"
    arms: tuple[Arm, ...] = ()
    packing: Arm | None = None
    indexes: dict[str, Arm] = {}
    groups: dict[str, tuple[Arm, ...]] = {}


STUDY = """\
# a comment
name: small
arms:
  - {name: bm25, k: 5}
  - name: dense
    k: 3
indexes:
  flat:
    name: x
"""


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "study.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def refused(folder: Path, text: str | bytes) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load(write(folder, text))
    return caught.value


# -- loading --------------------------------------------------------------------------------


def test_plain_values_and_their_lines(tmp_path: Path) -> None:
    path = write(tmp_path, STUDY)
    document = load(path)
    assert document.value == {
        "name": "small",
        "arms": [{"name": "bm25", "k": 5}, {"name": "dense", "k": 3}],
        "indexes": {"flat": {"name": "x"}},
    }
    for keys, line in (
        (("name",), 2),
        (("arms", 0, "k"), 4),
        (("arms", 1), 5),
        (("arms", 1, "k"), 6),
        (("indexes", "flat"), 8),
    ):
        dotted = ".".join(map(str, keys))
        assert document.where(keys) == f"{path}:{line} ({dotted})"
    assert document.where(()) == f"{path}:2"
    assert document.where(("arms", 1, "depth")) == f"{path}:5 (arms.1.depth)"


def test_scalars_are_those_of_yaml_and_dates_stay_text(tmp_path: Path) -> None:
    text = "a: 1\nb: 1.5\nc: yes\nd: null\ne: '1'\nf: 2024-01-31\ng: ~\nh: 0x1f\ni: é\n7: x\n"
    assert load(write(tmp_path, b"\xef\xbb\xbf" + text.encode())).value == {
        "a": 1,
        "b": 1.5,
        "c": True,
        "d": None,
        "e": "1",
        "f": "2024-01-31",
        "g": None,
        "h": 31,
        "i": "é",
        "7": "x",
    }


def test_an_alias_that_ends_is_read(tmp_path: Path) -> None:
    assert load(write(tmp_path, "a: &x [1, 2]\nb: *x\nc: *x\n")).value == {
        "a": [1, 2],
        "b": [1, 2],
        "c": [1, 2],
    }


@pytest.mark.parametrize(
    "tagged",
    [
        "!!python/object/apply:os.system ['touch OWNED']",
        "!!python/object/apply:os.system {args: ['touch OWNED']}",
        "!!python/object/new:os.system ['touch OWNED']",
        "!!python/object/apply:map {a: 1}",
        "!!python/object/apply:seq [1]",
        "!!python/name:os.system ''",
        "!!python/tuple [1]",
        "!!python/str x",
        "!!binary aGk=",
        "!!set {a: null}",
        "!!omap [a: 1]",
        "!own x",
        "!own [1]",
        "!own {a: 1}",
        "!<tag:example.org,2000:x> y",
    ],
)
def test_tags_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tagged: str) -> None:
    monkeypatch.chdir(tmp_path)
    error = refused(tmp_path, f"name: x\nvalue: {tagged}\n")
    assert error.what.startswith("the tag ")
    assert error.where == f"{tmp_path / 'study.yaml'}:2"
    assert not (tmp_path / "OWNED").exists()


@pytest.mark.parametrize("value", ["!!bool perhaps", "!!int ''", "!!int x", "!!float ''"])
def test_a_value_that_is_not_of_its_tag_is_refused(tmp_path: Path, value: str) -> None:
    error = refused(tmp_path, f"name: x\nvalue: {value}\n")
    assert "is invalid" in error.what
    assert error.where == f"{tmp_path / 'study.yaml'}:2"


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("name: a\nseed: 1\nname: b\n", "the key 'name' is repeated", 3),
        ("a:\n  b: 1\n  b: 2\n", "the key 'b' is repeated", 3),
        ("a: 1\n? [x, y]\n: 2\n", "a key is not plain text", 2),
        ("a: &x\n  - 1\n  - *x\n", "the file's aliases expand without end", 1),
        ("a: &x {b: &y [*x]}\n", "the file's aliases expand without end", 1),
        ("a: [1, 2\nb: 3\n", "the file is not YAML", 2),
        ("a: 1\n\tb: 2\n", "the file is not YAML: a tab indents the line", 2),
        ("a:\n  - b\n  \t- c\n", "the file is not YAML: a tab indents the line", 3),
        ("a: *nowhere\n", "the file is not YAML: found undefined alias", 1),
        ("a: 1\n---\nb: 2\n", "the file is not YAML: but found another document", 2),
    ],
)
def test_structure_that_is_refused(tmp_path: Path, text: str, what: str, line: int) -> None:
    error = refused(tmp_path, text)
    assert error.what.startswith(what)
    assert error.where == f"{tmp_path / 'study.yaml'}:{line}"
    assert error.fix and ("spaces instead of tabs" in error.fix) is ("a tab" in what)


def test_aliases_that_explode_are_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    started = time.monotonic()
    error = refused(tmp_path, "\n".join(lines))
    assert error.what == "the file's aliases expand without end"
    assert time.monotonic() - started < 10  # 10 ** 12 words would take for ever


@pytest.mark.parametrize("depth", [300, 400, 500, 20_000])
def test_deep_nesting_ends_in_an_error_or_a_value(tmp_path: Path, depth: int) -> None:
    path = write(tmp_path, "a: " + "[" * depth + "]" * depth)
    try:
        load(path)
    except UsageError as error:
        assert error.what.startswith("the file is not YAML")


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n- b\n", "plain text\n", "42\n"])
def test_not_a_mapping(tmp_path: Path, text: str) -> None:
    error = refused(tmp_path, text)
    assert error.what == "the file is not a YAML mapping"
    assert error.fix == "write `key: value` lines"


def test_not_utf8_not_there_a_folder_or_too_large(tmp_path: Path) -> None:
    assert refused(tmp_path, "name: é".encode("latin-1")).what.startswith("the file is not UTF-8")
    assert refused(tmp_path, b"name: \x00\n").what.startswith("the file is not YAML")
    assert "over 1,048,576" in refused(tmp_path, b"#" * (MAX_BYTES + 1)).what
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(UsageError, match="the file cannot be read") as caught:
            load(path)
        assert caught.value.where == str(path)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), plain, max_size=4), st.booleans())
@settings(max_examples=50)
def test_plain_yaml_is_read_as_pyyaml_reads_it(value: dict[str, Any], flow: bool) -> None:
    text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=flow)
    with tempfile.TemporaryDirectory() as folder:
        assert load(write(Path(folder), text)).value == yaml.safe_load(text)


# -- overrides ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ("", None),
        ("bm25", "bm25"),
        ("[1, a]", [1, "a"]),
        ("{name: x, k: 2}", {"name": "x", "k": 2}),
        ("'3'", "3"),
        ("2024-01-31", "2024-01-31"),
        ("2024-13-45", "2024-13-45"),
        ("a: b: c", "a: b: c"),
        ("*x", "*x"),
        ("[", "["),
        ("!!python/object/apply:os.system ['true']", "!!python/object/apply:os.system ['true']"),
        ("[" * 3000, "[" * 3000),
    ],
)
def test_an_override_is_read_as_in_a_file(text: str, value: object) -> None:
    assert parse_value(text) == value


# -- checking -------------------------------------------------------------------------------


def mistake(folder: Path, text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        check(Study, load(write(folder, text)))
    return caught.value


def test_a_right_file_becomes_the_model(tmp_path: Path) -> None:
    study = check(Study, load(write(tmp_path, STUDY)))
    assert study.name == "small"
    assert study.seed == 17
    assert [arm.k for arm in study.arms] == [5, 3]
    assert study.indexes["flat"].k == 5


@pytest.mark.parametrize(
    ("text", "key", "line", "fix"),
    [
        ("name: x\nsede: 3\n", "sede", "2 (sede)", "did you mean 'seed'? known: arms,"),
        (
            "name: x\narms:\n  - name: a\n    kk: 3\n",
            "kk",
            "4 (arms.0.kk)",
            "did you mean 'k'? known: k, name",
        ),
        (
            "name: x\npacking:\n\n  name: a\n  nam: 3\n",
            "nam",
            "5 (packing.nam)",
            "did you mean 'name'? known: k, name",
        ),
        (
            "name: x\nindexes:\n  flat: {name: a, nmae: 3}\n",
            "nmae",
            "3 (indexes.flat.nmae)",
            "did you mean 'name'? known: k, name",
        ),
        (
            "name: x\ngroups:\n  g:\n  - name: a\n    nmae: 3\n",
            "nmae",
            "5 (groups.g.0.nmae)",
            "did you mean 'name'? known: k, name",
        ),
    ],
)
def test_an_unknown_key(tmp_path: Path, text: str, key: str, line: str, fix: str) -> None:
    error = mistake(tmp_path, text)
    assert error.what == f"there is no key {key!r}"
    assert error.where == f"{tmp_path / 'study.yaml'}:{line}"
    assert error.fix.startswith(fix)


def test_a_missing_key_names_the_place_where_it_belongs(tmp_path: Path) -> None:
    error = mistake(tmp_path, "seed: 3\n")
    assert error.what == "the key 'name' is missing"
    assert error.where == f"{tmp_path / 'study.yaml'}:1"
    assert error.fix == "add `name: ...` there"
    inner = mistake(tmp_path, "name: x\narms:\n  - {name: a}\n  - k: 3\n")
    assert inner.what == "the key 'name' is missing"
    assert inner.where == f"{tmp_path / 'study.yaml'}:4 (arms.1)"


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("name: x\nseed: many\n", '`seed` takes a whole number; it is "many"', 2),
        ("name: [a]\n", '`name` takes a text; it is ["a"]', 1),
        ("name: x\nscoring: guess\n", 'it is "guess"', 2),
        ("name: x\narms:\n- {name: a, k: 0}\n", "`k` takes a number above 0; it is 0", 3),
        ("name: x\nseed:\n", "`seed` takes a whole number; it is null", 2),
    ],
)
def test_a_wrong_value_is_shown(tmp_path: Path, text: str, what: str, line: int) -> None:
    error = mistake(tmp_path, text)
    assert error.what.endswith(what)
    assert error.where.startswith(f"{tmp_path / 'study.yaml'}:{line} (")


def test_more_mistakes_are_counted_and_long_values_cut(tmp_path: Path) -> None:
    error = mistake(tmp_path, f"seed: {'m' * 500}\nscoring: guess\n")
    assert error.what == "the key 'name' is missing (and 2 more errors)"
    shown = mistake(tmp_path, f"name: x\nseed: {'m' * 500}\n").what.partition("it is ")[2]
    assert shown == '"' + "m" * 76 + "..."


# -- places ---------------------------------------------------------------------------------


def test_an_override_is_named_as_the_origin(tmp_path: Path) -> None:
    document = load(write(tmp_path, STUDY))
    document.value["seed"] = "many"
    document.origins[("seed",)] = "--set seed=many"
    with pytest.raises(UsageError) as caught:
        check(Study, document)
    assert caught.value.where == "--set seed=many"


def test_an_override_of_a_whole_part_hides_the_lines_beneath(tmp_path: Path) -> None:
    document = load(write(tmp_path, STUDY))
    document.value["arms"] = [{"name": "bm25", "k": -1}]
    document.origins[("arms",)] = "--set arms=[...]"
    with pytest.raises(UsageError) as caught:
        check(Study, document)
    assert caught.value.where == "--set arms=[...]"
    assert document.where(("name",)).endswith("study.yaml:2 (name)")


def test_a_part_keeps_its_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "reader: jsonl\noptions:\n  id_field: _id\n  txt: body\n")
    part = load(path).part("options")
    assert part.value == {"id_field": "_id", "txt": "body"}
    assert part.where(("txt",)) == f"{path}:4 (txt)"
    assert part.where(()) == f"{path}:2"
    assert load(path).part("absent") == Document({}, path, {(): 1})


def test_a_mapping_is_read_as_its_file_would_be(tmp_path: Path) -> None:
    value = {"name": "x", "arms": ["a", {"k": 5, "text": "1e3"}], "note": "Größe: yes", "no": None}
    found = from_mapping(value, what="config")
    assert found.value == value
    assert found.value is not value
    found.value["arms"].append("b")
    assert len(value["arms"]) == 2  # type: ignore[arg-type]
    path = tmp_path / "config.yaml"
    path.write_text(found.text, encoding="utf-8")
    assert load(path).value == value
    assert found.where(("arms", 1, "k")) == "config:4 (arms.1.k)"
    with pytest.raises(UsageError, match="the config holds a value that YAML cannot"):
        from_mapping({"name": Path("x")}, what="config")


def test_the_text_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes("\ufeffa: 1\r\nb: é\r\n".encode())
    assert load(path).text == "a: 1\nb: é\n"


def test_half_of_a_surrogate_pair_is_named(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text('{"name": "x", "\\ud800": 1, "arms": "\\ud800"}', encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        check(Study, load(path))
    assert str(path) in caught.value.where
