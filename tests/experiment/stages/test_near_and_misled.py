"""The controls ``near`` and ``misled``: what they deliver, and a whole run with both."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ragbench.analysis.load import load_run
from ragbench.analysis.panels.evidence import evidence
from ragbench.analysis.panels.misled import misled
from ragbench.base.errors import UsageError
from ragbench.base.records import Question
from ragbench.corpora.build import build_corpus
from ragbench.corpora.card import Card, add_card
from ragbench.corpora.corpus import Corpus
from ragbench.experiment.config.config import load_config
from ragbench.experiment.config.spec import ArmSpec
from ragbench.experiment.grid.building import build_missing
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.run import run_experiment
from ragbench.experiment.stages.arms import Context, Delivery, Retrieved
from ragbench.experiment.stages.controls import Misled, Near
from ragbench.experiment.stages.deliver import pack_all
from ragbench.experiment.stages.planting import MARK
from ragbench.experiment.stages.prompts import passage_entry
from ragbench.experiment.stages.retrieve import retrieve_all
from ragbench.report.evidence import misled_rows, misled_sentences
from ragbench.runfolder.paths import RunPaths
from tests.conftest import FACTS, make_mixed_home

LIKE = ArmSpec(name="a", retriever="r", k=2)
NEAR = ArmSpec.model_validate({"name": "near", "control": "near", "like": "a"})
MISLED = ArmSpec.model_validate({"name": "misled", "control": "misled", "like": "a"})
NAMES = list(FACTS)


def count(text: str) -> int:
    return len(text.split())


@pytest.fixture
def corpus(home: Path) -> Corpus:
    """A passage per fact, with the name of the disease as its title."""
    lines = [
        {"id": f"d-{name}", "title": name.title(), "text": f"{name} is {text}."}
        for name, text in FACTS.items()
    ]
    source = home / "facts.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    card = Card(reader="jsonl", path=str(source), options={"title_field": "title"})
    add_card("facts", card, replace=False)
    return build_corpus("facts")


def question(name: str) -> Question:
    options = (name, *(other for other in NAMES if other != name))[:4]
    return Question(f"q-{name}", "?", options, 0, "?", gold_doc_ids=(f"d-{name}",))


def context(corpus: Corpus, asked: list[str] = NAMES, **changes: Any) -> Context:
    """Each question's ranking is its own passage, then that of the next two facts."""
    at = {name: NAMES.index(name) for name in asked}
    ranked = {
        f"q-{name}": [f"d-{NAMES[(i + step) % len(NAMES)]}" for step in range(3)]
        for name, i in at.items()
    }
    gold = {f"q-{name}": (corpus.find(f"d-{name}"),) for name in asked}
    values: dict[str, Any] = {
        **{"task": "t", "corpus": corpus, "ranked": ranked, "gold": gold, "like": {}},
        **{"like_spec": LIKE, "count_tokens": count, "budget_tokens": 200, "seed": 3},
    }
    made = Context(**{**values, **changes})
    like = {f"q-{name}": Retrieved(LIKE).deliver(question(name), made) for name in asked}
    return Context(**{**values, "like": like, **changes})


def ids(delivery: Delivery) -> list[str]:
    return [passage.id for passage in delivery.passages]


def test_near_gives_what_other_questions_were_given(corpus: Corpus) -> None:
    found = context(corpus)
    reached = 0
    for name in NAMES:
        asked = question(name)
        delivery, target = Near(NEAR).deliver(asked, found), found.like[asked.id]
        assert not set(ids(delivery)) & {f"d-{name}", *ids(target)}
        if within := 0.9 * target.tokens <= delivery.tokens <= 1.1 * target.tokens:
            reached += 1
        assert delivery.shortfall_tokens == (0 if within else target.tokens - delivery.tokens)
        entries = (passage_entry(n, p) for n, p in enumerate(delivery.passages, 1))
        assert delivery.tokens == sum(map(count, entries))
        assert delivery.requested == 2
        assert Near(NEAR).deliver(asked, found) == delivery
    assert reached > len(NAMES) / 2


