"""What passages hold of a question, counted by hand; the search against a naive one."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from ragbench.analysis.effects import effects
from ragbench.analysis.load import load_run
from ragbench.analysis.panels.leakage import common_runs, leakage, parts, splits
from ragbench.analysis.statistics.paired import Tango
from ragbench.base.errors import DataError
from ragbench.base.words import plain
from tests.analysis.making import clustered, make_run, passage, question

# Ten words, so three n-grams of eight.
IRON = "Does iron deficiency raise the risk of deep vein thrombosis?"
PASSAGES = [
    passage("d1", "An old question.", title="Does iron-deficiency raise the risk of DEEP vein"),
    passage("d2", "Iron deficiency raise the risk of deep vein clots, not of thrombosis."),
    passage("d3#0", "Nothing is said here."),
    passage("d3#1", "It was lupus-\nNephritis."),
    passage("d4", "High T4 was seen.", title="Low TSH"),
    passage("d6", "A b c."),
    passage("d5", "Low TSH, high T4; and 5.5 mg."),
]
OPTIONS = ["deep vein", "iron deficiency anaemia", "thrombosis"]
QUESTIONS = [
    question("q-iron", IRON, options=OPTIONS, gold_doc_ids=["d1"]),
    question("q-tsh", "Low TSH, high T4?", gold_doc_ids=["elsewhere"]),
    question("q-lupus", "Which?", options=[], answer=-1, reference="Lupus nephritis")
    | {"gold_doc_ids": ["d3"]},
    question("q-signs", "?!", options=["5.5 mg", "5 mg", "mg"], answer=1),
    question("q-short", "A b c", options=["a b", "b c", "c d"]),
]
PACKED: dict[str, dict[str, list[str]]] = {
    "closed-book": {},
    "r-1": {"q-iron": ["d2"], "q-tsh": ["d4"], "q-lupus": ["d3#0"]},
    "r-2": {
        "q-iron": ["d2", "d1"],
        "q-tsh": ["d4", "d5"],
        "q-lupus": ["d3#0", "d3#1"],
        "q-signs": ["d5"],
        "q-short": ["d6"],
    },
}


def facts_of(folder: Path, **made: Any) -> pd.DataFrame:
    run = make_run(
        folder / "run", questions={"t": QUESTIONS}, passages=PASSAGES, packed=PACKED, **made
    )
    return leakage(run).set_index(["arm", "question_id"])


def test_what_stands_in_one_passage(tmp_path: Path) -> None:
    """In d2 stand eight words of IRON, so 1 of 3 n-grams; in the title of d1 nine, so 2 of 3."""
    found = facts_of(tmp_path)
    assert set(found.index.get_level_values("arm")) == {"r-1", "r-2"}
    iron = found.xs("q-iron", level="question_id")
    assert list(iron.ngram) == [8, 8]
    assert list(iron.ngram_share) == pytest.approx([1 / 3, 2 / 3])
    assert list(iron.longest_run) == [8, 9]
    assert list(iron.passages) == [1, 2]
    assert list(iron.source_delivered) == [False, True]
    assert list(iron.answer_verbatim) == [True, True]
    # "iron deficiency anaemia" stands nowhere, and "thrombosis" is one word.
    assert list(iron.wrong_verbatim) == [False, False]


def test_title_and_text_are_searched_each_by_itself(tmp_path: Path) -> None:
    """All four words stand in d4, two in its title and two in its text; in d5 in sequence."""
    found = facts_of(tmp_path).xs("q-tsh", level="question_id")
    assert list(found.ngram) == [4, 4]
    assert list(found.ngram_share) == [0, 1]
    assert list(found.longest_run) == [2, 4]
    assert not found.source_known.any()
    assert found.source_delivered.isna().all()
    assert found.answer_verbatim.isna().all()  # yes, no and maybe
    assert found.wrong_verbatim.isna().all()


def test_a_chunk_is_of_its_source_and_a_reference_is_an_answer(tmp_path: Path) -> None:
    found = facts_of(tmp_path).xs("q-lupus", level="question_id")
    assert list(found.source_delivered) == [True, True]
    assert list(found.answer_verbatim) == [False, True]
    assert found.wrong_verbatim.isna().all()


def test_a_question_without_words_and_one_without_passages(tmp_path: Path) -> None:
    found = facts_of(tmp_path).xs("q-signs", level="question_id")
    assert found.ngram_share.isna().all()
    assert list(found.longest_run) == [0, 0]
    assert list(found.passages) == [0, 1]
    assert list(found.answer_verbatim) == [False, False]  # "5 mg" is no part of "5.5 mg"
    assert list(found.wrong_verbatim) == [False, True]


def test_answers_of_three_characters_are_not_looked_for(tmp_path: Path) -> None:
    found = facts_of(tmp_path).xs("q-short", level="question_id")
    assert list(found.ngram_share) == [0, 1]
    assert found[["answer_verbatim", "wrong_verbatim"]].isna().to_numpy().all()


def test_shorter_ngrams_on_demand(tmp_path: Path) -> None:
    """Of IRON's nine pairs of words seven stand in d2 (iron ... vein), eight in d1 (does ...)."""
    run = make_run(tmp_path / "run", questions={"t": QUESTIONS}, passages=PASSAGES, packed=PACKED)
    found = leakage(run, size=2).set_index(["question_id", "arm"]).loc["q-iron"]
    assert list(found.ngram_share) == pytest.approx([7 / 9, 8 / 9])


