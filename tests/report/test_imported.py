"""The methods of imported runs say what is known, and name what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.analysis.load import Run
from ragbench.report.imported import imported_methods
from ragbench.report.markdown import methods
from ragbench.report.tables import provenance_rows
from tests.analysis.making import edited, make_run

DIGESTS = {"replies.jsonl": "a" * 64, "benchmark.json": "b" * 64}
# Claims that hold only for prompts, replies and passages that ragbench made itself.
CLAIMS = ("differ only", "greedily", "ir-measures", "does not list", "lists the options")


def imported_run(path: Path, form: str | None, reader: str, mode: str) -> Run:
    run = make_run(path / "run", {("m", "t", "closed-book"): "10", ("m", "t", "theirs"): "11"})
    run = edited(run, "identity.imported_from", DIGESTS)
    if form is not None:
        run = edited(run, "identity.imported_format", form)
    return edited(edited(run, "identity.tasks.t.reader", reader), "config.mode", mode)


def test_mirage(tmp_path: Path) -> None:
    run = imported_run(tmp_path, "mirage", "mirage", "mirage")
    assert imported_methods(run) == (
        "The answers were made elsewhere and imported, in the format of MIRAGE's replies: "
        "replies.jsonl (SHA-256 aaaaaaaaaaaaaaaa), benchmark.json (SHA-256 bbbbbbbbbbbbbbbb). "
        "ragbench read the imported replies in the mode mirage by the rules of MIRAGE's "
        "evaluation, which assume an answer where they find none; assumed answers are counted "
        "apart. ragbench does not know the prompts, how the model was run and decoded, which "
        "passages the prompts contained and how they were chosen; arms have the names that the "
        "import gave them, and may differ in more than their passages."
    )


def test_logs_of_lm_eval_have_the_prompts(tmp_path: Path) -> None:
    run = imported_run(tmp_path, "lm-eval", "option", "correct")
    text = imported_methods(run)
    assert "imported, in sample logs of the lm-evaluation-harness: replies.jsonl" in text
    assert "in the mode correct by the option that a reply names" in text
    assert "ragbench does not know how the model was run and decoded, which passages" in text


def test_log_likelihoods_are_those_of_the_log(tmp_path: Path) -> None:
    run = imported_run(tmp_path, "lm-eval", "option", "correct")
    run = edited(run, "identity.tasks.t.scoring", "options")
    assert (
        "The answer is the option whose imported log-likelihood has the highest value per "
        "character; ties go to the first."
    ) in imported_methods(run)
    run = edited(run, "identity.tasks.t.metrics", ["accuracy_sum"])
    assert "log-likelihood has the highest sum; ties" in imported_methods(run)


def test_tasks_that_were_read_in_two_ways(tmp_path: Path) -> None:
    cells = {("m", task, "closed-book"): "10" for task in ("a", "b", "c")}
    run = edited(make_run(tmp_path / "run", cells), "identity.imported_from", DIGESTS)
    run = edited(run, "identity.tasks.c.reader", "text")
    text = imported_methods(run)
    assert "read the imported replies of a, b in the mode correct by the option" in text
    assert "read the imported replies of c in the mode correct as the reply itself" in text


def test_a_format_that_was_not_recorded(tmp_path: Path) -> None:
    text = imported_methods(imported_run(tmp_path, None, "option", "correct"))
    assert text.startswith("The answers were made elsewhere and imported: replies.jsonl (SHA")
    assert "ragbench does not know the prompts, how" in text


@pytest.mark.parametrize("form", ["mirage", "lm-eval", None])
def test_nothing_is_claimed_that_is_not_known(tmp_path: Path, form: str | None) -> None:
    run = imported_run(tmp_path, form, "option", "correct")
    text = methods(run)
    assert text.startswith("The answers were made elsewhere")
    assert not [claim for claim in CLAIMS if claim in text]
    named = [row[0] for row in provenance_rows(run)[1]]
    assert named[:2] == ["imported at", "seed of the analysis"]  # not the model's
    own = methods(edited(run, "identity.imported_from", ...))
    assert "The answers were made elsewhere" not in own
    assert [claim for claim in CLAIMS if claim in own] == ["differ only", "greedily", "ir-measures"]