def test_near_takes_the_best_ranked_first(corpus: Corpus) -> None:
    """With room for one of two passages of equal length, it is the first of the ranking."""
    ranked = {"q-gout": ["d-gout"], "q-croup": ["d-mumps", "d-malaria"]}
    one = LIKE.model_copy(update={"k": 1})
    found = context(corpus, ["croup", "gout"], ranked=ranked, like_spec=one, count_tokens=len)
    size = len(passage_entry(1, corpus[corpus.find("d-mumps") or 0]))
    target = {"q-croup": Delivery(), "q-gout": Delivery((), size, 1)}
    delivery = Near(NEAR).deliver(question("gout"), replace(found, like=target))
    assert ids(delivery) == ["d-mumps"]


def test_questions_added_to_a_run_change_no_delivery(corpus: Corpus) -> None:
    few, many = (context(corpus, NAMES[:n]) for n in (6, 12))
    for name in NAMES[2:6]:
        asked = question(name)
        assert Near(NEAR).deliver(asked, few) == Near(NEAR).deliver(asked, many)


def test_near_of_a_lone_question_is_a_shortfall(corpus: Corpus) -> None:
    found = context(corpus, ["gout"])
    delivery = Near(NEAR).deliver(question("gout"), found)
    assert ids(delivery) == []
    assert delivery.shortfall_tokens == found.like["q-gout"].tokens


def test_an_error_is_planted_in_the_gold_passage_alone(corpus: Corpus) -> None:
    found, asked = context(corpus), question("rickets")
    delivery = Misled(MISLED).deliver(asked, found)
    assert delivery.planted in (1, 2, 3)
    wrong = asked.options[delivery.planted]
    changed, other = delivery.passages
    assert changed.id.startswith(f"d-rickets{MARK}")
    assert (changed.title, changed.text) == (
        wrong.title(),
        f"{wrong} is {FACTS['rickets']}.",
    )
    assert other == found.like["q-rickets"].passages[1]
    assert Misled(MISLED).deliver(asked, found) == delivery
    of_another_arm = Misled(MISLED.model_copy(update={"name": "misled-2"}))
    assert of_another_arm.deliver(asked, found) == delivery


def test_every_wrong_option_is_drawn(corpus: Corpus) -> None:
    asked = question("rickets")
    drawn = {Misled(MISLED).deliver(asked, context(corpus, seed=n)).planted for n in range(40)}
    assert drawn == {1, 2, 3}


def test_what_cannot_be_changed_stays(corpus: Corpus) -> None:
    found, arm = context(corpus), Misled(MISLED)
    target = found.like["q-rickets"]
    asked = question("rickets")
    not_delivered = replace(found, gold={"q-rickets": (corpus.find("d-gout") or 0,)})
    assert arm.deliver(asked, not_delivered) == target
    for options in (("osteomalacia", "gout"), ("yes", "no"), ("rickets", "renal rickets")):
        assert arm.deliver(replace(asked, options=options), found) == target
    assert arm.deliver(replace(asked, options=(), answer=-1), found) == target


def test_an_option_beyond_the_budget_gives_way(corpus: Corpus) -> None:
    long = " ".join(["long"] * 30)
    asked = replace(question("rickets"), options=("rickets", long, "gout"))
    tokens = context(corpus).like["q-rickets"].tokens
    for seed in range(6):
        found = context(corpus, budget_tokens=tokens + 5, seed=seed)
        assert Misled(MISLED).deliver(asked, found).planted == 2


@pytest.mark.parametrize("keys", [{"budget_tokens": 9}, {"order": "best-last"}, {"place": 1}])
def test_keys_without_effect_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"has no effect|needs `place`"):
        ArmSpec.model_validate({"control": "misled", "like": "a", **keys})


# A run of six questions, each with a passage that names its answer.

