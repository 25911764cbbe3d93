"""A corpus at a path: the reader that takes it, its columns, and the lengths of its passages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ragbench.base import home
from ragbench.base.errors import DataError, RagbenchError
from ragbench.base.files import read_jsonl
from ragbench.corpora.card import Card
from ragbench.corpora.chunking.chunking import Chunking
from ragbench.corpora.formats.documents import ENDINGS as DOCUMENTS
from ragbench.corpora.formats.tables import ending, header_of
from ragbench.corpora.reader import Located
from ragbench.corpora.readers import readers
from ragbench.tasks.files.columns import normal
from ragbench.tasks.files.rows import file_rows

# Usual names of columns, without case, blanks and punctuation; the first that is there is taken.
USUAL = {
    "id": (
        *("id", "docid", "documentid", "passageid", "noteid", "pmid", "pmcid", "uid", "rowid"),
        *("visit", "key", "code", "number", "no"),
    ),
    "text": (
        *("text", "content", "contents", "body", "abstract", "passage", "note", "notetext"),
        *("document", "letter", "report", "description", "chunk"),
    ),
    "title": ("title", "heading", "name", "subject", "topic"),
}
DOCUMENT = tuple(DOCUMENTS)
SAMPLE = {"folder": 60}  # documents to read of each reader; a PDF takes long
MOST = 2000
CHARACTERS = 4  # per token, about
LONG = 600  # tokens from which documents are cut
CHUNK = 1200  # characters of a chunk, about 300 tokens
KEYS = 20  # lines whose fields are looked at


@dataclass(frozen=True, slots=True)
class FoundCorpus:
    """A corpus that was recognised.

    Attributes:
        name: Its name.
        path: Its file or folder; None for one that has a card.
        card: What describes it.
        seen: Number of documents that were read.
        is_whole: Whether these are all.
        half: Tokens that half of the documents do not exceed, about.
        most: Tokens that nine in ten do not exceed, about.
        ids: Ids of these documents; None where they were not read.
        licence: Terms that its card states; empty if it states none.
        is_restricted: Whether its card says that a data-use agreement covers it.
    """

    name: str
    path: Path | None
    card: Card | None
    seen: int = 0
    is_whole: bool = False
    half: int = 0
    most: int = 0
    ids: frozenset[str] | None = None
    licence: str = ""
    is_restricted: bool = False


def columns_of(path: Path) -> list[str]:
    """Return the columns of a table, or the fields of the first lines of JSON; else none."""
    if ending(path) is not None:
        return header_of(path)[0]
    name = path.name.lower()
    if name.endswith((".jsonl", ".jsonl.gz")):
        rows = (row for _, row in islice(read_jsonl(path), KEYS))
    elif name.endswith(".json") and path.open("rb").read(64).lstrip()[:1] == b"[":
        rows = (row for _, row in islice(file_rows(path), KEYS))
    else:
        return []
    return list(dict.fromkeys(key for row in rows for key in row))


def matched(names: Sequence[str]) -> dict[str, str]:
    """Return the columns of id, text and title with usual names."""
    plain = {normal(name): name for name in reversed(names)}
    found = {}
    for field, usual in USUAL.items():
        if hit := next((plain[name] for name in usual if name in plain), None):
            found[field] = hit
    return found


def corpus_file(path: Path, names: Sequence[str]) -> FoundCorpus | None:
    """Return the corpus of a table or of JSON lines with a column of texts; None without one.

    Raises:
        DataError: It has texts and no ids, or its reader refuses it.
    """
    found = matched(names)
    if "text" not in found or path.name.lower().endswith(".json"):
        return None
    if "id" not in found:
        raise DataError(
            f"the texts in column {found['text']!r} have no column of ids",
            where=str(path),
            fix=f"add a column id; the columns are {', '.join(names)}; or name one: "
            + naming(path),
        )
    is_table = ending(path) is not None
    options: dict[str, Any] = {"id_field": found["id"], "text_field": found["text"]}
    if "title" in found:
        options["title_field"] = found["title"]
    if is_table and (shape := header_of(path)[1]).delimiter:
        options["delimiter"] = shape.delimiter
    return corpus(path, "tabular" if is_table else "jsonl", options)


def naming(path: Path) -> str:
    """Return the commands for a corpus whose columns have other names."""
    add = f"ragbench corpus add {shlex.quote(str(path))} --name CORPUS"
    return (
        f"`{add} --id-field NAME --text-field NAME`, then `ragbench init QUESTIONS --corpus CORPUS`"
    )


def corpus_folder(path: Path, *, documents: bool) -> FoundCorpus | None:
    """Return the corpus of a folder whose layout a reader knows; None for any other.

    Args:
        path: The folder.
        documents: Whether texts, PDFs and the like in it are a corpus.
    """
    reader = _layout(path)
    return (
        None
        if reader is None or (reader == "folder" and not documents)
        else corpus(path, reader, {})
    )


def _layout(path: Path) -> str | None:
    """Return the reader that knows the layout of a folder."""
    names = [file.name.lower() for file in path.iterdir() if file.is_file()]
    if {"corpus.jsonl", "corpus.jsonl.gz"} & set(names):
        return "beir"
    if any((path / "chunk").glob("*.jsonl*")):
        return "snippets"
    if any(re.fullmatch(r"pubmed\d+n\d+\.xml(\.gz)?", name) for name in names):
        return "pubmed"
    if any(name.endswith(".nxml") for name in names):
        return "nxml"
    return "folder" if any(name.endswith(DOCUMENT) for name in names) else None


def reader_of(path: Path) -> str:
    """Return the name of the reader for a file or folder; ``jsonl`` where nothing shows another."""
    if path.is_dir():
        tables = any(ending(file) for file in path.iterdir())
        lines = any(file.name.lower().endswith((".jsonl", ".jsonl.gz")) for file in path.iterdir())
        layout = _layout(path)
        if layout not in (None, "folder"):
            return str(layout)
        return "tabular" if tables else "jsonl" if lines else layout or "jsonl"
    if ending(path) is not None:
        return "tabular"
    name = path.name.lower()
    return "nxml" if name.endswith(".nxml") else "folder" if name.endswith(DOCUMENT) else "jsonl"


def usual_columns(reader: str, path: Path) -> dict[str, Any]:
    """Return the options of a reader for columns of a file that have usual names.

    None where ``id`` and ``text`` are there already, or the file cannot be read, which its reader
    reports.
    """
    if reader not in ("tabular", "jsonl") or not path.is_file():
        return {}
    try:
        names = columns_of(path)
        delimiter = header_of(path)[1].delimiter if reader == "tabular" else None
    except RagbenchError:
        return {}
    found = matched(names)
    options = {f"{f}_field": found[f] for f in ("id", "text") if f in found and f not in names}
    return options | ({"delimiter": delimiter} if delimiter else {})


def corpus(path: Path, reader: str, options: dict[str, Any]) -> FoundCorpus:
    """Return a corpus with the lengths of its first documents; long ones will be cut.

    Raises:
        RagbenchError: The reader refuses a document, or needs a package.
    """
    kind = readers.get(reader)
    most = SAMPLE.get(reader, MOST)
    made = kind(path, kind.Options.model_validate(options))
    made.sources()  # says at once what is missing
    found = [e.passage for e in islice(made.read(), most + 1) if isinstance(e, Located)]
    sizes = [len(p.title) + len(p.text) for p in found[:most]]
    half, long = (int(np.quantile(sizes, q)) // CHARACTERS if sizes else 0 for q in (0.5, 0.9))
    chunking = Chunking(chunker="sentences", size=CHUNK) if long > LONG else None
    card = Card(reader=reader, path=_from_cards(path), options=options, chunking=chunking)
    return FoundCorpus(
        name=name_for(path),
        path=path,
        card=card,
        seen=len(sizes),
        is_whole=len(found) <= most,
        half=half,
        most=long,
        ids=frozenset(i for p in found for i in (p.id, p.doc_id)),
    )


def _from_cards(path: Path) -> str:
    """Return a path as a card in the home folder names it."""
    whole = path.resolve()
    inside = whole.is_relative_to(home.home())
    return f"../{whole.relative_to(home.home())}" if inside else str(whole)


def name_for(path: Path) -> str:
    """Return a name for the corpus of a path that no bundled card has."""
    found = slug(path.name.partition(".")[0] if path.is_file() else path.resolve().name)
    bundled = (home.bundled() / "corpora" / f"{found}.yaml").exists()
    return f"my-{found}" if bundled else found


def slug(text: str) -> str:
    """Return a text as a legal name."""
    found = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")
    return re.sub(r"\.{2,}", ".", found)[:60].strip("-._") or "mine"
