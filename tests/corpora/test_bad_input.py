"""Damaged sources, reader by reader: an error with its place, or skips that are counted and listed.

Whatever the damage, the build ends; what goes in is what comes out plus what is listed as passed
over; and where it fails nothing is left. The sources here are two files of three documents each.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragbench.base.errors import DataError, RagbenchError
from ragbench.corpora.build import build_corpus
from ragbench.corpora.card import load_card, make_reader
from ragbench.corpora.reader import Located, Skipped
from tests.corpora.files import write_pdf

Texts = dict[str, str]
HALVES: tuple[Texts, Texts] = (
    {f"a{n}": f"Gout of the {n}. toe; é." for n in range(3)},
    {f"b{n}": f"Fever since day {n}; 糖尿病." for n in range(3)},
)


def lines_of(**names: str) -> Callable[[Texts], bytes]:
    """Return what writes JSON lines with the fields named."""

    def write(texts: Texts) -> bytes:
        lines = [{names["id"]: key, names["text"]: text} for key, text in texts.items()]
        return "".join(json.dumps(x, ensure_ascii=False) + "\n" for x in lines).encode()

    return write


def table(texts: Texts) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([("id", "text"), *texts.items()])
    return buffer.getvalue().encode()


def medquad(texts: Texts) -> bytes:
    pairs = "".join(
        f'<QAPair pid="{n}"><Question qid="{key}">What?</Question><Answer>{text}</Answer></QAPair>'
        for n, (key, text) in enumerate(texts.items())
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><Document id="{min(texts)}" source="s" url="u">'
        f"<Focus>Gout</Focus><QAPairs>{pairs}</QAPairs></Document>"
    ).encode()


def pubmed(texts: Texts) -> bytes:
    records = "".join(
        f'<PubmedArticle><MedlineCitation><PMID Version="1">{ord(key[0])}{key[1:]}</PMID><Article>'
        f"<ArticleTitle>Gout</ArticleTitle><Abstract><AbstractText>{text}</AbstractText></Abstract>"
        "</Article></MedlineCitation></PubmedArticle>"
        for key, text in texts.items()
    )
    return f'<?xml version="1.0"?><PubmedArticleSet>{records}</PubmedArticleSet>'.encode()


def nxml(texts: Texts) -> bytes:
    sections = "".join(f"<sec><title>{k}</title><p>{text}</p></sec>" for k, text in texts.items())
    return f'<?xml version="1.0"?><article><body>{sections}</body></article>'.encode()


def longhealth(texts: Texts) -> bytes:
    patient = {"texts": texts, "questions": [{"question": "Which?"}]}
    return json.dumps({"p": patient}, ensure_ascii=False).encode()


PLAIN = lines_of(id="id", text="text")
# Of each reader: its options, the names of its two files (one: both halves are in it) and their
# content.
READERS: dict[str, tuple[dict[str, object], tuple[str, ...], Callable[[Texts], bytes]]] = {
    "jsonl": ({}, ("a.jsonl", "b.jsonl"), PLAIN),
    "snippets": ({}, ("chunk/a.jsonl", "chunk/b.jsonl"), lines_of(id="id", text="content")),
    "hub": ({}, ("a.jsonl", "b.jsonl"), PLAIN),
    "beir": ({}, ("corpus.jsonl",), lines_of(id="_id", text="text")),
    "tabular": ({}, ("a.csv", "b.csv"), table),
    "medquad": ({}, ("1_A/0000001.xml", "2_B/0000002.xml"), medquad),
    # The later file is read first.
    "pubmed": ({}, ("pubmed26n0002.xml", "pubmed26n0001.xml"), pubmed),
    "nxml": ({}, ("a.nxml", "b.nxml"), nxml),
    "longhealth": ({}, ("benchmark_v5.json",), longhealth),
}
PLAIN_OR_GZIP = (".jsonl", ".csv", "n0002.xml")
BY_GZIP = [name for name, (_, files, _) in READERS.items() if files[0].endswith(PLAIN_OR_GZIP)]


def write_source(home: Path, reader: str, *, ending: str = "") -> list[Path]:
    """Write a sound source and its card; return the files, gzip if the ending is ``.gz``."""
    options, names, content = READERS[reader]
    source = home / "source"
    shutil.rmtree(source, ignore_errors=True)
    halves = HALVES if len(names) == 2 else (HALVES[0] | HALVES[1],)
    paths = []
    for name, texts in zip(names, halves, strict=True):
        path = source / (name + ending)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content(texts)) if ending else content(texts))
        paths.append(path)
    place = paths[0] if reader == "longhealth" else source
    card = {"reader": reader, "path": str(place), "options": options}
    (home / "corpora").mkdir(exist_ok=True)
    (home / "corpora" / "c.yaml").write_text(json.dumps(card), encoding="utf-8")
    return paths


def build(home: Path) -> tuple[list[str], list[dict[str, str]]] | RagbenchError:
    """Build the corpus; return its texts and what is listed, or the error, having checked both."""
    shutil.rmtree(home / "corpora" / "c", ignore_errors=True)
    try:
        corpus = build_corpus("c")
    except RagbenchError as error:
        assert error.what and error.where
        left = {path.name for path in (home / "corpora").iterdir()} - {"c.yaml", "c.lock"}
        assert not {name for name in left if not name.endswith(".lock")}
        return error
    entries = list(make_reader(*load_card("c")).read())
    texts = [entry.passage.text for entry in entries if isinstance(entry, Located)]
    assert [passage.text for passage in corpus] == texts
    listing = corpus.folder / "skipped.jsonl.gz"
    lines = gzip.decompress(listing.read_bytes()).splitlines() if listing.is_file() else []
    listed = [json.loads(line) for line in lines]
    skipped = [entry for entry in entries if isinstance(entry, Skipped)]
    assert [line["reason"] for line in listed] == [entry.reason for entry in skipped]
    assert all(line["where"] for line in listed)
    assert sum(corpus.manifest.skipped.values()) == len(listed)
    return texts, listed


def error_of(home: Path) -> RagbenchError:
    found = build(home)
    assert isinstance(found, RagbenchError)
    return found


@pytest.mark.parametrize("reader", READERS)
def test_the_sound_source_gives_all_its_texts(home: Path, reader: str) -> None:
    write_source(home, reader)
    assert build(home) == ([*HALVES[0].values(), *HALVES[1].values()], [])


@pytest.mark.parametrize("reader", BY_GZIP)
@pytest.mark.parametrize("kept", [0.2, 0.6, 0.95])
def test_a_truncated_gzip_is_an_error(home: Path, reader: str, kept: float) -> None:
    path = write_source(home, reader, ending=".gz")[-1]
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    assert isinstance(error_of(home), DataError)


@pytest.mark.parametrize("reader", READERS)
def test_a_file_of_no_bytes_is_told(home: Path, reader: str) -> None:
    """An empty file of JSON lines has no line: the rest is read. Other empty files are broken."""
    paths = write_source(home, reader)
    paths[-1].write_bytes(b"")
    found = build(home)
    if paths[-1].suffix == ".jsonl" and len(paths) == 2:
        assert found == ([*HALVES[0].values()], [])
    else:
        assert isinstance(found, RagbenchError)


@pytest.mark.parametrize("reader", READERS)
def test_a_line_of_ten_megabytes_is_read(home: Path, reader: str) -> None:
    path = write_source(home, reader)[-1]
    long = "fever " * (10 * 2**20 // 6)
    path.write_bytes(path.read_bytes().replace("糖尿病.".encode(), long.encode(), 1))
    found = build(home)
    assert isinstance(found, tuple)
    assert [len(text) > 10**7 for text in found[0]] == [False, False, False, True, False, False]


@pytest.mark.parametrize("reader", READERS)
def test_invalid_utf8_is_named(home: Path, reader: str) -> None:
    path = write_source(home, reader)[-1]
    path.write_bytes(path.read_bytes().replace("糖".encode(), b"\xff\xfe", 1))
    assert isinstance(error_of(home), DataError)


@pytest.mark.parametrize("reader", sorted({*READERS} - {"longhealth", "medquad", "nxml", "pubmed"}))
def test_an_id_that_two_files_have_is_named(home: Path, reader: str) -> None:
    """In the others an id holds the file's name, or the later file has the later word on it."""
    path = write_source(home, reader)[-1]
    path.write_bytes(path.read_bytes().replace(b"b0", b"a0"))
    error = error_of(home)
    assert isinstance(error, DataError)
    assert "a0" in str(error)


