"""Runs of odd results, by name: what a verdict must not trip over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ragbench.analysis.load import Run
from ragbench.runfolder.packed import PackedLine, write_packed
from tests.analysis.making import (
    clustered,
    edited,
    make_run,
    question,
    with_arms,
    with_gold,
    write_prompts,
)

Cells = dict[tuple[str, str, str], str]
CLOSED, BM25, DENSE = "closed-book", "bm25", "dense"
PAIR = {"bio": "general"}


def turned(helped: int, hurt: int, right: int, wrong: int) -> tuple[str, str]:
    """Return letters closed-book and with an arm: helped, hurt, right in both, wrong in both."""
    same = "1" * right + "0" * wrong
    return "0" * helped + "1" * hurt + same, "1" * helped + "0" * hurt + same


def gain(
    helped: int, hurt: int, right: int, wrong: int, task: str = "t", model: str = "m"
) -> Cells:
    """Return the cells of one model closed-book and with bm25."""
    closed, arm = turned(helped, hurt, right, wrong)
    return {(model, task, CLOSED): closed, (model, task, BM25): arm}


def plain(**cells: str) -> Callable[[Path], Run]:
    """Return a maker of a run of one model and task: letters by arm, underscores for hyphens."""
    named = {("m", "t", arm.replace("_", "-")): text for arm, text in cells.items()}
    return lambda path: make_run(path, named)


def of(*parts: Cells, **keys: Mapping[str, str]) -> Callable[[Path], Run]:
    """Return a maker of a run of cells."""
    cells = {key: text for part in parts for key, text in part.items()}
    return lambda path: make_run(path, cells, bases=keys.get("bases"))


def three_questions_of_a_pair(path: Path) -> Run:
    cells = {("general", "t", CLOSED): "100", ("general", "t", BM25): "110"}
    cells |= {("bio", "t", CLOSED): "011", ("bio", "t", BM25): "111"}
    return make_run(path, cells, bases=PAIR)


def ties(path: Path) -> Run:
    """Every option has the same score, so that the first one is picked in every cell."""
    run = make_run(path, gain(0, 0, 10, 30), full=True)
    run = replace(run, scores=run.scores.assign(tied=True, pick=0, scoring="options"))
    return edited(run, "identity.tasks.t.scoring", "options")


def in_clusters(sizes: list[int], helped: list[int], hurt: list[int]) -> Callable[[Path], Run]:
    """Return a maker of a run in clusters: how many of each are helped, and how many hurt."""
    closed = arm = ""
    for size, up, down in zip(sizes, helped, hurt, strict=True):
        one, other = turned(up, down, size - up - down, 0)
        closed, arm = closed + one, arm + other
    codes = [code for code, size in enumerate(sizes) for _ in range(size)]
    cells = {("m", "t", CLOSED): closed, ("m", "t", BM25): arm}
    return lambda path: make_run(path, cells, clusters=codes)


def every_question_twice(path: Path) -> Run:
    lines = [question(f"q{i}", f"Question {i // 2}?") for i in range(80)]
    return make_run(path, gain(20, 4, 30, 26), questions={"t": lines})


def stratum_of_one(path: Path) -> Run:
    lines = [
        question(f"q{i}", f"Question {i}?", stratum="rare" if i == 0 else "common")
        for i in range(40)
    ]
    return make_run(path, gain(12, 2, 16, 10), questions={"t": lines})


def identical_models(path: Path) -> Run:
    cells = gain(30, 10, 40, 40, model="general") | gain(30, 10, 40, 40, model="bio")
    return make_run(path, cells, bases=PAIR)


def opposite_tasks(path: Path) -> Run:
    return make_run(path, gain(60, 0, 20, 20, "up") | gain(0, 60, 20, 20, "down"))


def large_and_small_task(path: Path) -> Run:
    return make_run(path, gain(5, 1, 2, 2, "small") | gain(60, 80, 500, 360, "large"))


def five_tasks(path: Path) -> Run:
    cells: Cells = {}
    for task, (helped, hurt) in {
        "a": (30, 10),
        "b": (25, 15),
        "c": (40, 10),
        "d": (18, 12),
        "e": (28, 20),
    }.items():
        cells |= gain(helped, hurt, 60, 100 - helped - hurt, task)
    return make_run(path, cells)


def same_prompts(path: Path) -> Run:
    closed, arm = turned(20, 5, 40, 35)
    cells = {("m", "t", CLOSED): closed}
    run = make_run(path, cells | {("m", "t", name): arm for name in ("k10", "k50")})
    for name in ("k10", "k50"):
        write_prompts(run, name, [str(number) for number in range(100)])
    return make_run(path, cells | {("m", "t", name): arm for name in ("k10", "k50")})


def continuous(path: Path) -> Run:
    """rougeL of 60 questions: closed-book from a draw, with the arm 0.05 more on average."""
    draw = np.random.default_rng(1)
    run = make_run(path, gain(0, 0, 60, 0))
    closed = draw.beta(2, 5, 60)
    arm = np.clip(closed + draw.normal(0.05, 0.1, 60), 0, 1)
    scores = run.scores.assign(rougeL=np.concatenate([closed, arm]))
    return edited(replace(run, scores=scores), "identity.tasks.t.metrics", ["rougeL"])


def generated_zeros(path: Path) -> Run:
    run = make_run(path, gain(0, 0, 0, 25))
    run = replace(run, scores=run.scores.assign(rougeL=0.0))
    return edited(run, "identity.tasks.t.metrics", ["rougeL"])


def imitated_second_arm(path: Path) -> Run:
    closed, arm = turned(40, 10, 50, 50)
    cells = {("m", "t", CLOSED): closed, ("m", "t", BM25): closed}
    cells |= {("m", "t", DENSE): arm, ("m", "t", "random"): closed}
    return make_run(path, cells, controls={"random": DENSE})


def oracle(delivered: str) -> Callable[[Path], Run]:
    """Return a maker of a run of 100 questions with an oracle arm; ``delivered`` is repeated."""

    def run(path: Path) -> Run:
        closed, arm = turned(30, 10, 30, 30)
        cells = {("m", "t", CLOSED): closed, ("m", "t", BM25): arm, ("m", "t", "oracle"): "1" * 90}
        cells["m", "t", "oracle"] += "0" * 10
        made = make_run(path, cells, full=True)
        made = with_arms(made, oracle={"control": "oracle", "like": BM25})
        return with_gold(made, BM25, delivered * (100 // len(delivered)))

    return run


def oracle_in_clusters(path: Path) -> Run:
    """Ten patients with ten questions, and no gold passage for three of them."""
    run = oracle("0" * 30 + "1" * 70)(path)
    return clustered(run, "t", {f"q{i}": f"p{i // 10}" for i in range(100)})


def two_pairs(path: Path) -> Run:
    cells = gain(30, 10, 40, 40, model="general")
    cells |= gain(10, 20, 70, 20, model="bio") | gain(20, 20, 20, 60, model="clinical")
    return make_run(path, cells, bases={"bio": "general", "clinical": "general"})


def assumed(path: Path) -> Run:
    """Forty questions: 2 assumed answers closed-book and 14 with passages, 4 of them right."""
    closed, arm = turned(12, 6, 12, 10)
    cells = {("m", "t", CLOSED): closed, ("m", "t", "medrag"): arm}
    run = make_run(path, cells, full=True)
    scores = run.scores.assign(rule="mirage 1")
    for name, numbers in ((CLOSED, range(2)), ("medrag", range(8, 22))):
        mine = (scores.arm == name) & scores.question_id.isin([f"q{n}" for n in numbers])
        scores.loc[mine, ["outcome", "rule"]] = ["assumed", "default A"]
    return edited(replace(run, scores=scores), "config.mode", "mirage")


def imported(path: Path) -> Run:
    run = make_run(path, gain(20, 8, 50, 22))
    run = edited(run, "identity.imported_from", {"replies.jsonl": "a" * 64})
    return edited(run, "identity.imported_format", "lm-eval")


def headline_of_a_pair(path: Path) -> Run:
    """A pair on 240 questions where retrieval helps the general model alone."""
    cells = gain(127, 6, 60, 47, model="general")
    cells |= {("bio", "t", CLOSED): "1" * 140 + "0" * 100, ("bio", "t", BM25): "1" * 150 + "0" * 90}
    return make_run(path, cells, bases=PAIR)


def errors_in_one_of_two_tasks(path: Path) -> Run:
    cells = gain(20, 5, 40, 35, "whole")
    cells |= {("m", "broken", CLOSED): "1" * 50 + "0" * 50, ("m", "broken", BM25): "1" * 97 + "xxx"}
    return make_run(path, cells)


def fewer_clusters_in_a_stratum(path: Path) -> Run:
    """Ten patients with five questions: in one of two tasks, questions have no patient."""
    run = make_run(path, gain(20, 5, 15, 10, "patients") | gain(20, 5, 15, 10, "alone"))
    return clustered(run, "patients", {f"q{i}": f"p{i % 10}" for i in range(50)})


def a_pair_without_closed_book(path: Path) -> Run:
    general, bio = turned(40, 12, 40, 28)
    return make_run(path, {("general", "t", BM25): general, ("bio", "t", BM25): bio}, bases=PAIR)


def two_clusters_of_a_pair(path: Path) -> Run:
    cells = gain(10, 2, 4, 4, model="general") | gain(4, 2, 10, 4, model="bio")
    return make_run(path, cells, bases=PAIR, clusters=[0] * 10 + [1] * 10)


def an_error_of_a_pair(path: Path) -> Run:
    cells = gain(30, 10, 40, 40, model="general") | gain(10, 20, 70, 20, model="bio")
    cells["bio", "t", BM25] = cells["bio", "t", BM25][:-1] + "x"
    return make_run(path, cells, bases=PAIR)


def form_of_replies(path: Path) -> Run:
    """Of 100 questions the general model answers 60, and is right in 45; the other one in 60."""
    general = {CLOSED: "1" * 45 + "0" * 15 + "?" * 40, BM25: "1" * 45 + "0" * 15 + "?" * 40}
    bio = {CLOSED: "1" * 40 + "0" * 20 + "1" * 20 + "0" * 20}
    bio[BM25] = bio[CLOSED]
    cells = {("general", "t", arm): text for arm, text in general.items()}
    return make_run(
        path, cells | {("bio", "t", arm): text for arm, text in bio.items()}, bases=PAIR
    )


def one_letter(path: Path) -> Run:
    """Forty questions with ten right answers of each of four letters, all answered with B."""
    cells = {("m", "t", arm): "0100" * 10 for arm in (CLOSED, BM25)}
    run = make_run(path, cells, full=True)
    return replace(run, scores=run.scores.assign(pick=1, reply="B"))


def fewer_passages(path: Path) -> Run:
    """A budget of 2,048 tokens holds 3 of 20 passages for 30 questions, and 4 for 10 questions."""
    run = make_run(path, gain(12, 2, 16, 10), full=True)
    lines = [
        PackedLine(
            question_id=f"q{i}",
            passages=tuple("abcd"[: 3 + (i < 10)]),
            requested=20,
            left_out=17 - (i < 10),
        )
        for i in range(40)
    ]
    write_packed(run.files.packed("t", BM25), lines)
    return edited(run, "config.packing", {"budget_tokens": 2048})


MANY = "?" * 36 + "1100"
RUNS: dict[str, Callable[[Path], Run]] = {
    "one question": plain(closed_book="0", bm25="1"),
    "one question of a pair": of(
        gain(1, 0, 0, 0, model="general"), gain(0, 0, 1, 0, model="bio"), bases=PAIR
    ),
    "three questions": plain(closed_book="000", bm25="111"),
    "three questions of a pair": three_questions_of_a_pair,
    "ties": ties,
    "all right": of(gain(0, 0, 50, 0)),
    "all wrong": of(gain(0, 0, 0, 50)),
    "closed-book alone": plain(closed_book="1" * 30 + "0" * 20),
    "retrieval alone": plain(bm25="1" * 30 + "0" * 20),
    "a cell with errors": plain(closed_book="1" * 20 + "0" * 20, bm25="1" * 30 + "0" * 8 + "xx"),
    "errors in one of two tasks": errors_in_one_of_two_tasks,
    "no reply has an answer": plain(closed_book="?" * 40, bm25="?" * 40),
    "every reply wrong or without an answer": plain(closed_book="?0" * 20, bm25="0?" * 20),
    "nine in ten without an answer": plain(closed_book=MANY, bm25=MANY[::-1]),
    "sign depends on policy": plain(
        closed_book="1" * 50 + "0" * 50, bm25="?" * 30 + "1" * 20 + "1" * 15 + "0" * 35
    ),
    "equivalent but for replies without an answer": plain(
        closed_book="?" * 40 + "1" * 300 + "0" * 60, bm25="?" * 40 + "1" * 300 + "0" * 60
    ),
    "a stratum of one question": stratum_of_one,
    "two clusters": in_clusters([20, 20], [12, 8], [1, 2]),
    "seven clusters": in_clusters([10] * 7, [6] * 7, [0] * 7),
    "eight clusters": in_clusters([10] * 8, [6, 5, 7, 6, 4, 6, 5, 7], [1] * 8),
    "one large and nine small clusters": in_clusters(
        [100] + [5] * 9, [60] + [1] * 9, [5] + [1] * 9
    ),
    "clusters in one of two tasks": fewer_clusters_in_a_stratum,
    "every question twice": every_question_twice,
    "identical models": identical_models,
    "opposite tasks": opposite_tasks,
    "a large and a small task": large_and_small_task,
    "five tasks": five_tasks,
    "the same prompts in two arms": same_prompts,
    "shown within the margin": of(gain(18, 0, 1000, 982)),
    "equivalent": of(gain(0, 0, 300, 100)),
    "equivalent with changes": of(gain(10, 10, 1500, 480)),
    "a large gain": of(gain(127, 6, 60, 47)),
    "a large loss": of(gain(6, 127, 60, 47)),
    "a gain in one model of a pair": headline_of_a_pair,
    "interval and test at odds": of(gain(4, 0, 8, 8)),
    "six changes of twenty, all for the better": of(gain(6, 0, 8, 6)),
    "shown before adjustment alone": of(
        gain(15, 5, 40, 40, "a"), gain(16, 6, 40, 38, "b"), gain(9, 8, 40, 43, "c")
    ),
    "shown, but less than the margin": of(gain(40, 15, 500, 445)),
    "a pair without closed-book": a_pair_without_closed_book,
    "two clusters of a pair": two_clusters_of_a_pair,
    "an error in one cell of a pair": an_error_of_a_pair,
    "fine-tuning that teaches the form of replies": form_of_replies,
    "a gain that is all in the form of replies": plain(
        closed_book="?" * 20 + "1" * 40 + "0" * 40, bm25="1" * 20 + "1" * 40 + "0" * 40
    ),
    "a continuous metric": continuous,
    "generated text that scores nothing": generated_zeros,
    "a control of the second arm": imitated_second_arm,
    "gold passages missing for no question": oracle("1"),
    "gold passages missing for every question": oracle("0"),
    "gold passages missing for some questions": oracle("01-11"),
    "gold passages missing in three of ten clusters": oracle_in_clusters,
    "two models without a pair": of(gain(12, 2, 40, 46), gain(3, 2, 50, 45, model="n")),
    "two pairs": two_pairs,
    "assumed answers": assumed,
    "an imported run": imported,
    "one letter to every question": one_letter,
    "fewer passages than requested": fewer_passages,
}
