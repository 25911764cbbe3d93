"""``ragbench analyze``, ``report`` and ``show``: the commands that read a run."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING

import click

from ragbench.cli.output import draws_blocks, echo, emit_json, emit_table, terminal_width

if TYPE_CHECKING:
    import pandas as pd

    from ragbench.analysis.load import Run
    from ragbench.base.records import Question
    from ragbench.runfolder.paths import RunPaths
    from ragbench.runfolder.records import Record
    from ragbench.runfolder.runfile import RunFile


@click.command()
@click.argument("run_folder", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="Print the effects as a JSON list.")
@click.option("--all", "every", is_flag=True, help="Print every table after the verdict.")
def analyze(run_folder: str, as_json: bool, every: bool) -> None:
    """Print the verdict on RUN (a folder or a name), and write its tables."""
    from ragbench.analysis import effects as gains
    from ragbench.analysis import results as found
    from ragbench.analysis.load import load_run
    from ragbench.runfolder.paths import find_run

    run = load_run(find_run(run_folder).path)
    try:
        results, effects = found.write_tables(run)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        echo(f"note: {run.path} is read-only, so its tables are not written", err=True)
        results, effects = found.results(run), gains.effects(run)
    if as_json:
        emit_json(found.as_objects(run, results, effects))
    else:
        emit_results(run, results, effects, every=every)


def emit_results(
    run: Run, found: pd.DataFrame, gains: pd.DataFrame, *, every: bool = False
) -> None:
    """Print the verdict with its cells and bars; then, if asked for, every table.

    The tables are accuracy by cell, effects against controls, retrieval quality, what the gold
    passages and planted errors did, and the pairs.
    """
    from ragbench.analysis.panels.evidence import evidence
    from ragbench.analysis.panels.misled import misled
    from ragbench.report.evidence import misled_rows, share_rows
    from ragbench.report.headline import headline
    from ragbench.report.policies import assumed_answers
    from ragbench.report.tables import (
        accuracy_rows,
        coverage,
        effect_rows,
        pair_rows,
        retrieval_rows,
    )
    from ragbench.report.terminal.columns import wrapped
    from ragbench.report.terminal.screen import screen

    shown = headline(run, found, gains)
    width = terminal_width()
    for line in screen(shown, coverage(run), width, is_ascii=not draws_blocks()):
        echo(line)
    for text in assumed_answers(run):
        if text not in shown.lines:
            echo("\n".join(["", *wrapped(text, width or len(text))]))
    if not every:
        return
    tables = [accuracy_rows(run, found, gains), effect_rows(run, gains)]
    tables += [retrieval_rows(run, found), share_rows(evidence(run))]
    tables += [misled_rows(run, misled(run)), pair_rows(run, gains, primary_only=True)]
    for header, rows in tables:
        if rows:
            echo()
            emit_table(header, rows)


@click.command()
@click.argument("run_folder", metavar="RUN")
@click.option("--open", "open_it", is_flag=True, help="Open the page in a browser.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="FORMAT",
    help="Also write tables (csv, latex) or figures (png, svg, pdf); repeatable, or all.",
)
@click.option(
    "--beside", type=click.Choice(["published"]), help="Show published figures next to the results."
)
def report(run_folder: str, open_it: bool, formats: tuple[str, ...], beside: str | None) -> None:
    """Write the report of RUN (a folder or a name) as one HTML page and as Markdown."""
    from ragbench.base.errors import UsageError, near
    from ragbench.report.export import FORMATS
    from ragbench.report.write import write_report
    from ragbench.runfolder.paths import find_run

    wanted = {part for text in formats for part in text.split(",")}
    for name in sorted(wanted - {*FORMATS, "all"}):
        raise UsageError(f"there is no format {name!r}", fix=near(name, [*FORMATS, "all"]))
    chosen = FORMATS if "all" in wanted else [name for name in FORMATS if name in wanted]
    written = write_report(find_run(run_folder).path, beside=beside is not None, formats=chosen)
    for path in (written.path, written.page, *written.exported):
        echo(f"wrote {path}")
    if open_it:
        click.launch(str(written.page))


@click.command()
@click.argument("run_folder", metavar="RUN")
@click.argument("question_id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(run_folder: str, question_id: str, as_json: bool) -> None:
    """Show the passages, prompt and answer of QUESTION_ID in every cell of RUN.

    It also shows what each model picked and whether that is right.
    """
    from ragbench.base.errors import DataError, near
    from ragbench.base.records import Question
    from ragbench.runfolder.passages import read_prompts
    from ragbench.runfolder.paths import find_run
    from ragbench.runfolder.questions import read_questions
    from ragbench.runfolder.records import read_records, record_to_json
    from ragbench.runfolder.runfile import read_run_file
    from ragbench.runfolder.schema import to_json

    files = find_run(run_folder)
    every = [record for path in files.all_records() for record in read_records(path)]
    found = [record for record in every if record.question_id == question_id]
    if not found:
        known = {record.question_id for record in every}
        raise DataError(
            f"no record of question {question_id!r}", fix=near(question_id, known)[:400]
        )
    prompts = read_prompts(files.prompts)
    asked = {question.id: question for question in read_questions(files.questions(found[0].task))}
    question = asked.get(question_id, Question(question_id, "", (), -1, ""))
    run = read_run_file(files.run)
    scores = _scores_of(files, run, question_id)
    if as_json:
        emit_json(
            {
                "question": to_json(question),
                "records": [
                    record_to_json(record, imported=run.is_imported)
                    | {"prompt_text": prompts.get(record.prompt, "")}
                    | {"per_character": _per_character(record, question)}
                    | {"score": _score_json(scores.get(_cell_of(record)), question)}
                    | {"written": _written_json(files, run, record)}
                    for record in found
                ],
            }
        )
        return
    echo(f"{question.id}\n{question.text}\n")
    for index, option in enumerate(question.options):
        echo(f"  {'*' if index == question.answer else ' '} {_letter(index)}  {option}")
    if question.answer >= 0 and question.options:
        echo("(* is the right option)")
    if question.reference:
        echo(f"  reference: {question.reference}")
    for record in found:
        echo(f"\n== {record.model}, {record.arm} ==")
        for one in _written_json(files, run, record):
            echo(f"{one['by']}, {one['name']}: {one['text']}")
        echo(f"{prompts.get(record.prompt, '')}\n")
        _show_answer(record, question, scores.get(_cell_of(record)))


def _written_json(files: RunPaths, run: RunFile, record: Record) -> list[dict[str, str]]:
    """Return what models wrote for a record before its answer, in the order of the calls."""
    from ragbench.runfolder.records import texts_before

    found = texts_before(files, run.config, record.task, record.arm, record.model)
    return [one._asdict() for one in found.get(record.question_id, ())]


def _show_answer(record: Record, question: Question, score: _Score | None) -> None:
    """Print the answer in a record, what was read from it, and how each option scored."""
    if record.reply is not None:
        echo(f"reply: {record.reply}")
    if record.error:
        echo(f"  error: {record.error}")
        return
    echo(
        "not scored yet: `ragbench score` scores the run"
        if score is None
        else score.text(record.reply is not None)
    )
    if record.log_likelihoods is None:
        return
    per_character = _per_character(record, question) or []
    by_length = record.scoring != "letters"  # a letter is one character
    header = "in all  per character" if by_length else "in all"
    echo(f"  {header:>{25 if by_length else 10}}")
    for index, total in enumerate(record.log_likelihoods[: len(question.options)]):
        length = f"{per_character[index]:15.3f}" if by_length else ""
        mark = "*" if index == question.answer else " "
        echo(f"  {total:10.3f}{length}  {mark} {_letter(index)}  {question.options[index]}")
    scored = "option" if by_length else "letter"
    rule = "the highest per character" if by_length else "the highest"
    echo(f"(log-likelihood of each {scored} as the reply; {rule} is the pick)")


@dataclass(frozen=True, slots=True)
class _Score:
    """What the scores say of one question in one cell.

    Attributes:
        outcome: How the answer was read.
        pick: Index of the option; None if there is none.
        tied: Whether another option was equally likely.
        right: Whether the pick is right; None if the question has no right option, or no score.
        rule: Rule that read a reply.
        error: Why there is no score.
        metrics: Value by metric; None where it has none.
    """

    outcome: str
    pick: int | None
    tied: bool
    right: bool | None
    rule: str | None
    error: str | None
    metrics: Mapping[str, float | None]

    def text(self, is_reply: bool) -> str:
        """Return the score in a line, such as ``picked: B (wrong)``; of a reply, also how read."""
        if self.outcome == "error":
            return f"not scored: {self.error or 'there is no answer'}"
        read = f", {self.outcome}" if is_reply else ""
        read += f" by the rule {self.rule!r}" if self.rule else ""
        if self.right is None:
            values = (
                f"{k} {'no value' if v is None else f'{v:.3f}'}" for k, v in self.metrics.items()
            )
            return f"scored: {', '.join(values)}{read}"
        grade = "right" if self.right else "wrong"
        if self.pick is None:
            return f"picked: none ({grade}){read}"
        tie = ", a tie with another option" if self.tied else ""
        return f"picked: {_letter(self.pick)} ({grade}){read}{tie}"


def _cell_of(record: Record) -> tuple[str, str, str]:
    return record.model, record.task, record.arm


def _scores_of(
    files: RunPaths, run: RunFile, question_id: str
) -> dict[tuple[str, str, str], _Score]:
    """Return the score of a question by model, task and arm; none if the run is not scored."""
    from ragbench.runfolder.scores import read_scores

    path = files.scores(run.config.mode)
    if not path.is_file():
        return {}
    table = read_scores(path)
    found = {}
    for row in table[table.question_id == question_id].to_dict(orient="records"):
        known = {str(key): None if _is_missing(value) else value for key, value in row.items()}
        pick = None if known["pick"] is None else int(known["pick"])
        has_answer = known["outcome"] != "error" and (known["answer"] or 0) >= 0
        metrics = run.identity.tasks[row["task"]].metrics
        found[row["model"], row["task"], row["arm"]] = _Score(
            outcome=row["outcome"],
            pick=pick,
            tied=bool(known["tied"]),
            right=pick == known["answer"] if has_answer else None,
            rule=known["rule"],
            error=known["error"],
            metrics={name: known.get(name) for name in metrics},
        )
    return found


def _is_missing(value: object) -> bool:
    import pandas as pd

    return value is None or value is pd.NA or value != value


def _score_json(score: _Score | None, question: Question) -> dict[str, object] | None:
    if score is None:
        return None
    has_option = score.pick is not None and score.pick < len(question.options)
    return {
        **asdict(score),
        "letter": None if score.pick is None else _letter(score.pick),
        "picked": question.options[score.pick or 0] if has_option else None,
    }


def _per_character(record: Record, question: Question) -> list[float] | None:
    """Return the log-likelihood of each option by its length; None if none was scored."""
    from ragbench.experiment.stages.prompts import continuations

    if record.log_likelihoods is None:
        return None
    texts = continuations(question, "letters" if record.scoring == "letters" else "options")
    pairs = zip(record.log_likelihoods, texts, strict=False)
    return [total / max(len(text), 1) for total, text in pairs]


def _letter(index: int) -> str:
    return ascii_uppercase[index] if index < len(ascii_uppercase) else f"#{index + 1}"