@pytest.mark.parametrize("reader", READERS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    place=st.floats(0, 1, exclude_max=True),
    damage=st.sampled_from(["flip", "cut", "drop", "nul", "twice"]),
    bit=st.integers(0, 7),
)
def test_any_damage_is_an_error_or_a_text(
    home: Path, reader: str, place: float, damage: str, bit: int
) -> None:
    path = write_source(home, reader)[-1]
    content = path.read_bytes()
    at = int(place * len(content))
    changed = {
        "flip": content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :],
        "cut": content[:at],
        "drop": content[:at] + content[at + 1 :],
        "nul": content[:at] + b"\0" * 16 + content[at:],
        "twice": content[:at] + content[at:] * 2,
    }[damage]
    path.write_bytes(changed)
    build(home)  # whose checks are what is tested


BOMB = "<!DOCTYPE Document [" + '<!ENTITY a "lol">'
BOMB += "".join(
    f'<!ENTITY {x} "{f"&{y};" * 10}">' for y, x in zip("abcdefgh", "bcdefghi", strict=True)
)
BOMB += "]>"


@pytest.mark.parametrize(
    ("reader", "root"),
    [("medquad", "<Document"), ("pubmed", "<PubmedArticleSet"), ("nxml", "<article")],
)
def test_an_xml_bomb_is_not_unpacked(home: Path, reader: str, root: str) -> None:
    path = write_source(home, reader)[-1]
    text = path.read_text(encoding="utf-8").replace(root, BOMB + root, 1)
    path.write_text(text.replace("Fever", "&i;", 1), encoding="utf-8")
    error = error_of(home)
    assert "declares entities" in error.what
    assert error.where == str(path)


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
def test_members_of_an_archive_that_lead_out_are_listed(home: Path, ending: str) -> None:
    for path in write_source(home, "nxml"):
        path.unlink()
    members = {"../out.nxml": "a0", "/tmp/../out.nxml": "a1", "in/b.nxml": "b0"}
    archive = home / "source" / f"a.{ending}"
    with ZipFile(archive, "w") if ending == "zip" else tarfile.open(archive, "w:gz") as handle:
        for name, key in members.items():
            data = nxml({key: "Gout."})
            if isinstance(handle, ZipFile):
                handle.writestr(name, data)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                handle.addfile(info, io.BytesIO(data))
    found = build(home)
    assert isinstance(found, tuple)
    assert found[0] == ["Gout."]
    assert [line["where"] for line in found[1]] == [f"{archive}: {name}" for name in members][:2]
    assert not list(home.parent.rglob("out.nxml"))


