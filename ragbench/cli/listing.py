"""``ragbench list``: lists what is available."""

from __future__ import annotations

from typing import Any

import click

from ragbench.cli.output import emit_json, emit_table

REGISTRIES = {
    "tasks": "ragbench.tasks:tasks",
    "backends": "ragbench.models:models",
    "reply-readers": "ragbench.tasks.replies:reply_readers",
    "metrics": "ragbench.metrics:metrics",
    "readers": "ragbench.corpora.readers:readers",
    "chunkers": "ragbench.corpora.chunking:chunkers",
    "retrievers": "ragbench.indexes:retrievers",
    "arms": "ragbench.experiment.stages.arms:arms",
}
FILES = ("corpora", "indexes", "configs")
MODELS = "models"
TASKS = "tasks"
KINDS = (*FILES, MODELS, *REGISTRIES)
# What `list tasks` shows of a task.
STATED = (
    *("licence", "data_use", "scoring", "metrics", "cluster_unit", "modes"),
    *("shots", "query", "file", "access"),
)


@click.command(name="list", help=f"List what is available. WHAT is one of: {', '.join(KINDS)}.")
@click.argument("what", type=click.Choice(KINDS), metavar="WHAT")
@click.option("--where", is_flag=True, help="Show the file and line of each entry.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(what: str, where: bool, as_json: bool) -> None:
    """List one kind of thing; ``indexes`` are recipes and built indexes."""
    if what == MODELS:
        rows = _cards()
    elif what == TASKS and as_json:
        emit_json(_tasks(where))
        return
    elif what == TASKS:
        rows = [_short(task) for task in _tasks(where)]
    else:
        rows = _registered(what, where) if what in REGISTRIES else _files(what)
    if not where:
        rows = [{k: v for k, v in row.items() if k != "where"} for row in rows]
    if as_json:
        emit_json(rows)
    elif rows:
        emit_table(list(rows[0]), [list(row.values()) for row in rows])


def _registered(what: str, where: bool) -> list[dict[str, str]]:
    from importlib import import_module

    from ragbench.base.registry import Registry

    module, _, name = REGISTRIES[what].partition(":")
    registry: Registry[object] = getattr(import_module(module), name)
    return [
        {
            "name": key,
            "summary": entry.summary,
            "where": registry.find(key) if where else "",
        }
        for key, entry in registry.items()
    ]


def _tasks(where: bool) -> list[dict[str, Any]]:
    """Return the facts of each task that do not need its files."""
    from dataclasses import asdict

    from ragbench.tasks import tasks
    from ragbench.tasks.task import about

    rows = []
    for row in _registered(TASKS, where):
        stated = asdict(about(tasks.get(row["name"])))
        kept = {key: value for key, value in row.items() if where or key != "where"}
        rows.append(kept | {name: stated[name] for name in STATED})
    return rows


def _short(task: dict[str, Any]) -> dict[str, str]:
    """Return the columns of the table of tasks."""
    return {
        "name": task["name"],
        "data use": task.get("data_use", ""),
        "scoring": task.get("scoring", ""),
        "cluster": task.get("cluster_unit") or "",
        "modes": " ".join(task.get("modes", ())),
        "file": task.get("file", "").partition(" ")[0],
        "where": task.get("where", ""),
    }


def _cards() -> list[dict[str, str]]:
    from ragbench.base.yamlfile import load
    from ragbench.models.cards import CARDS, cards

    lines = load(CARDS).lines
    return [
        {
            "name": name,
            "id or path": card.reference,
            "kind": card.kind,
            "base": card.base or "",
            "parameters": f"{card.parameters_b:g} B",
            "context": f"{card.context_tokens:,}",
            "chat template": card.chat_template,
            "licence": card.licence + (", gated" if card.gated else ""),
            "from": card.source,
            "verified": "yes" if card.verified else "no",
            "note": card.note,
            "where": f"{CARDS}:{lines[(name,)]}",
        }
        for name, card in cards().items()
    ]


def _files(what: str) -> list[dict[str, str]]:
    from ragbench.base.home import home, yaml_names
    from ragbench.base.yamlfile import load

    rows = []
    for name, path in yaml_names(what):
        about = load(path).value
        summary = str(about.get("title") or about.get("description") or "")
        if what == "corpora":
            built = (home() / "corpora" / name / "manifest.json").is_file()
            rows.append(_row(name, "built" if built else "not built", summary, str(path)))
        else:
            rows.append(_row(name, "recipe" if what == "indexes" else "config", summary, str(path)))
    if what == "indexes":
        rows += [
            _row(path.parent.name, "built", "", str(path.parent))
            for path in sorted((home() / "indexes").glob("*/manifest.json"))
        ]
    return rows


def _row(name: str, state: str, summary: str, where: str) -> dict[str, str]:
    return {"name": name, "state": state, "summary": summary, "where": where}
