"""What the design of a run, or its answers, leave open is said once, and only where it is so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ragbench.base.modelfacts import UNPINNED, ModelFacts
from ragbench.base.records import Scoring
from ragbench.report.markdown import methods
from ragbench.report.verdict.delivered import listed
from ragbench.report.verdict.limits import limits
from ragbench.runfolder.pairs import pairs_of
from tests.analysis.making import edited, make_run, question, with_arms, write_prompts
from tests.report.verdict.test_verdict import N, cell, pair_run, said


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ({"closed-book": "1", "bm25": "0"}, "a single question"),
        ({"bm25": "10"}, "no closed-book arm"),
        ({"closed-book": "10"}, "no retrieval arm"),
        ({"closed-book": "111", "bm25": "111"}, "every answer is right in every arm"),
        ({"closed-book": "000", "bm25": "000"}, "every answer is wrong in every arm"),
        (
            {"closed-book": "101", "bm25": "1xx"},
            "bm25: 2 of 3 questions have no reply because of an error",
        ),
    ],
)
def test_what_cannot_be_said_is_said(tmp_path: Path, cells: dict[str, str], sentence: str) -> None:
    run = make_run(tmp_path / "run", {("m", "t", arm): text for arm, text in cells.items()})
    lines = said(run)
    assert any(sentence in line for line in lines)
    assert not any("gained" in line for line in lines)
    assert "nan" not in " ".join(lines).split()


def test_questions_that_repeat_another_are_counted(tmp_path: Path) -> None:
    """Twelve questions, of which two repeat the first; a patient has the next three."""
    texts = ["Which?"] * 3 + [f"Question {i}?" for i in range(9)]
    patients = [None] * 3 + ["p"] * 3 + [None] * 6
    lines = [
        question(f"q{i}", text, cluster=patient)
        for i, (text, patient) in enumerate(zip(texts, patients, strict=True))
    ]
    cells = {("m", "t", "closed-book"): cell(3, 12), ("m", "t", "bm25"): cell(9, 12)}
    run = make_run(tmp_path / "run", cells, questions={"t": lines})
    told = "2 of the 12 questions of t repeat another one; a question and its repeats count as one"
    lines_said = said(run)
    assert sum(line.startswith(told) for line in lines_said) == 1
    assert any(line.startswith("m on t, n = 12 in 8 clusters: ") for line in lines_said)
    text = methods(run)
    assert "The questions of t (by cluster) come in clusters. " in text
    assert "Questions of t with the same words, options and documents are one cluster." in text
    assert "by patient" in methods(edited(run, "identity.tasks.t.cluster_unit", "patient"))


def test_a_run_without_repeats_says_nothing_of_them(tmp_path: Path) -> None:
    run = pair_run(tmp_path, (80, 120), (82, 100))
    assert not any("repeat" in line or "cluster" in line for line in said(run))
    assert "cluster" not in methods(run).replace("clustered tasks", "")


def test_a_placebo_that_is_too_short_is_named(tmp_path: Path) -> None:
    """Of four questions one got 59 of 100 tokens, another 80 of 100."""
    arms = ("closed-book", "bm25", "random")
    cells = {(model, "t", arm): "0101" for model in ("m", "n") for arm in arms}
    run = make_run(tmp_path / "run", cells, controls={"random": "bm25"}, full=True)
    random = run.scores.arm == "random"
    assert not any("shorter" in line for line in said(run))
    run.scores.loc[random, "passage_tokens"] = [59, 95, 80, 100] * 2
    run.scores.loc[random, "shortfall_tokens"] = [41, 0, 20, 0] * 2
    assert [line for line in said(run) if "shorter" in line] == [
        "random on t is more than 10 % shorter than bm25 for 2 of 4 questions (down to 59.0 % of "
        "its tokens)."
    ]


def test_arms_with_the_same_prompts_are_named(tmp_path: Path) -> None:
    cells = {("m", "t", arm): cell(60) for arm in ("closed-book", "k10", "k50", "k99")}
    run = make_run(tmp_path / "run", cells)
    for arm in ("k10", "k50", "k99"):
        write_prompts(run, arm, [str(i) for i in range(N)])
    lines = said(run)
    assert (
        "On t, the arms k10, k50 and k99 gave the same prompts; they are one arm, k10, in the "
        "tables of effects." in lines
    )
    assert not [line for line in lines if line.startswith(("k50 on t", "k99 on t"))]
    write_prompts(run, "closed-book", [str(i) for i in range(N)])
    assert (
        "No retrieval arm of t changes a prompt, so the run cannot show a gain from retrieval."
        in said(make_run(tmp_path / "run", cells))
    )


def test_a_servers_own_day_in_the_prompts_is_said(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {("m", "t", "closed-book"): "0101"})
    identity = run.about.identity
    modes: tuple[tuple[Scoring, int], ...] = (("generate", 1), ("letters", 0))
    for scoring, n in modes:
        about = replace(
            run.about,
            identity=replace(
                identity,
                tasks={name: replace(t, scoring=scoring) for name, t in identity.tasks.items()},
                models={"m": ModelFacts(template_day=UNPINNED), "n": ModelFacts()},
            ),
        )
        lines = limits(replace(run, about=about), [])
        assert sum("m writes the day into each chat prompt" in line for line in lines) == n


def limits_of(path: Path, cells: dict[str, str], clusters: list[int] | None = None) -> list[str]:
    run = make_run(path, {("m", "t", arm): text for arm, text in cells.items()}, clusters=clusters)
    return list(limits(run, []))[1:]  # the first is of pairs


def test_one_cluster_with_most_questions_is_named(tmp_path: Path) -> None:
    cells = {"closed-book": "0101", "bm25": "0011"}
    most = (
        "One cluster of t has 3 of its 4 questions, so the figures depend mostly on this cluster."
    )
    assert limits_of(tmp_path / "a", cells, [0, 0, 0, 1]) == [most]
    assert limits_of(tmp_path / "b", cells, [0, 0, 1, 1]) == []  # half is not most
    assert limits_of(tmp_path / "c", cells, [0, 0, 0, 0]) == []  # no interval says as much


def test_ties_are_said_where_more_than_one_answer_in_twenty_is_one(tmp_path: Path) -> None:
    cells = {("m", "t", arm): "10" * 20 for arm in ("closed-book", "bm25")}
    run = make_run(tmp_path / "run", cells, full=True)
    scores = run.scores.copy()
    scores.loc[scores.arm == "bm25", "tied"] = [True] * 3 + [False] * 37
    scores.loc[scores.arm == "closed-book", "tied"] = [True] * 2 + [False] * 38  # 5 % is not more
    lines = list(limits(replace(run, scores=scores), []))[1:]
    assert lines == [
        "m on t: 7.5 % (bm25) of the answers are the first of several options that were equally "
        "likely, so the order of the options decided them."
    ]


def test_a_single_arm_has_nothing_to_separate(tmp_path: Path) -> None:
    assert limits_of(tmp_path / "run", {"closed-book": "111"}) == [
        "t has no retrieval arm, so the run cannot show a gain from retrieval."
    ]


def test_models_with_the_same_scores_are_named(tmp_path: Path) -> None:
    run = pair_run(tmp_path, (80, 120), (80, 120))
    same = "bio and general have the same score on every question of a in every arm, so these "
    assert f"{same}questions cannot separate the models." in list(
        limits(run, pairs_of(run.config.bases()))
    )
    assert not any("same score" in line for line in said(pair_run(tmp_path, (80, 120), (80, 121))))


def test_lists_in_a_sentence() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c"]) == "a, b and c"


def test_a_runnable_that_saw_the_options_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {("m", "t", arm): "10" for arm in ("closed-book", "theirs")})
    for shown in (True, False):
        keys = {"runnable": {"name": "theirs", "show_options": shown}}
        found = [line for line in limits(with_arms(run, theirs=keys), []) if "was given" in line]
        sentence = (
            "The runnable of theirs was given the options of each question, which the retrievers "
            "are not: its passages may support an option that it chose."
        )
        assert found == [sentence] * shown


def test_a_model_that_is_code_of_the_users_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {("m", "t", "closed-book"): "10"})
    assert not any("is a runnable" in line for line in limits(run, []))
    theirs = edited(run, "config.models.0", {"name": "m", "backend": "runnable"})
    (line,) = [line for line in limits(theirs, []) if "is a runnable" in line]
    assert line == (
        "m is a runnable: it searches and decodes as its code does, so that no placebo tells what "
        "its passages add, and another run may give other answers."
    )
