"""Whether a built index is still what its manifest says, and still finds what it should."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ragbench.base.checksums import changed
from ragbench.base.devices import Device
from ragbench.base.errors import RagbenchError
from ragbench.indexes import build
from ragbench.indexes.retriever import IndexKind

SAMPLE = 20
WORDS = 12
MIN_ANSWERED = 0.9


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    is_ok: bool
    value: str


@runtime_checkable
class Examined(Protocol):
    """A kind of index that can look at more than what every kind has."""

    def examine(self) -> list[Finding]:
        """Return what the kind itself looked at."""


def check_index(name: str, *, device: Device = "auto") -> list[Finding]:
    """Look at a built index.

    Args:
        name: The index.
        device: Where queries are encoded and searched.

    Returns:
        What was looked at; the first failure to open ends the list.
    """
    manifest = build.read_manifest(name)
    folder = build.folder_of(name)
    wrong = changed(folder, manifest.sums, reread=True)
    findings = [
        Finding("files", not wrong, "; ".join(wrong) or f"{len(manifest.sums)} files as built")
    ]
    try:
        index = build.open_index(name, device=device)
    except RagbenchError as error:
        return [*findings, Finding("opens over its corpus and encoder", False, error.what)]
    findings.append(
        Finding(
            "opens over its corpus and encoder",
            True,
            f"{manifest.corpus['name']}, {len(index.corpus):,} passages",
        )
    )
    digest = build.index_digest(build.recipe_of(manifest), index.corpus)
    findings.append(Finding("digest", digest == manifest.digest, digest[:16]))
    findings.append(_searches(index))
    return findings + (index.examine() if isinstance(index, Examined) else [])


def _searches(index: IndexKind) -> Finding:
    """Search for the beginnings of passages that are spread over the corpus, if they have words."""
    step = max(1, len(index.corpus) // SAMPLE)
    passages = [index.corpus[row] for row in range(0, len(index.corpus), step)][:SAMPLE]
    queries = [" ".join(f"{p.title} {p.text}".split()[:WORDS]) for p in passages]
    queries = [query for query in queries if any(map(str.isalnum, query))]
    answered = sum(bool(hits) for hits in index.search(queries, 10))
    return Finding(
        "searches that have hits",
        answered >= MIN_ANSWERED * len(queries),
        f"{answered} of {len(queries)}",
    )
