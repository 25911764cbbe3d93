"""Writes the cards and files of corpora, and of unions of them, for the tests of several rooms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path


def write_corpus(home: Path, name: str, ids: Sequence[str], **keys: object) -> None:
    """Write a card and its file in the home folder."""
    (home / "corpora").mkdir(exist_ok=True)
    lines = [{"id": i, "text": f"{i} of {name}", "title": name.upper()} for i in ids]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (home / "corpora" / f"{name}.jsonl").write_text(text, encoding="utf-8")
    card = {"reader": "jsonl", "path": f"{name}.jsonl", "options": {"title_field": "title"}, **keys}
    (home / "corpora" / f"{name}.yaml").write_text(json.dumps(card), encoding="utf-8")


def write_texts(home: Path, name: str, texts: Mapping[str, str]) -> None:
    """Write a corpus of these texts by id, without titles."""
    (home / "corpora").mkdir(exist_ok=True)
    lines = [{"id": i, "text": text} for i, text in texts.items()]
    (home / "corpora" / f"{name}.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
    )
    card = {"reader": "jsonl", "path": f"{name}.jsonl"}
    (home / "corpora" / f"{name}.yaml").write_text(json.dumps(card), encoding="utf-8")


def write_union(home: Path, name: str, corpora: Sequence[str], **keys: object) -> None:
    """Write the card of a union."""
    card = {"reader": "union", "options": {"corpora": list(corpora)}, **keys}
    (home / "corpora" / f"{name}.yaml").write_text(json.dumps(card), encoding="utf-8")
