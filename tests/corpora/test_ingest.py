"""Parts of a corpus in the making; the kill itself is tested with the build."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragbench.base.errors import DataError
from ragbench.base.progress import Progress
from ragbench.base.records import Passage
from ragbench.corpora import ingest
from ragbench.corpora.reader import Located, ReaderOptions, Skipped


class Listed:
    """A reader of what it is given, file by file; it fails after some entries."""

    Options: ClassVar[type[ReaderOptions]] = ReaderOptions

    def __init__(self, files: list[list[bool]], *, stop_after: int | None = None) -> None:
        self.files = files
        self.left = stop_after
        self.opened: list[str] = []

    def sources(self) -> list[Path]:
        return [Path(f"{number}") for number in range(len(self.files))]

    def read_file(self, path: Path) -> Iterator[Located | Skipped]:
        self.opened.append(path.name)
        for place, is_kept in enumerate(self.files[int(path.name)]):
            if self.left is not None:
                self.left -= 1
                if self.left < 0:
                    raise KeyboardInterrupt
            where = f"{path}:{place}"
            if is_kept:
                name = f"{path}-{place}"
                yield Located(Passage(name, f"{path}-{place // 2}", "", f"text {name}"), where)
            else:
                yield Skipped("empty", where, detail="why")

    def read(self) -> Iterator[Located | Skipped]:
        for path in self.sources():
            yield from self.read_file(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.lists(st.lists(st.booleans(), max_size=9), min_size=1, max_size=4).filter(
        lambda files: any(map(any, files))
    ),
    stop=st.integers(0, 30),
)
def test_a_stopped_ingest_goes_on_to_the_same_end(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[bool]], stop: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest, "PART_BATCHES", 1)
        whole, cut = (tmp_path_factory.mktemp(name) for name in ("whole", "cut"))
        facts = ingest.ingest(Listed(files), whole, Progress("", None), batch_rows=2)
        try:
            reader = Listed(files, stop_after=stop)
            ingest.ingest(reader, cut, Progress("", None), batch_rows=2)
        except KeyboardInterrupt:
            done = len(list((cut / "parts").glob("*.json")))
            reader = Listed(files)
            assert ingest.ingest(reader, cut, Progress("", None), batch_rows=2) == facts
            if done:  # no file is opened that was done before the last part
                kept = [place for place, file in enumerate(files) for is_kept in file if is_kept]
                assert int(reader.opened[0]) == kept[2 * done - 1]
    for path in whole.iterdir():
        assert (cut / path.name).read_bytes() == path.read_bytes()
    flat = [is_kept for file in files for is_kept in file]
    assert facts["n_passages"] == sum(flat)
    assert facts["n_docs"] == len(
        {(f, p // 2) for f, file in enumerate(files) for p, kept in enumerate(file) if kept}
    )
    if not all(flat):
        with gzip.open(whole / "skipped.jsonl.gz", "rt", encoding="utf-8") as listing:
            lines = [json.loads(line) for line in listing]
        assert len(lines) == facts["skipped"]["empty"] == len(flat) - sum(flat)
        assert set(lines[0]) == {"reason", "where", "detail"}


@pytest.mark.parametrize("harm", ["cut", "no UTF-8", "another note", "no counts"])
def test_a_torn_part_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    monkeypatch.setattr(ingest, "PART_BATCHES", 1)
    files = [[True] * 9]
    whole = ingest.ingest(Listed(files), tmp_path / "whole", Progress("", None), batch_rows=2)
    with pytest.raises(KeyboardInterrupt):
        reader = Listed(files, stop_after=7)
        ingest.ingest(reader, tmp_path / "cut", Progress("", None), batch_rows=2)
    part = tmp_path / "cut" / "parts" / "000001.arrow"
    note = part.with_suffix(".json")
    facts = json.loads(note.read_text("utf-8"))
    if harm == "cut":
        part.write_bytes(part.read_bytes()[:100])
    elif harm == "no UTF-8":
        part.write_bytes(part.read_bytes().replace(b"text", b"te\xff\xff"))
    elif harm == "another note":
        note.write_text(json.dumps(facts | {"n_passages": 5}), "utf-8")
    else:
        note.write_text(json.dumps({k: v for k, v in facts.items() if k != "noted"}), "utf-8")
    again = ingest.ingest(Listed(files), tmp_path / "cut", Progress("", None), batch_rows=2)
    assert again == whole


@pytest.mark.parametrize("passage", [Passage("a", "a", "", "x\0"), Passage("a", "a", "\0", "x")])
def test_no_reader_brings_a_nul_in(passage: Passage) -> None:
    with pytest.raises(DataError, match="document 'a' holds a NUL character") as caught:
        ingest.row_of(Located(passage, "benchmark_v5.json, p, a"))
    assert caught.value.where == "benchmark_v5.json, p, a"
