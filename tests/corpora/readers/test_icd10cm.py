"""The ICD-10-CM reader against the look-up functions of the package that carries the file."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pytest

from ragbench.base.errors import DataError
from ragbench.base.records import Passage
from ragbench.corpora.reader import Located
from ragbench.corpora.readers.icd10cm import Icd10cmOptions, Icd10cmReader

SAMPLE = 3000


def read(path: Path | None = None, chapters: Iterable[str] = ()) -> dict[str, Passage]:
    entries = list(Icd10cmReader(path, Icd10cmOptions(chapters=tuple(chapters))).read())
    passages = [entry.passage for entry in entries if isinstance(entry, Located)]
    assert len(passages) == len(entries)
    found = {passage.id: passage for passage in passages}
    assert len(found) == len(entries)  # no id twice
    return found


@pytest.fixture(scope="module")
def passages() -> dict[str, Passage]:
    return read()


@pytest.fixture(scope="module")
def package() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it reads its files the old way
        import simple_icd_10_cm
    assert isinstance(simple_icd_10_cm, ModuleType)
    return simple_icd_10_cm


@pytest.fixture(scope="module")
def shared_names(passages: dict[str, Passage]) -> set[str]:
    """The names that a block and a category share, which the package finds as one."""
    return {name for name in passages if f"block:{name}" in passages}


@pytest.fixture(scope="module")
def sample(passages: dict[str, Passage], shared_names: set[str]) -> list[Passage]:
    codes = [p for p in passages.values() if ":" not in p.id and p.id not in shared_names]
    always = [p for p in codes if p.id in ("A00", "E11.9", "S02.0", "O09.521", "I2A.81")]
    return always + random.Random(0).sample(codes, SAMPLE)


def test_every_item_of_the_list_is_one_passage(
    passages: dict[str, Passage], package: ModuleType
) -> None:
    assert len(passages) == 47_200
    # Each code of seven characters that the rules extend belongs to the passage of its stem.
    items = [c for c in package.get_all_codes() if not package.is_extended_subcategory(c)]
    assert len(items) == 47_200
    assert {i.partition(":")[2] or i for i in passages} == set(items)
    chapters = [i for i in passages if i.startswith("chapter:")]
    assert chapters == [f"chapter:{number}" for number in range(1, 23)]
    blocks = {i.removeprefix("block:") for i in passages if i.startswith("block:")}
    assert blocks == {c for c in items if package.is_block(c)}


def test_passages_stand_in_the_order_of_the_book(
    passages: dict[str, Passage], package: ModuleType
) -> None:
    expected = [c for c in package.get_all_codes() if not package.is_extended_subcategory(c)]
    assert [i.partition(":")[2] or i for i in passages] == expected


def test_shared_names_are_kept_apart(passages: dict[str, Passage], shared_names: set[str]) -> None:
    assert len(shared_names) == 39
    assert {"B20", "C7A"} <= shared_names
    for name in shared_names:
        assert passages[name].meta["parent"] == f"block:{name}"


def test_titles_are_the_descriptions(sample: list[Passage], package: ModuleType) -> None:
    for passage in sample:
        assert passage.title == f"{package.get_description(passage.id)} ({passage.id})"


def test_parents_chapters_and_blocks_are_those_of_the_tree(
    sample: list[Passage], passages: dict[str, Passage], package: ModuleType
) -> None:
    for passage in sample:
        parent = passage.meta["parent"]
        assert parent in passages
        assert parent.removeprefix("block:") == package.get_parent(passage.id)
        ancestors = package.get_ancestors(passage.id)
        assert passage.meta["chapter"] == ancestors[-1]
        assert passage.meta["block"] == ancestors[-2]
        kind = "category" if package.is_category(passage.id) else "subcategory"
        assert passage.meta["kind"] == kind


def test_billable_codes_are_the_leaves(sample: list[Passage], package: ModuleType) -> None:
    for passage in sample:
        leaf = package.is_leaf(passage.id)
        assert passage.meta["billable"] == ("yes" if leaf else "no")
        assert passage.text.startswith("Billable diagnosis code.") is leaf
        children = package.get_children(passage.id)
        if children and package.is_extended_subcategory(children[0]):
            assert passage.text.startswith("Billable with a seventh character.")
        elif children:
            assert passage.text.startswith("Heading of more specific codes.")


def test_every_note_is_in_the_text(
    passages: dict[str, Passage], shared_names: set[str], package: ModuleType
) -> None:
    counts = dict.fromkeys(("inclusion", "excludes1", "excludes2", "includes", "lines"), 0)
    for identifier, passage in passages.items():
        if ":" in identifier or identifier in shared_names:
            continue
        notes = {
            "inclusion": package.get_inclusion_term(identifier),
            "excludes1": package.get_excludes1(identifier),
            "excludes2": package.get_excludes2(identifier),
            "includes": package.get_includes(identifier),
            "lines": [
                line.strip()
                for text in (
                    package.get_use_additional_code(identifier),
                    package.get_code_first(identifier),
                    package.get_code_also(identifier),
                )
                for line in text.split("\n")
            ],
        }
        for kind, members in notes.items():
            for note in members:
                assert " ".join(note.split()) in passage.text, identifier
                counts[kind] += bool(note)
    assert all(count > 500 for count in counts.values()), counts


def test_a_passage_read_by_hand(passages: dict[str, Passage]) -> None:
    assert passages["A00.9"] == Passage(
        id="A00.9",
        doc_id="A00.9",
        title="Cholera, unspecified (A00.9)",
        text="Billable diagnosis code.",
        meta={
            "chapter": "1",
            "block": "A00-A09",
            "kind": "subcategory",
            "parent": "A00",
            "billable": "yes",
        },
    )
    assert passages["S02.0"].text.startswith(
        "Billable with a seventh character.\n"
        "Inclusion terms: Fracture of frontal bone; Fracture of parietal bone"
    )
    assert "S02.0XXA" not in passages
    assert "Seventh characters: A initial encounter for closed fracture" in passages["S02"].text
    assert passages["chapter:1"].title == "Certain infectious and parasitic diseases (A00-B99)"


# -- options --------------------------------------------------------------------------------


def test_chapters_are_chosen_in_the_order_of_the_book(passages: dict[str, Passage]) -> None:
    chosen = read(chapters=["15", "3"])
    assert chosen == {i: p for i, p in passages.items() if p.meta["chapter"] in ("3", "15")}
    assert next(iter(chosen)) == "chapter:3"


def test_an_unknown_chapter_is_named_with_those_there_are() -> None:
    with pytest.raises(DataError) as caught:
        read(chapters=["3", "23", "III"])
    assert caught.value.what == "there is no chapter 23, III"
    assert caught.value.fix == f"the chapters are {', '.join(str(n) for n in range(1, 23))}"


# -- other files ----------------------------------------------------------------------------

SMALL = """<?xml version="1.0" encoding="utf-8"?>{doctype}
<ICD10CM.tabular>
  <chapter>
    <name>9</name>
    <desc>Diseases of the circulatory system (I00-I99)</desc>
    <section id="I20-I25">
      <desc>Ischemic heart diseases (I20-I25)</desc>
      <diag>
        <name>I21</name>
        <desc>Acute   myocardial
          infarction</desc>
        <includes><note>cardiac infarction</note><note> coronary  embolism </note></includes>
        <codeFirst><note>cause:</note><note>shock</note></codeFirst>
        <diag><name>I21.9</name><desc>Acute myocardial infarction, unspecified {extra}</desc></diag>
      </diag>
    </section>
  </chapter>
