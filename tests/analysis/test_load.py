"""Loading a run: its tables, and a run without scores."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.load import Run, load_run, once
from ragbench.base.errors import DataError
from ragbench.runfolder.retrieval import RetrievalNote, read_note
from ragbench.runfolder.runfile import read_run_file
from tests.analysis.making import about_of, edited
from tests.runfolder.golden import OWN
from tests.runfolder.sealing import reseal


def test_tables_of_a_finished_run(finished_home: Path) -> None:
    run = load_run(finished_home / "runs" / "small")
    assert run.members("arms") == ["closed-book", "bm25-2", "bm25-5", "dense-5", "random-5"]
    assert run.metrics("icd10cm") == ["accuracy"]
    assert len(run.scores) == 5 * 10
    assert set(run.scores.outcome) == {"parsed"}
    assert set(run.retrievals) == {("icd10cm", "bm25"), ("icd10cm", "dense")}
    assert set(run.quality.measure) == {"R@2", "R@5", "RR@5"}


def test_a_run_without_scores_says_how_to_make_them(run_copy: Path) -> None:
    (run_copy / "scores" / "correct.parquet").unlink()
    with pytest.raises(DataError, match="has no scores") as caught:
        load_run(run_copy)
    assert caught.value.fix == "ragbench score small"


def test_scores_behind_an_interrupted_extension_are_refused(run_copy: Path) -> None:
    about = json.loads((run_copy / "run.json").read_text())
    about["identity"]["tasks"]["icd10cm"]["arms"].append("bm25-1")
    about["config"]["arms"].append({"name": "bm25-1"})
    (run_copy / "run.json").write_text(json.dumps(about))
    reseal(run_copy)
    with pytest.raises(DataError, match="not those of the run's models") as caught:
        load_run(run_copy)
    assert "ragbench run" in caught.value.fix
    (run_copy / "run.json").write_text("{}")
    with pytest.raises(DataError, match="format None"):
        load_run(run_copy)


def test_gold_ids_over_a_union_may_stand_behind_the_name_of_a_member() -> None:
    corpora = {"both": {"members": {"a": "1", "b": "2"}}, "plain": {}}
    none = pd.DataFrame()
    run = Run(Path("r"), about_of({}, {}, corpora=corpora), none, none, {})
    assert run.ids_in("both", ["x", "b/y"]) == {"x", "a/x", "b/x", "b/y", "a/b/y", "b/b/y"}
    assert run.ids_in("plain", ["x"]) == run.ids_in("", ["x"]) == {"x"}


@pytest.fixture
def golden() -> Run:
    """The golden run without its scores, which nothing here reads."""
    none = pd.DataFrame()
    notes = {
        ("facts", name): read_note(OWN.retrieval("facts", name, "json"))
        for name in ("bm25", "dense", "bm25+dense", "elsewhere")
    }
    return Run(OWN.path, read_run_file(OWN.run), none, none, notes)


def test_the_corpus_of_an_arm(golden: Run) -> None:
    arms = ("closed-book", "bm25-2", "hybrid", "elsewhere", "random-bm25-2")
    assert [golden.corpus_of("facts", arm) for arm in arms] == ["", *["facts"] * 4]


def test_the_corpus_of_an_arm_within_documents(golden: Run) -> None:
    run = edited(golden, "config.arms.1.within", "documents")
    assert run.config.arms[1].name == "bm25-2"
    # The notes are of rankings of a whole corpus, so the delivered passages say which it is.
    assert run.corpus_of("facts", "bm25-2") == "facts"
    note = RetrievalNote(corpus="own")
    within = replace(run, retrievals={**run.retrievals, ("facts", "bm25~documents"): note})
    assert within.corpus_of("facts", "bm25-2") == "own"
    assert within.corpus_of("facts", "random-bm25-2") == "own"
    assert within.corpus_of("facts", "hybrid") == "facts"


def test_restricted_and_unknown_data_use_are_told(golden: Run) -> None:
    assert golden.restricted_data() == []
    run = edited(golden, "identity.tasks.facts.data_use", "restricted")
    assert run.restricted_data() == ["task facts"]
    run = edited(run, "identity.corpora.facts.data_use", "restricted")
    run = edited(run, "identity.corpora.more", {"data_use": "bring-your-own"})
    assert run.restricted_data() == ["task facts", "corpus facts"]
    run = edited(run, "identity.tasks.facts.data_use", "bring-your-own")
    assert run.restricted_data() == ["corpus facts"]
    run = edited(run, "identity.corpora.facts.data_use", ...)
    assert run.restricted_data() == ["corpus facts"]
    run = edited(run, "identity.corpora", ...)
    assert run.restricted_data() == ["corpus facts"]
    run = edited(run, "identity.indexes", {})  # as for rankings made elsewhere
    assert run.restricted_data() == ["corpus facts"]
    run = edited(run, "identity.corpora", {"facts": {"data_use": "open"}})
    assert run.restricted_data() == []


def test_shared_options_of_restricted_questions_are_not_shown(golden: Run) -> None:
    run = edited(golden, "identity.tasks.facts.classes", ["aspirin", "amoxicillin"])
    assert run.shown_classes("facts") == ("aspirin", "amoxicillin")
    run = edited(run, "identity.tasks.facts.data_use", "restricted")
    assert run.shown_classes("facts") is None
    run = edited(run, "identity.tasks.facts.answers", "label")  # the task's own words
    assert run.shown_classes("facts") == ("aspirin", "amoxicillin")


def test_a_table_is_computed_once_per_run_and_argument(golden: Run) -> None:
    asked: list[object] = []

    @once
    def counted(run: Run, table: pd.DataFrame) -> pd.DataFrame:
        asked.append(run)
        return table + 1

    table = pd.DataFrame({"a": [1, 2]})
    first = counted(golden, table)
    first.loc[0, "a"] = 99  # a copy
    assert counted(golden, table).a.tolist() == [2, 3]
    assert asked == [golden]
    assert counted(golden, table * 2).a.tolist() == [3, 5]
    assert counted(replace(golden), table).a.tolist() == [2, 3]
    assert len(asked) == 3
