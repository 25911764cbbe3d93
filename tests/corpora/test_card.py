"""Cards: checked with the line of each mistake; added only when the source is there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from ragbench.base.errors import DataError, UsageError
from ragbench.corpora.card import Card, add_card, load_card, make_reader
from ragbench.corpora.readers.jsonl import JsonlOptions, JsonlReader


def write_card(home: Path, text: str) -> Path:
    path = home / "corpora" / "notes.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_card_that_the_package_carries(home: Path) -> None:
    card, path = load_card("icd10cm")
    assert path.name == "icd10cm.yaml"
    assert card.reader == "icd10cm"
    assert card.data_use == "open"
    assert card.path is None
    assert [p.suffix for p in make_reader(card, path).sources()] == [".xml"]


def test_defaults_are_the_careful_ones() -> None:
    card = Card(reader="jsonl")
    assert card.licence == "not stated"
    assert card.options == {}
    with pytest.raises(ValidationError):
        card.reader = "other"  # type: ignore[misc]


def test_the_digest_covers_reader_path_and_options_only() -> None:
    card = Card(reader="jsonl", path="x.jsonl", options={"id_field": "_id"})
    canonical = '{"options":{"id_field":"_id"},"path":"x.jsonl","reader":"jsonl"}'
    assert card.digest() == hashlib.sha256(canonical.encode()).hexdigest()
    for key in ("title", "description", "licence", "source", "data_use"):
        assert card.model_copy(update={key: "restricted"}).digest() == card.digest()
    for key, value in (("reader", "icd10cm"), ("path", "y.jsonl"), ("options", {})):
        assert card.model_copy(update={key: value}).digest() != card.digest()


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("reader: jsonl\nlicense: CC0\n", "there is no key 'license'", 2),
        ("path: x.jsonl\n", "the key 'reader' is missing", 1),
        ("reader: jsonl\ndata_use: secret\n", "`data_use` takes one of 'open', 'restricted'", 2),
        ("reader: jsonl\n\npath: [a]\n", "`path` takes a text", 3),
        ("reader: jsonl\noptions: [a]\n", "`options` takes a mapping of keys", 2),
    ],
)
def test_a_mistake_in_a_card_is_named_by_its_line(
    home: Path, text: str, what: str, line: int
) -> None:
    path = write_card(home, text)
    with pytest.raises(UsageError) as caught:
        load_card("notes")
    assert caught.value.what.startswith(what)
    assert caught.value.where.startswith(f"{path}:{line}")


def test_near_keys_are_offered(home: Path) -> None:
    write_card(home, "reader: jsonl\nlicense: CC0\n")
    with pytest.raises(UsageError) as caught:
        load_card("notes")
    assert caught.value.fix.startswith("did you mean 'licence'? known: chunking, data_use, desc")


@pytest.mark.parametrize(
    ("options", "what", "line"),
    [
        ("  id_field: _id\n  txt_field: body\n", "there is no key 'txt_field'", 4),
        ("  skip_empty: perhaps\n", "`skip_empty` takes true or false", 3),
        ("  meta_fields: year\n", "`meta_fields` takes a list", 3),
    ],
)
def test_a_mistake_in_the_options_is_named_by_its_line(
    home: Path, options: str, what: str, line: int
) -> None:
    path = write_card(home, f"reader: jsonl\noptions:\n{options}")
    with pytest.raises(UsageError) as caught:
        make_reader(*load_card("notes"))
    assert caught.value.what.startswith(what)
    assert caught.value.where.startswith(f"{path}:{line} ")


def test_an_unknown_reader_is_named_with_those_there_are(home: Path) -> None:
    write_card(home, "reader: json\n")
    with pytest.raises(UsageError) as caught:
        make_reader(*load_card("notes"))
    assert caught.value.what == "there is no 'json' among the readers"
    assert caught.value.fix.startswith("did you mean 'jsonl'? known: ")
    assert "; add new ones in " in caught.value.fix


def test_relative_paths_start_at_the_card_and_tilde_is_the_user(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (home / "corpora").mkdir()
    for place in (home / "corpora" / "near.jsonl", tmp_path / "far.jsonl"):
        place.write_text('{"id": "a", "text": "x"}\n', encoding="utf-8")
    for path, expected in (
        ("near.jsonl", home / "corpora" / "near.jsonl"),
        ("~/far.jsonl", tmp_path / "far.jsonl"),
        (str(tmp_path / "far.jsonl"), tmp_path / "far.jsonl"),
    ):
        write_card(home, f"reader: jsonl\npath: {path}\n")
        assert make_reader(*load_card("notes")).sources() == [expected]


def test_a_carried_card_finds_its_source_in_the_home(home: Path) -> None:
    card, path = load_card("medquad")
    assert not path.is_relative_to(home)
    source = home / "corpora" / "medquad-xml" / "1.xml"
    source.parent.mkdir(parents=True)
    source.write_text("<Document source='a'/>", encoding="utf-8")
    assert make_reader(card, path).sources() == [source]


def test_options_reach_the_reader(home: Path) -> None:
    write_card(
        home, "reader: jsonl\npath: x\noptions: {id_field: _id, meta_fields: [year, journal]}\n"
    )
    reader = make_reader(*load_card("notes"))
    assert isinstance(reader, JsonlReader)
    assert reader.options == JsonlOptions(id_field="_id", meta_fields=("year", "journal"))


# -- adding ---------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "notes.jsonl"
    path.write_text('{"id": "a", "text": "x"}\n', encoding="utf-8")
    return path


def test_an_added_card_is_read_again_as_it_was(home: Path, source: Path) -> None:
    source.write_text('{"_id": "a", "text": "x"}\n', encoding="utf-8")
    card = Card(
        title="Ménière: notes",
        reader="jsonl",
        path=str(source),
        options={"id_field": "_id", "skip_empty": True},
        licence="CC BY 4.0",
        data_use="restricted",
    )
    path = add_card("notes", card, replace=False)
    assert path == home / "corpora" / "notes.yaml"
    assert load_card("notes") == (card, path)
    assert "Ménière" in path.read_text(encoding="utf-8")


def test_a_card_is_overwritten_only_on_request(home: Path, source: Path) -> None:
    path = add_card("notes", Card(reader="jsonl", path=str(source)), replace=False)
    before = path.read_bytes()
    other = Card(reader="jsonl", path=str(source), title="other")
    with pytest.raises(UsageError, match="the corpus 'notes' has a card already"):
        add_card("notes", other, replace=False)
    assert path.read_bytes() == before
    add_card("notes", other, replace=True)
    assert load_card("notes")[0].title == "other"


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a..b"])
def test_a_card_cannot_leave_its_folder(home: Path, source: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a corpus"):
        add_card(name, Card(reader="jsonl", path=str(source)), replace=True)
    assert list(home.rglob("*")) == []


def test_nothing_is_written_without_a_reader_or_a_source(home: Path, source: Path) -> None:
    with pytest.raises(UsageError, match="there is no 'csv' among the readers"):
        add_card("notes", Card(reader="csv", path=str(source)), replace=False)
    missing = source.with_name("missing.jsonl")
    with pytest.raises(DataError, match="the corpus file is not there") as caught:
        add_card("notes", Card(reader="jsonl", path=str(missing)), replace=False)
    assert caught.value.where == str(missing)
    assert list(home.rglob("*")) == []


def test_a_relative_source_is_sought_where_the_card_will_stand(
    home: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source.parent)
    with pytest.raises(DataError, match="the corpus file is not there"):
        add_card("notes", Card(reader="jsonl", path=source.name), replace=False)
    (home / "corpora").mkdir()
    (home / "corpora" / source.name).write_bytes(source.read_bytes())
    add_card("notes", Card(reader="jsonl", path=source.name), replace=False)
    (found,) = make_reader(*load_card("notes")).sources()
    assert json.loads(found.read_text(encoding="utf-8"))["id"] == "a"


def test_a_joined_name_is_the_card_of_a_union(home: Path) -> None:
    card, path = load_card("a--b")
    assert (card.reader, card.options, card.path) == ("union", {"corpora": ["a", "b"]}, None)
    assert path == home / "corpora" / "a--b.yaml"
    (home / "corpora").mkdir()
    path.write_text("reader: jsonl\npath: x.jsonl\n", encoding="utf-8")
    assert load_card("a--b")[0].reader == "jsonl"  # a card of the name comes first


def test_the_card_of_medcorp_names_four_corpora(home: Path) -> None:
    card, _ = load_card("medcorp")
    assert (card.reader, card.path, card.data_use) == ("union", None, "open")
    assert len(card.options["corpora"]) == 4
