"""What the tests of corpora share: real sources with their cards in a fresh home."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest


@pytest.fixture
def add_corpus(home: Path) -> Callable[..., Path]:
    """Return a function that writes ``sources/FILE`` and the card ``corpora/NAME.yaml``."""

    def add(
        name: str,
        content: Sequence[Mapping[str, object]] | bytes,
        file: str = "notes.jsonl",
        **options: object,
    ) -> Path:
        source = home / "sources" / file
        source.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, bytes):
            content = b"".join(json.dumps(line).encode() + b"\n" for line in content)
        source.write_bytes(gzip.compress(content) if source.suffix == ".gz" else content)
        card = home / "corpora" / f"{name}.yaml"
        card.parent.mkdir(exist_ok=True)
        card.write_text(
            f"title: Ward notes\nreader: jsonl\npath: ../sources/{file}\n"
            "licence: CC0\nsource: invented\ndata_use: restricted\n"
            f"options: {json.dumps(options)}\n",
            encoding="utf-8",
        )
        return source

    return add