def test_members_of_a_workbook_that_lead_out_are_not_written(home: Path) -> None:
    pd = pytest.importorskip("pandas")
    write_source(home, "tabular")
    for path in (home / "source").iterdir():
        path.unlink()
    book = home / "source" / "a.xlsx"
    pd.DataFrame({"id": ["a"], "text": ["Gout."]}).to_excel(book, index=False)
    with ZipFile(book, "a") as archive:
        archive.writestr("../../escaped.txt", "out")
        archive.writestr("/tmp/../escaped.txt", "out")
    assert build(home) == (["Gout."], [])
    assert not list(home.parent.rglob("escaped.txt"))


def test_a_folder_of_documents_with_one_of_each_damage(home: Path) -> None:
    source = home / "source"
    write_pdf(source / "scan.pdf", ["", ""])
    write_pdf(source / "good.pdf", ["Gout of the toe."])
    (source / "empty.txt").write_bytes(b"")
    (source / "latin.txt").write_bytes("Ménière".encode("latin-1"))
    (source / "torn.docx").write_bytes(b"PK\x03\x04 and no more")
    (source / "long.txt").write_text("fever " * (10 * 2**20 // 6), encoding="utf-8")
    with ZipFile(source / "out.docx", "w") as archive:
        archive.writestr("../../escaped.txt", "out")
    (home / "corpora").mkdir(exist_ok=True)
    card = {"reader": "folder", "path": str(source), "options": {"on_error": "skip"}}
    (home / "corpora" / "c.yaml").write_text(json.dumps(card), encoding="utf-8")
    found = build(home)
    assert isinstance(found, tuple)
    assert sorted(len(text) for text in found[0]) == [16, 10_485_755]
    names = {Path(line["where"].partition(":")[0].partition(",")[0]).name for line in found[1]}
    assert names == {"empty.txt", "latin.txt", "out.docx", "scan.pdf", "torn.docx"}
    assert not list(home.parent.rglob("escaped.txt"))
