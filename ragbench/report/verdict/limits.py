"""Sentences on what the design of a run, or its answers, leave open."""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_uppercase

import pandas as pd

from ragbench.analysis.clusters import cluster_codes, repeats
from ragbench.analysis.family import BASELINE, retrieval_arms
from ragbench.analysis.load import Run
from ragbench.analysis.panels.policies import UNREAD
from ragbench.base.modelfacts import BOUNDED, UNPINNED
from ragbench.base.records import coarse_grid, coarse_remark
from ragbench.report.policies import assumed_answers
from ragbench.report.stopping import limit
from ragbench.report.tables import percent
from ragbench.report.verdict.clauses import named
from ragbench.report.verdict.delivered import listed, short_deliveries
from ragbench.report.verdict.written import written
from ragbench.runfolder.pairs import Pair
from ragbench.runfolder.records import last_records
from ragbench.runfolder.runfile import Answerers
from ragbench.runfolder.scores import UNMEASURED

NO_PAIR = (
    "The run has no biomedical model together with its base, so it cannot show an effect of "
    "fine-tuning."
)
RUNNABLE = "runnable"  # the backend of such a model
MANY = 0.05  # a share of answers that is worth a sentence
FEWEST = 10  # questions, of which fewer may have one answer by chance
ALMOST = 0.95  # share of one answer that is called the only one
SOME = 0.75  # share of one right answer, above which a model may well give it alone


def limits(run: Run, pairs: list[Pair]) -> Iterator[str]:
    """Yield the limits that the design of the run, or its answers, set."""
    if not pairs:
        yield NO_PAIR
    if run.about.is_imported:
        yield (
            "The answers were made elsewhere and imported: the arms may differ in more than their "
            "passages, so a difference between them may have other causes."
        )
    if stops := limit(run):
        yield stops
    yield from _dated(run)
    yield from _served(run)
    yield from _shown_options(run)
    yield from _answers_itself(run)
    yield from written(run)
    yield from short_deliveries(run)
    for task in run.members("tasks"):
        arms = run.arms(task)
        if BASELINE not in arms:
            of_what = "retrieval or from fine-tuning alone" if pairs else "retrieval"
            yield f"{task} has no closed-book arm, so the run cannot show a gain from {of_what}."
        cells = run.scores[run.scores.task == task]
        yield from _one_answer(run, task, cells)
        yield from _merged(run, task)
        if not retrieval_arms(run, task):
            none = f"{task} has no retrieval arm"
            if any(run.config.arm(arm).control is None for arm in run.same[task]):
                none = f"No retrieval arm of {task} changes a prompt"
            yield f"{none}, so the run cannot show a gain from retrieval."
        n = cells.question_id.nunique()
        if n == 1:
            yield f"{task} has a single question, which supports no conclusion about others."
        if again := repeats(run, task):
            verb = "repeat" if again > 1 else "repeats"
            yield (
                f"{again:,} of the {n:,} questions of {task} {verb} another one; a question and "
                "its repeats count as one cluster."
            )
        yield from _one_cluster(run, task)
        yield from _failed(cells)
        yield from _short(run, task, cells)
        yield from _tied(task, cells)
        yield from _no_reply(task, cells)
        yield from _no_spread(run, task, cells)
        yield from _alike(run, task, pairs)
    yield from assumed_answers(run)


def _shown_options(run: Run) -> Iterator[str]:
    """Yield the arms whose runnable saw the options, which no retriever does."""
    for arm in run.config.arms:
        if arm.runnable is not None and arm.runnable.show_options:
            yield (
                f"The runnable of {arm.name} was given the options of each question, which the "
                "retrievers are not: its passages may support an option that it chose."
            )


def _answers_itself(run: Run) -> Iterator[str]:
    """Yield the models that are code of the user's, whose decoding and search nobody controls."""
    for model in run.config.models:
        if model.backend == RUNNABLE:
            yield (
                f"{model.name} is a runnable: it searches and decodes as its code does, so that no "
                "placebo tells what its passages add, and another run may give other answers."
            )


def _dated(run: Run) -> Iterator[str]:
    """Yield the models whose prompts had the day of the answer, which ragbench does not know."""
    if all(task.scoring != "generate" for task in run.about.identity.tasks.values()):
        return
    for model, facts in run.about.identity.models.items():
        if facts.template_day == UNPINNED:
            yield (
                f"The server of {model} writes the day into each chat prompt, and takes no other "
                "day. So replies of different days answered different prompts, and another run "
                "of this config may give others."
            )


