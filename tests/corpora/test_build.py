"""Building: counts, digests, refusals with their places, and nothing half-written."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import ragbench
from ragbench.base.errors import DataError, UsageError
from ragbench.base.files import locked
from ragbench.corpora import build
from ragbench.corpora.build import build_corpus
from ragbench.corpora.card import load_card
from ragbench.corpora.ingest import ingest
from ragbench.corpora.open import open_corpus
from ragbench.corpora.store import StoredCorpus

AddCorpus = Callable[..., Path]
NOTES: list[dict[str, object]] = [
    {"id": "d2", "title": "Cough", "text": "Cough for two weeks.", "year": 2001},
    {"id": "d1", "title": "Heat", "text": "Fever é", "year": 1999},
    {"id": "d10", "text": "Ménière's disease\nwith vertigo"},
]


def left_over(home: Path) -> list[str]:
    """Return what lies under ``corpora/`` beside cards and locks."""
    found = (home / "corpora").rglob("*")
    return sorted(p.name for p in found if p.suffix not in (".yaml", ".lock"))


def expected_digest(rows: list[tuple[str, str, str, str, str]]) -> str:
    """Return the digest by its definition: each value after its length in eight bytes."""
    parts = [b"ragbench corpus 1"]
    for row in rows:
        for value in row:
            data = value.encode()
            parts += [len(data).to_bytes(8, "big"), data]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def documents(count: int) -> list[dict[str, str]]:
    return [{"id": f"d{i}", "text": f"text {i}"} for i in range(count)]


# -- what is built --------------------------------------------------------------------------


def test_the_manifest_of_a_small_corpus(home: Path, add_corpus: AddCorpus) -> None:
    source = add_corpus("notes", NOTES, title_field="title", meta_fields=["year"])
    corpus = build_corpus("notes")
    raw = json.loads((home / "corpora" / "notes" / "manifest.json").read_text(encoding="utf-8"))
    stat = source.stat()
    seal = raw.pop("seal")
    rest = json.dumps(raw, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert seal == hashlib.sha256(rest.encode("utf-8")).hexdigest()
    assert raw.pop("versions")["ragbench"] == ragbench.__version__
    assert raw.pop("built_at").endswith("+00:00")
    assert raw.pop("members") is None  # it is no union
    assert raw.pop("origin") is None  # and comes from no hub
    assert raw.pop("noted") == {}
    assert raw.pop("changed") == {}
    built = home / "corpora" / "notes"
    assert raw.pop("sums") == {
        name: {
            "size": (built / name).stat().st_size,
            "sha256": hashlib.sha256((built / name).read_bytes()).hexdigest(),
        }
        for name in ("id_order.npy", "id_rank.npy", "passages.arrow")
    }
    assert raw == {
        "name": "notes",
        "digest": expected_digest(
            [
                ("d2", "d2", "Cough", "Cough for two weeks.", '{"year": "2001"}'),
                ("d1", "d1", "Heat", "Fever é", '{"year": "1999"}'),
                ("d10", "d10", "", "Ménière's disease\nwith vertigo", "{}"),
            ]
        ),
        "card_digest": load_card("notes")[0].digest(),
        "n_passages": 3,
        "n_docs": 3,
        "n_characters": 20 + 7 + 30,
        "batch_rows": 4096,
        "skipped": {},
        "licence": "CC0",
        "data_use": "restricted",
        "title": "Ward notes",
        "description": "",
        "source": "invented",
        "reader": "jsonl",
        "files": [
            {
                "name": "notes.jsonl",
                "size": stat.st_size,
                "mtime_ns": stat.st_mtime_ns,
                "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
            }
        ],
        "chunking": None,
        "format": 1,
    }
    assert corpus.digest == raw["digest"]
    assert left_over(home) == [
        ".verified.json",
        "id_order.npy",
        "id_rank.npy",
        "manifest.json",
        "notes",
        "passages.arrow",
    ]


def test_the_digest_bytes_written_out(add_corpus: AddCorpus) -> None:
    add_corpus("one", [{"id": "d1", "text": "Fever é"}])
    stream = (
        b"ragbench corpus 1"
        b"\0\0\0\0\0\0\0\x02d1"
        b"\0\0\0\0\0\0\0\x02d1"
        b"\0\0\0\0\0\0\0\x00"
        b"\0\0\0\0\0\0\0\x08Fever \xc3\xa9"
        b"\0\0\0\0\0\0\0\x02{}"
    )
    assert build_corpus("one").digest == hashlib.sha256(stream).hexdigest()


def test_the_digest_is_of_the_content_and_not_of_its_wrapping(
    home: Path, add_corpus: AddCorpus
) -> None:
    source = add_corpus("plain", NOTES)
    os.utime(source, (1, 1))
    add_corpus("other-name", NOTES, "renamed.jsonl")
    add_corpus("packed", NOTES, "notes.jsonl.gz")
    add_corpus("folder", b"", "parts/ignored.txt")
    for number, note in enumerate(NOTES):
        line = json.dumps(note, indent=None, ensure_ascii=False) + "\n\n"
        (home / "sources" / "parts" / f"{number}.jsonl").write_text(line, encoding="utf-8")
    card = home / "corpora" / "folder.yaml"
    text = card.read_text(encoding="utf-8").replace("parts/ignored.txt", "parts")
    card.write_text(text, encoding="utf-8")
    names = ("plain", "other-name", "packed", "folder")
    assert len({build_corpus(name).digest for name in names}) == 1
    assert len(build_corpus("folder").manifest.files) == 3


@pytest.mark.parametrize(
    "other",
    [
        pytest.param([NOTES[1], NOTES[0], NOTES[2]], id="order"),
        pytest.param(NOTES[:2], id="fewer"),
        pytest.param(
            [*NOTES[:2], {"id": "d10", "text": "Ménière's disease\nwith vertigO"}], id="text"
        ),
        pytest.param([*NOTES[:2], {**NOTES[2], "id": "d11"}], id="id"),
        pytest.param([*NOTES[:2], {**NOTES[2], "title": "T"}], id="title"),
        pytest.param([*NOTES[:2], {**NOTES[2], "year": "T"}], id="meta"),
    ],
)
def test_the_digest_changes_with_the_content(
    add_corpus: AddCorpus, other: list[dict[str, object]]
) -> None:
    options = {"title_field": "title", "meta_fields": ["year"]}
    add_corpus("one", NOTES, "one.jsonl", **options)
    add_corpus("two", other, "two.jsonl", **options)
    assert build_corpus("one").digest != build_corpus("two").digest


def test_values_cannot_flow_into_each_other(add_corpus: AddCorpus) -> None:
    add_corpus("one", [{"id": "a", "title": "bc", "text": "d"}], "1.jsonl", title_field="title")
    add_corpus("two", [{"id": "a", "title": "b", "text": "cd"}], "2.jsonl", title_field="title")
    assert build_corpus("one").digest != build_corpus("two").digest


def test_passed_over_entries_are_counted_and_not_in_the_digest(add_corpus: AddCorpus) -> None:
    empty = {"id": "e", "text": "  "}
    add_corpus("with", [empty, *NOTES, {**empty, "id": "f"}], "1.jsonl", skip_empty=True)
    add_corpus("without", NOTES, "2.jsonl")
    built = build_corpus("with")
    assert built.manifest.skipped == {"empty text": 2}
    assert built.manifest.n_passages == 3
    assert built.digest == build_corpus("without").digest


@pytest.mark.parametrize("count", [1, 6, 7, 8, 14, 15])
def test_batches_are_full_but_the_last(
    home: Path, add_corpus: AddCorpus, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(build, "BATCH_ROWS", 7)
    add_corpus("many", documents(count))
    assert build_corpus("many").manifest.batch_rows == 7
    folder = home / "corpora" / "many"
    with pa.memory_map(str(folder / "passages.arrow")) as source:
        reader = pa.ipc.open_file(source)
        sizes = [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]
    assert sum(sizes) == count
    assert set(sizes[:-1]) <= {7}
    ids = [f"d{i}" for i in range(count)]
    order = np.load(folder / "id_order.npy")
    assert [ids[row] for row in order] == sorted(ids)
    assert np.array_equal(np.load(folder / "id_rank.npy")[order], np.arange(count))


def test_ids_and_texts_of_any_script_and_whole_numbers(add_corpus: AddCorpus) -> None:
    lines = [{"id": 7, "text": 8}, {"id": "糖尿病", "text": "\x01 🩺 \u2028"}]
    add_corpus("any", lines)
    corpus = build_corpus("any")
    assert [(p.id, p.text) for p in corpus] == [("7", "8"), ("糖尿病", "\x01 🩺 \u2028")]


def test_the_bundled_icd10cm_card_builds(home: Path) -> None:
    corpus = build_corpus("icd10cm")
    assert len(corpus) == corpus.manifest.n_docs == 47_200
    assert corpus.manifest.data_use == "open"
    assert corpus.manifest.licence.startswith("public domain")
    row = corpus.find("E11.9")
    assert row is not None
    assert corpus[row].title == "Type 2 diabetes mellitus without complications (E11.9)"


def test_the_real_medquad_file(home: Path, add_corpus: AddCorpus, shared_data: Path) -> None:
    source = shared_data / "corpora" / "medquad.jsonl.gz"
    if not source.is_file():
        pytest.skip("shared/data has no corpora/medquad.jsonl.gz")
    lines = [json.loads(line) for line in gzip.decompress(source.read_bytes()).splitlines()]
    card = home / "corpora" / "medquad.yaml"
    card.parent.mkdir()
    card.write_text(
        f"reader: jsonl\npath: {source}\noptions: {{title_field: title}}\n", encoding="utf-8"
    )
    corpus = build_corpus("medquad")
    assert len(corpus) == corpus.manifest.n_docs == len(lines) == 16_407
    assert corpus.manifest.n_characters == sum(len(line["text"]) for line in lines)
    rows = [(p.id, p.doc_id, p.title, p.text) for p in corpus]
    assert rows == [(d["id"], d["id"], d["title"], d["text"]) for d in lines]
    assert corpus.digest == expected_digest([(*row, "{}") for row in rows])


# -- building again -------------------------------------------------------------------------


def test_building_the_same_again_changes_nothing(home: Path, add_corpus: AddCorpus) -> None:
    source = add_corpus("notes", NOTES)
    build_corpus("notes")
    folder = home / "corpora" / "notes"
    before = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.iterdir()}
    build_corpus("notes")
    os.utime(source, (1, 1))  # another time, the same bytes
    assert build_corpus("notes").manifest.n_passages == 3
    assert {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.iterdir()} == before


@pytest.mark.parametrize("same_size", [True, False])
def test_a_changed_source_is_refused_until_replaced(add_corpus: AddCorpus, same_size: bool) -> None:
    add_corpus("notes", [{"id": "a", "text": "old"}])
    old = build_corpus("notes").digest
    add_corpus("notes", [{"id": "a", "text": "new" if same_size else "newer"}])
    with pytest.raises(DataError) as caught:
        build_corpus("notes")
    assert caught.value.what == (
        "the corpus 'notes' is built already, from another card or other files"
    )
    assert caught.value.fix.startswith("ragbench corpus build notes --replace")
    assert open_corpus("notes").digest == old
    new = build_corpus("notes", replace=True)
    assert new[0].text.startswith("new")
    assert new.digest != old
    assert build_corpus("notes").digest == new.digest


def test_another_size_at_the_same_time_is_a_change(add_corpus: AddCorpus) -> None:
    for text in ("old", "newer"):
        os.utime(add_corpus("notes", [{"id": "a", "text": text}]), (1, 1))
        if text == "old":
            build_corpus("notes")
    with pytest.raises(DataError, match="is built already"):
        build_corpus("notes")


def test_one_more_file_in_the_folder_is_a_change(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", NOTES, "parts/a.jsonl")
    card = home / "corpora" / "notes.yaml"
    card.write_text("reader: jsonl\npath: ../sources/parts\n", encoding="utf-8")
    build_corpus("notes")
    (home / "sources" / "parts" / "b.jsonl").write_text(
        '{"id": "b", "text": "x"}\n', encoding="utf-8"
    )
    with pytest.raises(DataError, match="is built already"):
        build_corpus("notes")
    assert len(build_corpus("notes", replace=True)) == 4


def test_other_options_are_refused(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", NOTES)
    build_corpus("notes")
    add_corpus("notes", NOTES, title_field="title")
    with pytest.raises(DataError, match="is built already"):
        build_corpus("notes")
    assert build_corpus("notes", replace=True)[0].title == "Cough"


def test_a_failed_replacement_keeps_the_old_corpus(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", NOTES)
    old = build_corpus("notes").digest
    before = left_over(home)
    add_corpus("notes", [*NOTES, {"id": "d1", "text": "again"}])
    with pytest.raises(DataError, match="appears 2 times"):
        build_corpus("notes", replace=True)
    assert open_corpus("notes").digest == old
    assert left_over(home) == before


# -- refusals -------------------------------------------------------------------------------

GOOD = b'{"id": "ok", "text": "x"}\n'


@pytest.mark.parametrize(
    ("content", "what", "line"),
    [
        (b"", "the corpus is empty", None),
        (b"\n \n", "the corpus is empty", None),
        (b"\x1f\x8b\x08\x00garbage", "this line is not UTF-8", 1),
        (GOOD + b"{not json}\n", "this line is not JSON", 2),
        (GOOD + b'{"id": "a", "text": "half', "this line is not JSON", 2),
        (GOOD + b'["a", "x"]\n', "this line is a JSON list, not an object", 2),
        (GOOD + b'{"id": "a", "text": "\xff"}\n', "this line is not UTF-8", 2),
        (GOOD + b'\n{"text": "x"}\n', "the field 'id' is missing", 3),
        (GOOD + b'{"id": "a"}\n', "the field 'text' is missing", 2),
        (GOOD + b'{"id": "a", "text": ""}\n', "the field 'text' of document 'a' is empty", 2),
        (GOOD + b'{"id": true, "text": "x"}\n', "the field 'id' is a bool, not text", 2),
        (GOOD + b'{"id": "", "text": "x"}\n', "the id '' is empty or has white space", 2),
        (GOOD + b'{"id": "a b", "text": "x"}\n', "the id 'a b' is empty or has white space", 2),
        (GOOD + b'{"id": "a\\n", "text": "x"}\n', r"the id 'a\n' is empty or has white space", 2),
        (GOOD + b'{"id": "a\\u00a0b", "text": "x"}\n', r"the id 'a\xa0b' is empty or has w", 2),
        (GOOD + b'{"id": "a\\u0000", "text": "x"}\n', "the field 'id' holds a NUL character", 2),
        (GOOD + b'{"id": "a\\ud83d", "text": "x"}\n', r"the id 'a\ud83d' is empty or has w", 2),
        (GOOD + b'{"id": "a", "text": "\\ud83d"}\n', "document 'a' holds half of a surrogate", 2),
        (
            GOOD + b'{"id": "a", "text": "x", "title": "\\udc00"}\n',
            "document 'a' holds half of a surrogate",
            2,
        ),
        (
            GOOD + b'{"id": "a", "text": "x", "year": "\\udc00"}\n',
            "document 'a' holds half of a surrogate",
            2,
        ),
    ],
)
@pytest.mark.parametrize("file", ["notes.jsonl", "notes.jsonl.gz"])
def test_a_wrong_source_is_named_and_nothing_is_left(
    home: Path, add_corpus: AddCorpus, content: bytes, what: str, line: int | None, file: str
) -> None:
    source = add_corpus("notes", content, file, title_field="title", meta_fields=["year"])
    with pytest.raises(DataError) as caught:
        build_corpus("notes")
    assert caught.value.what.startswith(what)
    assert caught.value.where.endswith(f"sources/{file}" + (f":{line}" if line else ""))
    assert caught.value.fix
    assert left_over(home) == []
    assert source.exists()
    with pytest.raises(DataError, match="the corpus 'notes' is not built"):
        open_corpus("notes")


def test_a_missing_file_is_named(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", NOTES).unlink()
    with pytest.raises(DataError, match="the corpus file is not there") as caught:
        build_corpus("notes")
    assert caught.value.where.endswith("sources/notes.jsonl")
    assert left_over(home) == []


def test_a_corpus_of_empty_texts_alone_tells_how_many(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", [{"id": "a", "text": ""}, {"id": "b", "text": " "}], skip_empty=True)
    with pytest.raises(DataError) as caught:
        build_corpus("notes")
    assert caught.value.what == "the corpus is empty (skipped: 2 with empty text)"
    assert left_over(home) == []


def test_both_lines_of_a_repeated_id_are_named(home: Path, add_corpus: AddCorpus) -> None:
    lines = [*documents(5000), {"id": "d7", "text": "again"}]
    source = add_corpus("notes", lines)
    with pytest.raises(DataError) as caught:
        build_corpus("notes")
    assert caught.value.what == "the id 'd7' appears 2 times"
    first, _, second = caught.value.where.partition(" and ")
    assert first.endswith(f"sources/{source.name}:8")
    assert second.endswith(f"sources/{source.name}:5001")
    assert left_over(home) == []


def test_a_number_and_a_text_are_the_same_id_and_repeats_are_counted(
    home: Path, add_corpus: AddCorpus
) -> None:
    lines = [{"id": i, "text": "x"} for i in (7, "7", 7, 7, 8, "8")]
    add_corpus("notes", lines)
    with pytest.raises(DataError) as caught:
        build_corpus("notes")
    assert caught.value.what == "the id '7' appears 4 times (and 3 more repeats)"
    assert [part.rpartition(":")[2] for part in caught.value.where.split(" and ")] == [
        "1",
        "2",
        "3",
    ]


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a..b"])
def test_a_name_cannot_leave_the_home(home: Path, name: str) -> None:
    for verb in (build_corpus, open_corpus):
        with pytest.raises(UsageError, match="cannot be the name of a corpus"):
            verb(name)
    assert list(home.rglob("*")) == []


def test_an_unknown_corpus_is_named_with_near_ones(home: Path) -> None:
    for verb in (build_corpus, open_corpus):
        with pytest.raises(UsageError) as caught:
            verb("icd10")
        assert caught.value.what == "there is no corpus 'icd10'"
        assert caught.value.fix.startswith("did you mean 'icd10cm'?")


def test_files_of_the_user_in_the_place_of_the_corpus_are_kept(
    home: Path, add_corpus: AddCorpus
) -> None:
    add_corpus("notes", NOTES)
    own = home / "corpora" / "notes" / "raw.jsonl"
    own.parent.mkdir()
    own.write_text("precious", encoding="utf-8")
    for replace in (False, True):
        with pytest.raises(DataError) as caught:
            build_corpus("notes", replace=replace)
        assert caught.value.what == (
            "the path of the corpus 'notes' exists and is not a built corpus"
        )
        assert caught.value.where == str(own.parent)
    assert own.read_text(encoding="utf-8") == "precious"
    own.unlink()
    assert len(build_corpus("notes")) == 3  # an empty folder is no one's


def test_two_builds_at_once_are_refused(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", NOTES)
    with (
        locked(home / "corpora" / "notes", what="the corpus 'notes'"),
        pytest.raises(DataError, match="the corpus 'notes' is being written by another process"),
    ):
        build_corpus("notes")
    assert len(build_corpus("notes")) == 3


def test_a_killed_build_goes_on_and_ends_the_same(home: Path, add_corpus: AddCorpus) -> None:
    """Two files, a part every 40 passages, some skipped; killed in the second file."""
    lines = [d | {"text": d["text"] if i % 7 else " "} for i, d in enumerate(documents(600))]
    add_corpus("notes", lines[:250], "parts/a.jsonl", skip_empty=True)
    second = home / "sources" / "parts" / "b.jsonl"
    second.write_text("".join(json.dumps(line) + "\n" for line in lines[250:]), encoding="utf-8")
    card = home / "corpora" / "notes.yaml"
    text = "reader: jsonl\npath: ../sources/parts\noptions: {skip_empty: true}\n"
    card.write_text(text, encoding="utf-8")
    whole = build_corpus("notes")
    sums, facts = whole.manifest.sums, whole.manifest
    assert facts.n_passages + facts.skipped["empty text"] == 600
    with gzip.open(whole.folder / "skipped.jsonl.gz", "rt", encoding="utf-8") as listing:
        listed = [json.loads(line) for line in listing]
    assert len(listed) == facts.skipped["empty text"]
    assert listed[0]["where"].endswith("a.jsonl:1")
    shutil.rmtree(whole.folder)
    code = (
        "import time\n"
        "from ragbench.corpora import build, ingest\n"
        "from ragbench.corpora.readers import jsonl\n"
        "build.BATCH_ROWS, ingest.PART_BATCHES = 40, 1\n"
        "real = jsonl.entry\n"
        "jsonl.entry = lambda *a: (time.sleep(0.002), real(*a))[1]\n"
        "build.build_corpus('notes')\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 600
    while not list(home.glob("corpora/.notes.*.building/parts/000007.json")):
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (home / "corpora" / "notes").exists()
    (staging,) = home.glob("corpora/.notes.*.building")
    first = (staging / "parts" / "000000.arrow").stat().st_mtime_ns
    code = (
        "import sys\n"
        "from ragbench.corpora import build, ingest\n"
        "build.BATCH_ROWS, ingest.PART_BATCHES = 40, 1\n"
        "real = ingest._Parts.join\n"
        "def join(self, work):\n"
        "    print(self._path(0, 'arrow').stat().st_mtime_ns)\n"
        "    real(self, work)\n"
        "ingest._Parts.join = join\n"
        "build.build_corpus('notes')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == first  # the part of the killed build was used
    again = StoredCorpus(home / "corpora" / "notes")
    assert again.digest == whole.digest
    assert again.manifest.skipped == facts.skipped
    assert (again.manifest.n_docs, again.manifest.n_characters) == (
        facts.n_docs,
        facts.n_characters,
    )
    for name in ("skipped.jsonl.gz", "id_order.npy", "id_rank.npy"):
        assert again.manifest.sums[name] == sums[name]
    assert list(again) == list(build_corpus("notes", replace=True))
    assert not [p for p in (home / "corpora").iterdir() if p.name.endswith(".building")]


# -- sources that change -----------------------------------------------------------------------


def rewritten(path: Path) -> None:
    """Change one letter and put the old time back, as a copy that keeps times does."""
    stat = path.stat()
    path.write_bytes(path.read_bytes().replace(b"text 1", b"text 7"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "has changed": lambda path: path.write_text(path.read_text() + '{"id": "n", "text": "n"}\n'),
    "has changed ": rewritten,
    "has changed  ": lambda path: os.utime(path, ns=(1, 1)),
    "is gone": lambda path: path.unlink(),
    "is new": lambda path: shutil.copyfile(path, path.with_name("b.txt")),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_source_that_changes_while_it_is_read_is_noticed(
    home: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A copy that is still running: the corpus would be of a state that no disk ever had."""
    source = home / "notes"
    source.mkdir()
    (source / "a.txt").write_text("text 1")
    (source / "z.txt").write_text("stays")
    (home / "corpora").mkdir()
    card = "reader: folder\npath: ../notes\nlicence: none\n"
    (home / "corpora" / "notes.yaml").write_text(card)

    def disturbed(*arguments: object, **options: object) -> dict[str, object]:
        counts = ingest(*arguments, **options)  # type: ignore[arg-type]
        CHANGES[what](source / "a.txt")
        return counts

    with monkeypatch.context() as patch:
        patch.setattr(build, "ingest", disturbed)
        with pytest.raises(DataError, match=f"a source file {what.strip()} since the build"):
            build_corpus("notes")
    assert left_over(home) == []
    if what != "is gone":
        assert len(build_corpus("notes")) >= 1