def test_a_run_without_passages_gives_no_facts(tmp_path: Path) -> None:
    packed: dict[str, dict[str, list[str]]] = {"closed-book": {}, "imported": {}}
    run = make_run(tmp_path / "run", questions={"t": QUESTIONS}, packed=packed)
    facts = leakage(run)
    assert facts.empty
    assert splits(run, facts).empty


def test_what_the_run_misses_is_reported(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "run", questions={"t": QUESTIONS}, passages=PASSAGES[:-1], packed=PACKED
    )
    with pytest.raises(DataError, match="no text of passage 'd5'") as caught:
        leakage(run)
    assert caught.value.where == str(run.path)
    packed = run.path / "packed" / "t+r-2.jsonl"
    packed.write_text(packed.read_text(encoding="utf-8").replace("q-iron", "q-none"), "utf-8")
    with pytest.raises(DataError, match="no packing of question 'q-iron' in the arm 'r-2'"):
        leakage(run)


def test_an_arm_whose_corpus_no_retrieval_names(tmp_path: Path) -> None:
    """As the arm of a question's own documents: found where all of its passages are."""
    run = make_run(tmp_path / "run", questions={"t": QUESTIONS}, passages=PASSAGES, packed=PACKED)
    run = replace(run, retrievals={})
    passages = run.path / "passages.jsonl"
    other = '{"corpus":"a","id":"d2","doc_id":"d2","title":"","text":"Nothing of it."}\n'
    passages.write_text(passages.read_text(encoding="utf-8") + other, encoding="utf-8")
    iron = leakage(run).set_index(["question_id", "arm"]).loc["q-iron"]
    assert list(iron.ngram_share) == pytest.approx([1 / 3, 2 / 3])


WORDS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=12)


@given(words=WORDS, text=WORDS, size=st.integers(1, 8))
def test_the_search_finds_what_a_naive_one_does(
    words: list[str], text: list[str], size: int
) -> None:
    runs = common_runs(words, text)
    naive = [
        any(words[i : i + size] == text[j : j + size] for j in range(len(text) - size + 1))
        for i in range(len(words) - size + 1)
    ]
    assert sum(length >= size for length in runs) == sum(naive)
    longest = max(
        (
            n
            for n in range(1, len(words) + 1)
            for i in range(len(words) - n + 1)
            for j in range(len(text) - n + 1)
            if words[i : i + n] == text[j : j + n]
        ),
        default=0,
    )
    assert max(runs, default=0) == longest