def _served(run: Run) -> Iterator[str]:
    """Yield what servers do not do as asked, and what they do unasked, such as to change."""
    for model, facts in run.about.identity.models.items():
        if facts.served is None:
            continue
        for remark in facts.served.remarks():
            yield f"{model} was asked with other parameters, as its server wants it: {remark}."
        answerers = Answerers()
        for task, asked in run.about.identity.tasks.items():
            unlisted = letters = 0
            single: list[tuple[float, ...]] = []
            for arm in asked.arms:
                for record in last_records(run.files.records(model, task, arm)).values():
                    answerers = answerers.with_answer(record.by)
                    unlisted += record.unlisted or 0
                    letters += len(record.option_tokens or ())
                    if asked.scoring == "letters" and set(record.option_tokens or ()) == {1}:
                        single.append(record.log_likelihoods or ())
            if grid := coarse_grid(single):
                yield f"{model} on {task}: {coarse_remark(grid)}."
            if unlisted and facts.served.letters in BOUNDED:
                yield (
                    f"{model} on {task}: {unlisted:,} of {letters:,} letters were not among the "
                    "tokens that the server lists, and count as less likely than all of those. "
                    "The picks are right all the same; the probabilities of letters are bounds."
                )
        if said := answerers.sentence(model):
            yield said


def _merged(run: Run, task: str) -> Iterator[str]:
    """Yield the arms that are one arm, because each question had the same prompt in all of them."""
    same = run.same[task]
    for kept in dict.fromkeys(same.values()):
        *names, last = [kept, *(arm for arm, other in same.items() if other == kept)]
        yield (
            f"On {task}, the arms {', '.join(names)} and {last} gave the same prompts; they are "
            f"one arm, {kept}, in the tables of effects."
        )


def _one_answer(run: Run, task: str, cells: pd.DataFrame) -> Iterator[str]:
    """Yield the cells with one answer to (almost) every question, whatever the right one is."""
    for model, cell in cells.groupby("model", sort=False):
        found: dict[str, list[str]] = {}
        for arm, answers in cell.groupby("arm", sort=False):
            said = _only_answer(run, task, answers)
            if said:
                found.setdefault(said, []).append(str(arm))
        for said, arms in found.items():
            yield (
                f"{model} on {task} gave {said} in {listed(arms)}, so these answers do not depend "
                "on the questions."
            )


def _only_answer(run: Run, task: str, answers: pd.DataFrame) -> str:
    """Return the answer that most questions of a cell have; empty if they differ as they should."""
    if not {"pick", "answer", "tied", "reply"} <= set(answers) or answers.tied.all():
        return ""
    picks, right = answers.pick.dropna(), answers.answer
    if len(picks) >= FEWEST:
        share = float(picks.value_counts(normalize=True).iloc[0])
        if share < ALMOST or float(right.value_counts(normalize=True).iloc[0]) > SOME:
            return ""
        classes = run.shown_classes(task)
        pick = int(picks.mode().iloc[0])
        name = repr(classes[pick]) if classes else f"the answer {ascii_uppercase[pick % 26]}"
        return f"{name} to {percent(share)} of the questions"
    replies = answers.reply.dropna()
    if len(replies) >= FEWEST and replies.nunique() == 1 and str(replies.iloc[0]).strip():
        return "the same text to every question"
    return ""


def _one_cluster(run: Run, task: str) -> Iterator[str]:
    """Yield that one cluster has most of the questions."""
    questions = run.questions(task)
    codes = cluster_codes(run, task, pd.DataFrame({"question_id": [q.id for q in questions]}))
    if codes is None:
        return
    sizes = pd.Series(codes).value_counts()
    if len(sizes) > 1 and 2 * sizes.max() > len(codes):
        yield (
            f"One cluster of {task} has {sizes.max():,} of its {len(codes):,} questions, so the "
            "figures depend mostly on this cluster."
        )