</ICD10CM.tabular>
"""


def small(path: Path, doctype: str = "", extra: str = "", encoding: str = "utf-8") -> Path:
    text = SMALL.format(doctype=doctype, extra=extra).replace("utf-8", encoding)
    path.write_bytes(text.encode(encoding))
    return path


def test_another_edition_is_read_by_its_path(tmp_path: Path) -> None:
    found = read(small(tmp_path / "other.xml"))
    assert list(found) == ["chapter:9", "block:I20-I25", "I21", "I21.9"]
    assert found["I21"].title == "Acute myocardial infarction (I21)"
    assert found["I21"].text == (
        "Heading of more specific codes.\n"
        "Includes: cardiac infarction; coronary embolism\n"
        "Code first: cause: shock"
    )
    assert found["I21.9"].meta["parent"] == "I21"


ENTITY = '<!DOCTYPE r [<!ENTITY x "boom">]>'
BORDER = 1 << 18  # the reader's block


@pytest.mark.parametrize(
    ("doctype", "encoding"),
    [
        pytest.param(ENTITY, "utf-8", id="plain"),
        pytest.param(ENTITY, "utf-16", id="another encoding"),
        pytest.param(
            f"<!DOCTYPE r [<!--{' ' * (BORDER - 62)}-->{ENTITY[13:]}", "utf-8", id="across blocks"
        ),
        pytest.param(
            '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "utf-8", id="external"
        ),
    ],
)
def test_entities_are_refused(tmp_path: Path, doctype: str, encoding: str) -> None:
    path = small(tmp_path / "bomb.xml", doctype, "&x;", encoding)
    if len(doctype) > BORDER // 2:
        at = path.read_bytes().index(b"<!ENTITY")
        assert at < BORDER < at + len("<!ENTITY"), at
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.what == "the XML declares entities, which are not read"
    assert caught.value.where == str(path)


def test_a_file_cut_anywhere_is_an_error(tmp_path: Path) -> None:
    whole = small(tmp_path / "whole.xml").read_bytes().rstrip()
    path = tmp_path / "cut.xml"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="the file is not whole XML"):
            read(path)


def test_the_real_file_cut_after_a_chapter_is_an_error(tmp_path: Path) -> None:
    (real,) = Icd10cmReader(None, Icd10cmOptions()).sources()
    data = real.read_bytes()
    path = tmp_path / "cut.xml"
    path.write_bytes(data[: data.index(b"</chapter>") + len(b"</chapter>")])
    with pytest.raises(DataError, match="the file is not whole XML") as caught:
        read(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is not whole XML"),
        (b"not XML", "the file is not whole XML"),
        (b"<a><b></a>", "the file is not whole XML"),
        (b"<a/>", "the file holds no chapter of a tabular list"),
        (b"<a><chapter/></a>", "a <chapter> of the tabular list has no <name>"),
        (b"<a><chapter><name>1</name></chapter></a>", "a <chapter> of the tabular list has no <d"),
    ],
)
def test_other_content_is_an_error(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "other.xml"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.what.startswith(what)
    assert caught.value.where == str(path)


def test_a_missing_path_and_a_folder_are_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none.xml", tmp_path):
        with pytest.raises(DataError, match="the tabular list is not there"):
            read(path)