def test_parts_by_hand() -> None:
    """A fact without a value is in neither part, and does not make a question unclean."""
    facts = pd.DataFrame(
        {
            "source_delivered": pd.array([True, False, None, None], dtype="boolean"),
            "ngram_share": [0.0, 0.8, 0.79, math.nan],
            "answer_verbatim": pd.array([False, None, True, None], dtype="boolean"),
        }
    )
    held = {name: list(mask[mask].index) for name, mask in parts(facts).items()}
    assert held == {
        "all": [0, 1, 2, 3],
        "source delivered": [0],
        "source not delivered": [1],
        "question matched": [1],
        "question not matched": [0, 2],
        "answer verbatim": [2],
        "answer not verbatim": [0],
        "clean": [3],
    }


# Questions a to f, of which a, b, c and d got their source; e and f did not.
SIX = [question(f"q-{name}", f"Is {name} so?", gold_doc_ids=["s"]) for name in "abcdef"]
GIVEN = {f"q-{name}": ["s"] if name in "abcd" else ["o"] for name in "abcdef"}
SIX_PACKED: dict[str, dict[str, list[str]]] = {"closed-book": {}, "r-1": GIVEN}
TEXTS = [passage("s", "Source."), passage("o", "Other.")]
# Right: closed-book a and f; in the arm a, b, c and e.
RIGHT: dict[str, dict[str, float]] = {
    "closed-book": dict(zip(GIVEN, [1.0, 0.0, 0.0, 0.0, 0.0, 1.0], strict=True)),
    "r-1": dict(zip(GIVEN, [1.0, 1.0, 1.0, 0.0, 1.0, 0.0], strict=True)),
}


def split_of(folder: Path, right: dict[str, dict[str, float]] = RIGHT) -> pd.DataFrame:
    run = make_run(
        folder / "run", questions={"t": SIX}, passages=TEXTS, packed=SIX_PACKED, right=right
    )
    return splits(run, leakage(run)).set_index("part")


def test_scores_and_gains_by_hand(tmp_path: Path) -> None:
    found = split_of(tmp_path)
    assert list(found.n) == [6, 4, 2, 0, 6, 0, 0, 2]
    expected = {  # value, closed-book, gain
        "all": (4 / 6, 2 / 6, 2 / 6),
        "source delivered": (3 / 4, 1 / 4, 2 / 4),
        "source not delivered": (1 / 2, 1 / 2, 0),
        "question not matched": (4 / 6, 2 / 6, 2 / 6),
        "clean": (1 / 2, 1 / 2, 0),
    }
    for part, values in expected.items():
        row = found.loc[part]
        assert tuple(row[["value", "closed_book", "gain"]]) == pytest.approx(values)
        wanted = proportion_confint(row["value"] * row["n"], row["n"], method="wilson")
        assert tuple(row[["ci_low", "ci_high"]]) == pytest.approx(wanted)
    # Of e and f one gained and one lost.
    wanted = Tango(1, 1, 2).limits(0.05)
    assert tuple(found.loc["clean", ["gain_low", "gain_high"]]) == pytest.approx(wanted)
    none = found.loc["question matched"]
    assert none[["value", "ci_low", "ci_high", "closed_book", "gain", "gain_low"]].isna().all()
    assert (found["status"] == "complete").all()
    assert found["n_clusters"].isna().all()