CONFIG = """\
name: planted
seed: 5
indexes:
  bm25: {recipe: bm25}
models:
  - {name: scripted, backend: scripted, rule: overlap}
tasks:
  - {name: facts, task: mcq, scoring: letters, options: {path: facts.jsonl, corpus: facts}}
arms:
  - closed-book
  - {retriever: bm25, k: 2}
  - {control: near, like: bm25-2}
  - {control: misled, like: bm25-2}
"""


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def planted_home(home: Path) -> Path:
    make_mixed_home(home)
    (home / "planted.yaml").write_text(CONFIG, encoding="utf-8")
    return home


def test_a_run_with_both(planted_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_experiment(*load_config(str(planted_home / "planted.yaml")))
    folder = planted_home / "runs" / "planted"
    assert "misled-bm25-2 on facts changed the passages of 6 of 6" in capsys.readouterr().err
    packed, picks = {}, {}
    for arm in ("closed-book", "bm25-2", "near-bm25-2", "misled-bm25-2"):
        packed[arm] = {q["question_id"]: q for q in lines(folder / "packed" / f"facts+{arm}.jsonl")}
        picks[arm] = {
            r["question_id"]: r["log_likelihoods"].index(max(r["log_likelihoods"]))
            for r in lines(folder / "records" / f"scripted+facts+{arm}.0.jsonl")
        }
    texts = {p["id"]: p for p in lines(folder / "passages.jsonl")}
    asked = {q["id"]: q for q in lines(folder / "questions" / "facts.jsonl")}
    followed = at_risk = 0
    for name, line in packed["misled-bm25-2"].items():
        options, right = asked[name]["options"], asked[name]["answer"]
        wrong = options[line["planted"]]
        assert line["gold"] == 0 and line["planted"] != right  # a changed passage is not gold
        (changed,) = [texts[i] for i in line["passages"] if MARK in i]
        assert wrong in changed["text"] and options[right] not in changed["text"]
        assert changed["doc_id"] == asked[name]["gold_doc_ids"][0]
        at_risk += picks["closed-book"][name] != line["planted"]
        followed += line["planted"] == picks["misled-bm25-2"][name] != picks["closed-book"][name]
        assert "planted" not in packed["bm25-2"][name]
        assert packed["near-bm25-2"][name]["gold"] == 0
    assert followed > 0
    run = load_run(folder)
    (row,) = misled(run).to_dict(orient="records")
    assert (row["changed"], row["followed"], row["at_risk"]) == (6, followed, at_risk)
    right = [picks["misled-bm25-2"][q] == asked[q]["answer"] for q in asked]
    assert row["accuracy"] == pytest.approx(sum(right) / 6)
    assert set(evidence(run).arm) == {"bm25-2", "near-bm25-2"}
    (sentence,) = misled_sentences(run, misled(run))
    assert f"followed the planted error in {followed} of the {at_risk}" in sentence
    assert len(misled_rows(run, misled(run))[1]) == 1
    before = (folder / "passages.jsonl").read_bytes()
    run_experiment(*load_config(str(planted_home / "planted.yaml")))  # once more: the same
    assert (folder / "passages.jsonl").read_bytes() == before


def test_questions_without_options_are_refused(planted_home: Path) -> None:
    path = planted_home / "facts.jsonl"
    found = [
        {"id": q["id"], "question": q["question"], "reference": q["answer"]}
        | {"gold_doc_ids": q["gold_doc_ids"]}
        for q in lines(path)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in found), encoding="utf-8")
    config = planted_home / "planted.yaml"
    text = config.read_text(encoding="utf-8").replace("mcq, scoring: letters", "generation")
    config.write_text(text, encoding="utf-8")
    grid = Grid(*load_config(str(config)))
    folder = RunPaths(planted_home / "runs" / "other")
    retrieve_all(grid, folder, build_missing(grid.config, grid.tasks))
    with pytest.raises(UsageError, match="have no options"):
        pack_all(grid, folder)
