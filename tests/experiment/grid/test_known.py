"""What a config names and does not exist is refused by its line, before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.known import check_known
from tests.unions import write_texts

CONFIG = """\
name: x
indexes: {lex: {recipe: bm25, corpus: ward}}
models: [{name: m, backend: scripted}]
tasks: [{name: mcq, options: {path: q.jsonl}}]
arms: [closed-book, {retriever: lex, k: 2}]
corpora: [ward]
"""


@pytest.mark.parametrize(
    ("old", "new", "what", "near", "line"),
    [
        ("name: mcq", "name: mqc", "there is no task 'mqc'", "did you mean 'mcq'", 4),
        ("path: q.jsonl", "paht: q.jsonl", "there is no key 'paht'", "did you mean 'path'", 4),
        (
            "name: mcq",
            "name: mcq, metrics: [rouge]",
            "there is no 'rouge' among the metrics",
            "rougeL",
            4,
        ),
        ("name: x", "name: x\nmode: mirage", "has no mode 'mirage'", "known: correct", 2),
        ("recipe: bm25", "recipe: bm26", "there is no index recipe 'bm26'", "mean 'bm25'", 2),
        ("corpus: ward", "corpus: wrad", "there is no corpus 'wrad'", "mean 'ward'", 2),
        ("corpus: ward", "corpus: [ward, wrad]", "there is no corpus 'wrad'", "'ward'", 2),
        ("corpora: [ward]", "corpora: [text]", "there is no corpus 'text'", "'textbooks'", 6),
    ],
)
def test_an_unknown_name_is_refused(
    home: Path, old: str, new: str, what: str, near: str, line: int
) -> None:
    write_texts(home, "ward", {"a": "b"})
    path = home / "x.yaml"
    path.write_text(CONFIG)
    check_known(*load_config(str(path)))
    assert old in CONFIG
    path.write_text(CONFIG.replace(old, new))
    with pytest.raises(UsageError) as caught:
        check_known(*load_config(str(path)))
    assert what in caught.value.what
    assert near in caught.value.fix
    assert caught.value.where.startswith(f"{path}:{line}")
