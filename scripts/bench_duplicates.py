"""Near duplicates: ragbench's own MinHash against rensa and datasketch, time and peak memory.

    python scripts/bench_duplicates.py PASSAGES.jsonl[.gz] [--sizes 100000,1000000] [--folder F]

Each engine runs in a process of its own over the same file: synthetic passages of about 100 words,
one in twenty of them a repeat of an earlier one with up to three words replaced. All engines
share the reading, the exact digests, the shingles and the check of the true similarity. Only what
finds the candidates differs: MinHash values and the table of their bands, with the same numbers
of bands and rows. `exact` looks for no near duplicates, and is the floor. A library that is not
installed is skipped.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from bench_common import in_process, source_words, synthetic

from ragbench.base.records import Passage
from ragbench.corpora.duplicates import duplicates
from ragbench.corpora.duplicates.minhash import bands_for
from ragbench.corpora.reader import Located, ReaderOptions, Skipped

EVERY = 20
THRESHOLD = 0.9
LIBRARIES = ("rensa", "datasketch")


class Lines:
    """Reads the passages of the benchmark's file."""

    Options: ClassVar[type[ReaderOptions]] = ReaderOptions

    def __init__(self, path: Path | None, options: ReaderOptions) -> None:
        self.path = path

    def sources(self) -> list[Path]:
        """Return no file: none is compared."""
        return []

    def read(self) -> Iterator[Located | Skipped]:
        """Yield the passages."""
        with Path(str(self.path)).open(encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                yield Located(Passage(str(number), str(number), "", line), str(number))


class Rensa:
    """Stands in for ``Bands``."""

    def __init__(self, threshold: float) -> None:
        import rensa

        self._kind = rensa.RMinHash
        bands, rows = bands_for(threshold)
        self._size = bands * rows
        self._table = rensa.RMinHashLSH(threshold, self._size, bands)

    def sketch(self, words: np.ndarray, starts: np.ndarray) -> tuple[list[Any], list[Any]]:
        """Return the MinHash of each text."""
        raw = words.tobytes()
        tokens = [raw[i : i + 8] for i in range(0, len(raw), 8)]
        sets = [tokens[a:b] for a, b in pairwise(starts)]
        return self._kind.from_token_sets(sets, self._size, 17), [None] * len(sets)

    def candidates(self, key: Any, _: None) -> np.ndarray:
        """Return the numbers of the texts that share a band."""
        return np.sort(np.array(self._table.query(key), dtype=np.int64))

    def add(self, key: Any, _: None, number: int) -> None:
        """Add a text."""
        self._table.insert(number, key)


class Datasketch:
    """Stands in for ``Bands``."""

    def __init__(self, threshold: float) -> None:
        import datasketch

        self._bulk = datasketch.MinHash.bulk
        bands, rows = bands_for(threshold)
        self._size = bands * rows
        self._table = datasketch.MinHashLSH(
            threshold, num_perm=self._size, params=(bands, rows), prepickle=False
        )

    def sketch(self, words: np.ndarray, starts: np.ndarray) -> tuple[list[Any], list[Any]]:
        """Return the MinHash of each text."""
        low = (words & np.uint64(0xFFFFFFFF)).tolist()
        sets = [low[a:b] for a, b in pairwise(starts)]
        return self._bulk(sets, num_perm=self._size, seed=17, hashfunc=int), [None] * len(sets)

    def candidates(self, key: Any, _: None) -> np.ndarray:
        """Return the numbers of the texts that share a band."""
        return np.sort(np.array(self._table.query(key), dtype=np.int64))

    def add(self, key: Any, _: None, number: int) -> None:
        """Add a text."""
        self._table.insert(number, key)


def write_passages(path: Path, source: Path, n: int) -> None:
    """Write n passages, one a line; every twentieth repeats one with 0 to 3 words replaced."""
    generator = np.random.default_rng(2)
    common, _ = source_words(source)
    kept: list[str] = []
    with path.open("w", encoding="utf-8") as handle:
        for number, passage in enumerate(synthetic(source, n)):
            text = passage["text"]
            if number % EVERY == EVERY - 1:
                words = kept[int(generator.integers(len(kept)))].split()
                for place in generator.integers(0, len(words), generator.integers(0, 4)):
                    words[place] = common[int(generator.integers(len(common)))]
                text = " ".join(words)
            elif number % 7 == 0:
                kept.append(text)
            handle.write(text + "\n")


def deduplicate(path: str, engine: str) -> dict[str, Any]:
    """Read all passages through the search; return seconds and what was dropped."""
    stand_ins = {"rensa": Rensa, "datasketch": Datasketch}
    duplicates.Bands = stand_ins.get(engine, duplicates.Bands)  # type: ignore[assignment,misc]
    card = duplicates.Duplicates(near="off" if engine == "exact" else "drop", threshold=THRESHOLD)

    def passages() -> Iterator[Located | Skipped]:
        reader = Lines(Path(path), ReaderOptions())
        yield from duplicates.Deduplicated(reader, card).read()

    next(passages())  # compiles
    started, spent = time.perf_counter(), time.process_time()
    dropped = [e.reason for e in passages() if isinstance(e, Skipped)]
    return {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - spent,
        "exact": dropped.count(duplicates.EXACT),
        "near": dropped.count(duplicates.NEAR),
    }


CODE = """
sys.path.insert(0, here)
from bench_duplicates import deduplicate
result.update(deduplicate(path, engine))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("passages", type=Path)
    parser.add_argument("--sizes", default="100000,1000000")
    parser.add_argument("--engines", default="exact,ours," + ",".join(LIBRARIES))
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="bench-duplicates-"))
    engines = [e for e in arguments.engines.split(",") if e not in LIBRARIES or find_spec(e)]
    versions = {e: importlib.metadata.version(e) for e in engines if e in LIBRARIES}
    print(json.dumps({"python": sys.version.split()[0], **versions}))
    for n in map(int, arguments.sizes.split(",")):
        path = folder / f"{n}.txt"
        if not path.is_file():
            write_passages(path, arguments.passages, n)
        found = {}
        for engine in engines:
            here = str(Path(__file__).parent)
            found[engine] = in_process(CODE, path=str(path), engine=engine, here=here)
            one, ours = found[engine], found.get("ours")
            ratio = ""
            if ours and engine in LIBRARIES:
                time_ratio = one["cpu"] / ours["cpu"]
                ratio = f"; {time_ratio:.2f} x the processor time, "
                ratio += f"{one['peak_mb'] / ours['peak_mb']:.2f} x the memory of ours"
            print(
                f"{n:>9,} {engine:<10} {one['seconds']:8.1f} s, "
                f"{one['cpu']:8.1f} s of the processor, {one['peak_mb']:8,.0f} MB; "
                f"dropped {one['exact']:,} exact and {one['near']:,} near{ratio}",
                flush=True,
            )


if __name__ == "__main__":
    main()