def _failed(cells: pd.DataFrame) -> Iterator[str]:
    for (model, task, arm), cell in cells.groupby(["model", "task", "arm"], sort=False):
        reasons = set(cell.error[cell.outcome == "error"]) if "error" in cell else set()
        if nothing := reasons & set(UNMEASURED):
            yield (
                f"{model} on {task}, {arm}: {' and '.join(nothing)}, so the cell has measured "
                "nothing; its figures are bounds, and nothing is tested."
            )
        elif failed := int((cell.outcome == "error").sum()):
            yield (
                f"{model} on {task}, {arm}: {failed:,} of {len(cell):,} questions "
                f"{'has' if failed == 1 else 'have'} no reply because of an error, so the figures "
                "of this arm are bounds, and its effects are not tested."
            )


def _short(run: Run, task: str, cells: pd.DataFrame) -> Iterator[str]:
    """Yield the controls of the same length that deliver less than the arm that they imitate."""
    for arm in run.arms(task):
        spec = run.config.arm(arm)
        if spec.control not in ("random", "near") or "shortfall_tokens" not in cells:
            continue
        cell = cells[cells.arm == arm].drop_duplicates("question_id")  # of all models the same
        short = cell[cell.shortfall_tokens > 0]
        if len(short):
            share = short.passage_tokens / (short.passage_tokens + short.shortfall_tokens)
            yield (
                f"{arm} on {task} is more than 10 % shorter than {spec.like} for {len(short):,} of "
                f"{len(cell):,} questions (down to {percent(float(share.min()))} of its tokens)."
            )


def _tied(task: str, cells: pd.DataFrame) -> Iterator[str]:
    """Yield the cells in which the order of the options decides many answers."""
    if "tied" not in cells:
        return
    for model, cell in cells.groupby("model", sort=False):
        rates = cell.groupby("arm", sort=False)["tied"].mean()
        if shares := [f"{percent(rate)} ({arm})" for arm, rate in rates.items() if rate > MANY]:
            yield (
                f"{model} on {task}: {listed(shares)} of the answers are the first of several "
                "options that were equally likely, so the order of the options decided them."
            )


def _no_reply(task: str, cells: pd.DataFrame) -> Iterator[str]:
    """Yield the cells with many replies that were filtered, cut or empty."""
    if "reply" not in cells:
        return
    empty = cells.reply.astype("string").fillna("none").str.strip() == ""
    kinds = (
        ("were stopped by a content filter", cells.outcome == "refused"),
        ("ended at the limit of tokens before an answer", cells.outcome == "truncated"),
        ("are empty", empty & (cells.outcome != "refused")),
    )
    for what, are_so in kinds:
        for model, cell in cells.assign(are_so=are_so).groupby("model", sort=False):
            rates = cell.groupby("arm", sort=False)["are_so"].mean()
            if shares := [f"{percent(r)} ({arm})" for arm, r in rates.items() if r > MANY]:
                yield f"{model} on {task}: {listed(shares)} of the replies {what}."


def _no_spread(run: Run, task: str, cells: pd.DataFrame) -> Iterator[str]:
    metric = run.metrics(task)[0]
    for model, cell in cells.groupby("model", sort=False):
        values = cell[metric].dropna()
        if cell.arm.nunique() < 2 or len(values) < len(cell) or values.nunique() > 1:
            continue
        value, unread = float(values.iloc[0]), cell.outcome.isin(UNREAD)
        if unread.all():
            yield (
                f"{model} on {task}: no reply in any arm has an answer, so the run does not show "
                "what the model knows."
            )
            continue
        what = f"answer has the same {metric} ({value:g})"
        if metric.startswith("accuracy"):
            what = "answer is right" if value else "answer is wrong"
            what = "reply is wrong or without an answer" if unread.any() else what
        yield (
            f"{model} on {task}: every {what} in every arm, so these questions cannot separate "
            "the arms."
        )


def _alike(run: Run, task: str, pairs: list[Pair]) -> Iterator[str]:
    """Yield the pairs whose members have the same score on each question in each arm."""
    metric = run.metrics(task)[0]
    for pair in pairs:
        one, other = (
            pd.concat([run.cell(model, task, arm).set_index("question_id")[metric] for arm in arms])
            for arms in [run.arms(task)]
            for model in (pair.biomedical, pair.general)
        )
        if len(one) > 1 and one.nunique() > 1 and one.equals(other):
            yield (
                f"{pair.biomedical} and {pair.general} have the same score on every question of "
                f"{named(run, task)} in every arm, so these questions cannot separate the models."
            )
