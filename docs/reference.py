"""Writes the pages of the reference that follow from the code: keys of files, and commands.

``python -m docs.reference FOLDER`` writes them; ``scripts/docs`` does so before it builds the site.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types as limits
import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

WORDS = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "`true` or `false`",
    dict: "mapping",
    NoneType: "",
    Any: "anything",
}
LIMITS = (
    (limits.Gt, "above", "gt"),
    (limits.Ge, "at least", "ge"),
    (limits.Lt, "below", "lt"),
    (limits.Le, "at most", "le"),
)
SHOWN = 1e15  # a larger limit is only that of the machine's numbers


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return the meaning of each key of a model, from the ``Attributes`` of its docstrings."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        text = inspect.cleandoc(base.__dict__.get("__doc__") or "") + "\n"
        section = re.search(r"^Attributes:\n((?:    .*\n|\n)+)", text, re.MULTILINE)
        for name, words in re.findall(
            r"^    (\w+): (.*(?:\n {8}.*)*)", section[1] if section else "", re.MULTILINE
        ):
            found[name] = " ".join(words.split()).replace("``", "`")
    return found


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]


def type_in_words(annotation: Any) -> str:
    """Return the type of a key in words; the keys of a mapping are texts."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_in_words(inner[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (Union, UnionType):
        return " or ".join(filter(None, dict.fromkeys(map(type_in_words, inner))))
    if origin in (tuple, list):
        return f"list of {_plural(type_in_words(inner[0]))}"
    if origin is dict:
        return f"mapping of names to {_plural(type_in_words(inner[1]))}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"mapping ([keys](#{anchor(annotation)}))"
    if isinstance(annotation, type) and annotation not in WORDS:
        return annotation.__name__
    return WORDS.get(annotation, "text")


def _plural(words: str) -> str:
    return re.sub(r"^(text|integer|number|mapping)\b", r"\1s", words)


def _limits(field: FieldInfo) -> str:
    words = [
        f"{word} {getattr(limit, key):g}"
        for limit in field.metadata
        for kind, word, key in LIMITS
        if isinstance(limit, kind) and abs(getattr(limit, key)) < SHOWN
    ]
    return "".join(f", {word}" for word in words)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or isinstance(value, BaseModel) or value in ((), {}, "", []):
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(f"`{item}`" for item in value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text.encode('unicode_escape').decode()}`"


def anchor(model: type[BaseModel]) -> str:
    """Return the anchor of a model's section."""
    return model.__name__.lower()


def key_table(model: type[BaseModel]) -> list[str]:
    """Return the lines of a table of keys: type, default and meaning.

    Raises:
        LookupError: A key has no meaning.
    """
    from ragbench.models.spec import BackendOptions

    told = meanings(model)
    lines = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, field in model.model_fields.items():
        if _models_in(field.annotation) == [BackendOptions]:
            continue  # its keys are written next to the others
        words = told.get(name) or field.description
        if not words:
            raise LookupError(f"{model.__module__}.{model.__name__} does not describe {name!r}")
        kind = type_in_words(field.annotation) + _limits(field)
        lines.append(f"| `{field.alias or name}` | {kind} | {_default(field)} | {_cell(words)} |")
    if len(lines) == 2:
        return ["No keys.", ""]
    return [*lines, ""]


def _cell(text: str) -> str:
    """Return a text as Markdown in a cell, in which only code and links are marked up."""
    pieces = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(
        piece if piece.startswith("`") else re.sub(r"([*_|\\<\[\]])", r"\\\1", piece)
        for piece in pieces
    )


def _sections(
    named: Mapping[str, type[BaseModel]], seen: set[type[BaseModel]], *, level: int = 2
) -> list[str]:
    """Return the tables of models and of the models of their keys, each once per page.

    Args:
        named: Headings and their models.
        seen: Models that the page has already.
        level: Level of the headings.
    """
    lines: list[str] = []
    inner: dict[str, type[BaseModel]] = {}
    for title, model in named.items():
        if model not in seen:
            seen.add(model)
            lines += [f"{'#' * level} {title} {{ #{anchor(model)} }}", "", *key_table(model)]
            inner |= {f"`{place}`": part for part, place in _inner(model).items()}
    return lines + (_sections(inner, seen, level=level) if inner else [])


def _inner(model: type[BaseModel], stem: str = "") -> dict[type[BaseModel], str]:
    """Return the models of a model's keys, and theirs, with the key under which each is written."""
    found: dict[type[BaseModel], str] = {}
    for name, field in model.model_fields.items():
        for part in _models_in(field.annotation):
            place = f"{stem}{field.alias or name}"
            found |= {part: place} | _inner(part, f"{place}.")
    return found


def config_page() -> str:
    """Return the page of a config's keys, and of those of each backend, task and metric."""
    from ragbench.experiment.config.config import Config
    from ragbench.metrics.bertscore import BertscoreOptions
    from ragbench.models import models
    from ragbench.models.spec import BackendOptions, options_of
    from ragbench.tasks import tasks

    seen: set[type[BaseModel]] = {BackendOptions}
    kinds: dict[type[BaseModel], list[str]] = {}
    for name in tasks.names():
        kinds.setdefault(tasks.get(name).Options, []).append(f"`{name}`")
    lines = [
        "# Keys of a config",
        "",
        "A config is a YAML file in `configs/`, or anywhere else if you give its path. "
        "`--set tasks.0.limit=20` and the environment variable `RAGBENCH_SET_tasks__0__limit=20` "
        "override a key. ragbench refuses an unknown key and names its line.",
        "",
        *_sections({"The config": Config}, seen),
        "## Keys of the backends",
        "",
        "An entry of `models` has these keys beside its own.",
        "",
        *_sections(
            {f"`backend: {name}`": options_of(name) for name in models.names()}, seen, level=3
        ),
        "## Options of the tasks",
        "",
        "The mapping `options` of an entry of `tasks` has these keys.",
        "",
        *_sections({", ".join(names): kind for kind, names in kinds.items()}, seen, level=3),
        "## Options of the metrics",
        "",
        "The mapping `metrics` has these keys below the name of a metric.",
        "",
        *_sections({"`bertscore_f1`": BertscoreOptions}, seen, level=3),
    ]
    return "\n".join(lines)


def indexes_page() -> str:
    """Return the page of the keys of index recipes, by kind."""
    from ragbench.indexes import retrievers

    kinds = {f"`kind: {name}`": retrievers.get(name).Options for name in retrievers.names()}
    lines = [
        "# Keys of an index recipe",
        "",
        "A recipe is a YAML file in `indexes/`. [Add a retriever](../add-a-retriever.md) shows "
        "examples.",
        "",
        *_sections(kinds, set()),
    ]
    return "\n".join(lines)


def corpora_page() -> str:
    """Return the page of the keys of a corpus card, and of the options of each reader."""
    from ragbench.corpora.card import Card
    from ragbench.corpora.readers import readers

    seen: set[type[BaseModel]] = set()
    options = {f"`reader: {name}`": readers.get(name).Options for name in readers.names()}
    lines = [
        "# Keys of a corpus card",
        "",
        "A card is a YAML file in `corpora/`. [Add a corpus](../add-a-corpus.md) shows examples.",
        "",
        *_sections({"The card": Card}, seen),
        "## Options of the readers",
        "",
        "The mapping `options` of a card has these keys.",
        "",
        *_sections(options, seen, level=3),
    ]
    return "\n".join(lines)


def commands_page() -> str:
    """Return the page of all commands, with their arguments and options."""
    from ragbench.cli.main import cli

    lines = ["# Commands", "", *_command(cli, click.Context(cli, info_name="ragbench"))]
    return "\n".join(lines)


def _command(command: click.Command, context: click.Context) -> list[str]:
    lines = [f"## {context.command_path}", "", _help(command), ""]
    lines += ["```", " ".join([context.command_path, *command.collect_usage_pieces(context)])]
    lines += ["```", ""]
    found = [p.get_help_record(context) for p in command.params]
    records = [record for record in found if record and record[1]]
    if records:
        lines += ["| option | meaning |", "| --- | --- |"]
        lines += [f"| `{' '.join(left.split())}` | {_cell(right)} |" for left, right in records]
        lines += [""]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                lines += _command(inner, click.Context(inner, info_name=name, parent=context))
    return lines


def _help(command: click.Command) -> str:
    """Return the help of a command as Markdown; a paragraph marked as fixed is a block."""
    out = []
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            out.append("```\n" + paragraph.removeprefix("\b").strip("\n") + "\n```")
        else:
            out.append(_cell(paragraph.replace("``", "`")))
    return "\n\n".join(out)


PAGES = {
    "config.md": config_page,
    "indexes.md": indexes_page,
    "corpora.md": corpora_page,
    "commands.md": commands_page,
}


def main(folder: Path) -> None:
    """Write every page into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
