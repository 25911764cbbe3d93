"""Whether a built index is still what its manifest says, and still finds what it should."""

from __future__ import annotations

from ragbench.base.checksums import changed
from ragbench.base.devices import Device
from ragbench.base.errors import DataError, RagbenchError
from ragbench.indexes.built import (
    IndexManifest,
    folder_of,
    index_digest,
    open_index,
    read_manifest,
    recipe_of,
)
from ragbench.indexes.retriever import Examined, Finding, IndexKind

SAMPLE = 20
WORDS = 12
MIN_ANSWERED = 0.9


def check_index(name: str, *, device: Device = "auto") -> list[Finding]:
    """Return what was looked at of a built index, after what was looked at of its parts.

    Where it does not open, that ends the list.
    """
    manifest = read_manifest(name)
    found = [one for part in manifest.parts for one in _of_part(part.name, device)]
    return [*found, *_own(manifest, device)]


def _of_part(name: str, device: Device) -> list[Finding]:
    try:
        found = check_index(name, device=device)
    except DataError:  # it has no manifest: the index that it is a part of does not open
        return []
    return [Finding(f"{name}: {one.what}", one.is_ok, one.value) for one in found]


def _own(manifest: IndexManifest, device: Device) -> list[Finding]:
    name = manifest.name
    folder = folder_of(name)
    wrong = changed(folder, manifest.sums, reread=True)
    findings = [
        Finding("files", not wrong, "; ".join(wrong) or f"{len(manifest.sums)} files as built")
    ]
    try:
        index = open_index(name, device=device)
    except RagbenchError as error:
        return [*findings, Finding("opens over its corpus and encoder", False, error.what)]
    findings.append(
        Finding(
            "opens over its corpus and encoder",
            True,
            f"{manifest.corpus.name}, {len(index.corpus):,} passages",
        )
    )
    digest = index_digest(recipe_of(manifest), index.corpus)
    findings.append(Finding("digest", digest == manifest.digest, digest[:16]))
    findings.append(_searches(index))
    return findings + (index.examine() if isinstance(index, Examined) else [])


def _searches(index: IndexKind) -> Finding:
    """Search for the first words of passages that are spread over the corpus."""
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
