"""Near duplicates: the search that ragbench uses (rensa) against datasketch, time and memory.

    python scripts/bench_duplicates.py PASSAGES.jsonl[.gz] [--sizes 100000,1000000] [--folder F]

Each engine runs in a process of its own over the same file: synthetic passages of about 100 words,
one in twenty of them a repeat of an earlier one with up to three words replaced. All engines
share the reading, the exact digests, the shingles and the check of the true similarity. Only what
finds the candidates differs: MinHash values and the table of their bands, with the same numbers
of bands and rows. `exact` looks for no near duplicates, and is the floor. datasketch is skipped if
it is not installed. Ratios are of processor time, which other work on the machine changes less.
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
LIBRARIES = ("datasketch",)


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


class Datasketch:
    """The interface of ``Bands`` over datasketch."""

    def __init__(self, threshold: float) -> None:
        import datasketch

        self._bulk = datasketch.MinHash.bulk
        bands, rows = bands_for(threshold)
        self._size = bands * rows
        self._table = datasketch.MinHashLSH(
            threshold, num_perm=self._size, params=(bands, rows), prepickle=False
        )

    def sketch(self, hashes: np.ndarray, starts: np.ndarray) -> list[Any]:
        """Return the MinHash of each text."""
        low = (hashes & np.uint64(0xFFFFFFFF)).tolist()
        sets = [low[start:end] for start, end in pairwise(starts)]
        return self._bulk(sets, num_perm=self._size, seed=17, hashfunc=int)

    def candidates(self, sketch: Any) -> list[int]:
        """Return the numbers of the texts that share a band."""
        return sorted(self._table.query(sketch))

    def add(self, sketch: Any, number: int) -> None:
        """Add a text."""
        self._table.insert(number, sketch)


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
    if engine == "datasketch":
        duplicates.Bands = Datasketch  # type: ignore[assignment,misc]
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
    parser.add_argument("--engines", default="exact,rensa,datasketch")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="bench-duplicates-"))
    engines = [e for e in arguments.engines.split(",") if e not in LIBRARIES or find_spec(e)]
    versions = {e: importlib.metadata.version(e) for e in engines if e != "exact"}
    print(json.dumps({"python": sys.version.split()[0], **versions}))
    for n in map(int, arguments.sizes.split(",")):
        path = folder / f"{n}.txt"
        if not path.is_file():
            write_passages(path, arguments.passages, n)
        found = {}
        for engine in engines:
            here = str(Path(__file__).parent)
            found[engine] = in_process(CODE, path=str(path), engine=engine, here=here)
            one, ours = found[engine], found.get("rensa")
            ratio = ""
            if ours and engine in LIBRARIES:
                ratio = f"; {one['cpu'] / ours['cpu']:.2f} x the processor time, "
                ratio += f"{one['peak_mb'] / ours['peak_mb']:.2f} x the memory of rensa"
            print(
                f"{n:>9,} {engine:<10} {one['seconds']:8.1f} s, "
                f"{one['cpu']:8.1f} s of the processor, {one['peak_mb']:8,.0f} MB; "
                f"dropped {one['exact']:,} exact and {one['near']:,} near{ratio}",
                flush=True,
            )


if __name__ == "__main__":
    main()