def test_the_same_questions_have_the_same_interval(tmp_path: Path) -> None:
    """None of 40 questions is matched, so two parts are of all; scores are fractions."""
    names = [f"q-{i}" for i in range(40)]
    scores = {name: i / 40 for i, name in enumerate(names)}
    packed = {"closed-book": {}, "r-1": {name: ["o"] for name in names}}
    lines = [question(name, f"Is {name} so?") for name in names]
    run = make_run(
        tmp_path / "run",
        questions={"t": lines},
        passages=TEXTS,
        packed=packed,
        right={"r-1": scores},
    )
    found = splits(run, leakage(run)).set_index("part")
    same = found.loc[["all", "question not matched", "clean"]]
    assert list(same.n) == [40, 40, 40]
    assert same[["ci_low", "ci_high", "gain_low", "gain_high"]].nunique().tolist() == [1] * 4
    gains = effects(run)
    assert tuple(gains[["ci_low", "ci_high"]].iloc[0]) == tuple(
        same[["gain_low", "gain_high"]].iloc[0]
    )


def test_an_unanswered_question_gives_bounds(tmp_path: Path) -> None:
    """Of a to d, d has no answer: 3 or 4 of 4 are right, 2 or 3 more than closed-book."""
    right = {"closed-book": RIGHT["closed-book"], "r-1": RIGHT["r-1"] | {"q-d": math.nan}}
    row = split_of(tmp_path, right).loc["source delivered"]
    assert row["status"] == "incomplete"
    assert np.isnan(row["value"])
    assert np.isnan(row["gain"])
    assert tuple(row[["ci_low", "ci_high"]]) == (3 / 4, 4 / 4)
    assert tuple(row[["gain_low", "gain_high"]]) == (2 / 4, 3 / 4)
    assert row["closed_book"] == 1 / 4


def test_a_question_without_a_score_is_not_counted(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "run", questions={"t": SIX}, passages=TEXTS, packed=SIX_PACKED, right=RIGHT
    )
    run.scores.loc[(run.scores.arm == "r-1") & (run.scores.question_id == "q-d"), "accuracy"] = (
        math.nan
    )
    row = splits(run, leakage(run)).set_index("part").loc["source delivered"]
    assert (row["n"], row["status"]) == (3, "complete")
    assert tuple(row[["value", "closed_book", "gain"]]) == pytest.approx((1, 1 / 3, 2 / 3))


def test_few_clusters_have_no_interval(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "run", questions={"t": SIX}, passages=TEXTS, packed=SIX_PACKED, right=RIGHT
    )
    run = clustered(run, "t", {q["id"]: str(i // 2) for i, q in enumerate(SIX)})
    found = splits(run, leakage(run)).set_index("part")
    assert found.loc["source delivered", "gain"] == pytest.approx(0.5)
    assert list(found.n_clusters.fillna(0)) == [3, 2, 1, 0, 3, 0, 0, 1]
    assert found[["ci_low", "gain_low"]].isna().all(axis=None)


def test_a_run_without_closed_book_has_no_gains(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "run", questions={"t": SIX}, passages=TEXTS, packed={"r-1": GIVEN}, right=RIGHT
    )
    found = splits(run, leakage(run))
    assert found.loc[found.part == "all", "value"].item() == pytest.approx(4 / 6)
    assert found[["closed_book", "gain", "gain_low", "gain_high"]].isna().all(axis=None)


def test_a_real_run(mixed_home: Path) -> None:
    """Each fact's text holds the words of its question but for three (Which disease is)."""
    run = load_run(mixed_home / "runs" / "mixed")
    facts = leakage(run)
    arms = [(task, arm) for task in run.members("tasks") for arm in run.arms(task)]
    assert len(facts) == 6 * sum(arm != "closed-book" for _, arm in arms)
    oracle = facts[facts.arm == "oracle-bm25-2"]
    words = {q["id"]: len(plain(q["text"]).split()) for q in _questions(run.path)}
    assert oracle.source_delivered.all()
    assert list(oracle.longest_run) == [words[q] - 2 for q in oracle.question_id]
    removed = facts[facts.arm.isin(["oracle-removed-bm25-2", "random-bm25-2"])]
    assert not removed.source_delivered.any()
    assert facts.answer_verbatim.isna().all()  # names of one word


def _questions(path: Path) -> list[dict[str, Any]]:
    text = (path / "questions" / "facts.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]
