"""What an index takes before it is built, with its parts that are missing; and whether it fits."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from ragbench.base import home
from ragbench.base.devices import Device
from ragbench.base.errors import DataError, PrerequisiteError
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.built import index_digest, is_built, read_manifest
from ragbench.indexes.recipe import Footprint, Recipe


def estimate(
    name: str, recipe: Recipe, corpus: Corpus, *, measure: bool, device: Device = "auto"
) -> list[Footprint]:
    """Return what an index and its parts take; parts that are built already take nothing.

    ``measure`` asks for hours as well, which takes some seconds. Kinds whose size is not known are
    left out.
    """
    own = recipe.estimate(name, corpus, measure=measure, device=device)
    found = [] if own is None else [own]
    seen: set[str] = set()
    pending = [(f"{name}: {part.role}", part) for part in recipe.inner()]
    while pending:
        label, part = pending.pop(0)
        pending[:0] = [(f"{label}: {one.role}", one) for one in part.recipe.inner()]
        index = part.index(corpus)
        if index not in seen and not _is_there(index, part.recipe, corpus):
            seen.add(index)
            size = part.recipe.estimate(label, corpus, measure=measure, device=device)
            found += [] if size is None else [size]
    return found


def _is_there(index: str, recipe: Recipe, corpus: Corpus) -> bool:
    try:
        return is_built(index) and read_manifest(index).digest == index_digest(recipe, corpus)
    except DataError:  # to be replaced
        return False


def memory_available() -> int | None:
    """Return the bytes of memory that are free now; None where Linux does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith("MemAvailable:")), "")
    return int(found.split()[1]) * 1024 if found else None


def check_fits(name: str, corpus: Corpus, parts: Sequence[Footprint]) -> None:
    """Refuse a build of a recipe whose parts cannot fit on the disk or into memory.

    Raises:
        PrerequisiteError: There is too little room.
    """
    if not parts:
        return
    wanted = sum(part.build_disk for part in parts)
    free = shutil.disk_usage(home.home()).free
    if wanted > free:
        raise PrerequisiteError(
            f"the index needs about {_gb(wanted)} on disk, and {_gb(free)} are free",
            where=str(home.home() / "indexes"),
            fix="set RAGBENCH_HOME to a larger disk, or choose a smaller type: `ragbench index "
            "estimate` compares them; --anyway builds it all the same",
        )
    memory, most = memory_available(), max(part.build_memory for part in parts)
    if memory is not None and most > memory:
        raise PrerequisiteError(
            f"building the index needs about {_gb(most)} of memory, and {_gb(memory)} are free",
            where=f"recipe {name!r} over {corpus.name!r}, {len(corpus):,} passages",
            fix="choose a smaller type (SQ8, or IVF with PQ): `ragbench index estimate` compares "
            "them; --anyway builds it all the same",
        )


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"
