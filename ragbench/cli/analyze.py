"""``ragbench analyze``, ``report`` and ``show``: the commands that read a run."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import click

from ragbench.cli.output import draws_blocks, echo, emit_json, emit_table, terminal_width

if TYPE_CHECKING:
    import pandas as pd

    from ragbench.analysis.load import Run


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

    The tables are accuracy by cell, effects against controls, retrieval quality, and the pairs.
    """
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
    tables += [retrieval_rows(run, found), pair_rows(run, gains, primary_only=True)]
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
    """Show the passages, prompt and answer of QUESTION_ID in every cell of RUN."""
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
    if as_json:
        imported = read_run_file(files.run).is_imported
        records = [
            record_to_json(r, imported=imported) | {"prompt_text": prompts.get(r.prompt, "")}
            for r in found
        ]
        emit_json({"question": to_json(question), "records": records})
        return
    echo(f"{question.id}\n{question.text}\n")
    for index, option in enumerate(question.options):
        echo(f"  {'*' if index == question.answer else ' '} {option}")
    if question.reference:
        echo(f"  reference: {question.reference}")
    for record in found:
        echo(f"\n== {record.model}, {record.arm} ==\n{prompts.get(record.prompt, '')}\n")
        for option, value in zip(question.options, record.log_likelihoods or (), strict=False):
            echo(f"  {value:10.3f}  {option}")
        if record.reply is not None:
            echo(f"reply: {record.reply}")
        if record.error:
            echo(f"  error: {record.error}")
