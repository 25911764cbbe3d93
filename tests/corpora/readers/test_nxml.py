"""JATS and BITS by section, against what a person reads in them; archives; and bad input."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError, RagbenchError
from ragbench.corpora.build import build_corpus
from ragbench.corpora.formats import archives
from ragbench.corpora.reader import Located, Skipped
from ragbench.corpora.readers.nxml import NxmlOptions, NxmlReader

DATA = Path(__file__).parents[2] / "data"
ARTICLE = (DATA / "article.nxml").read_text(encoding="utf-8")
CHAPTER = (DATA / "chapter.nxml").read_text(encoding="utf-8")
EXPECTED = [  # read from it by a person
    ("Abstract -- Background", "Urate > 6.8 mg/dl."),
    ("Abstract -- Results", "It hurts."),
    ("Abstract", "Toes."),
    ("", "Before any heading."),
    (
        "Methods",
        "We took H2O (see Figure 1).\n1. one;\n2. two.\nAnd more.\nAfter the inner section.",
    ),
    ("Methods -- Statistics", "With x=2 and y^2."),
    (
        "Results",
        "Table 1. Doses\nIn milligrams.\nDrug | Dose\nColchicine | 0.5\nDaily.\nFigure 1 A toe.",
    ),
    ("Results -- Key points", "Drink water."),
    ("Appendix", "Forms."),
]


def entries(path: Path, **options: Any) -> list[Located | Skipped]:
    return list(NxmlReader(path, NxmlOptions.model_validate(options)).read())


def texts(found: list[Located | Skipped]) -> list[tuple[str, str, str]]:
    passages = [entry.passage for entry in found if isinstance(entry, Located)]
    return [(p.id, p.title, p.text) for p in passages]


def skips(found: list[Located | Skipped]) -> list[str]:
    return [entry.reason for entry in found if isinstance(entry, Skipped)]


def test_an_article_is_read_section_by_section(tmp_path: Path) -> None:
    (tmp_path / "any.nxml").write_text(ARTICLE, encoding="utf-8")
    found = entries(tmp_path)
    title = "Gout in Homo sapiens"
    assert texts(found) == [
        (f"PMC222.s{n}", f"{title} -- {heading}" if heading else title, text)
        for n, (heading, text) in enumerate(EXPECTED, 1)
    ]
    assert skips(found) == ["an abstract in another language", "an article within an article"]
    passage = next(entry.passage for entry in found if isinstance(entry, Located))
    assert passage.doc_id == "PMC222"
    assert passage.meta == {
        "journal": "Joint & Bone",
        "year": "2020",
        "license": "https://creativecommons.org/licenses/by/4.0/",
        "pmcid": "PMC222",
        "pmid": "111",
        "doi": "10.1/x",
        "url": "https://pmc.ncbi.nlm.nih.gov/articles/PMC222/",
    }


def test_a_chapter_of_a_book_has_the_id_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "article-22.nxml").write_text(CHAPTER, encoding="utf-8")
    found = entries(tmp_path)
    assert texts(found) == [
        ("article-22.s1", "Gout -- Introduction", "Gout is old.\nIt is painful."),
        ("article-22.s2", "Gout -- Etiology", "Urate."),
    ]
    assert skips(found) == []


def test_citations_and_tables_are_options(tmp_path: Path) -> None:
    (tmp_path / "any.nxml").write_text(ARTICLE, encoding="utf-8")
    by_title = {
        title: text for _, title, text in texts(entries(tmp_path, citations=True, tables=False))
    }
    assert by_title["Gout in Homo sapiens"] == "Before any heading [1,2]."
    assert by_title["Gout in Homo sapiens -- Methods"].startswith("We took H2O3 (see Figure 1).")
    assert by_title["Gout in Homo sapiens -- Results"] == (
        "Table 1. Doses\nIn milligrams.\nDaily.\nFigure 1 A toe."
    )


def test_no_word_of_the_body_is_lost_or_told_twice(tmp_path: Path) -> None:
    """Numbered words in every place where text can be; each is found once."""
    body = "".join(
        f"<sec><title>h{n}</title>w{n}a<p>w{n}b <bold>w{n}c</bold> w{n}d<list><list-item>"
        f"<p>w{n}e</p></list-item></list>w{n}f</p><disp-quote><p>w{n}g</p></disp-quote>"
        f"<def-list><def-item><term>w{n}h</term><def><p>w{n}i</p></def></def-item></def-list>"
        f"<sec><title>i{n}</title><p>w{n}j</p></sec>w{n}k<fig><caption><p>w{n}l</p></caption></fig>"
        f"</sec>"
        for n in range(5)
    )
    document = f"<article><front/><body>{body}</body></article>"
    (tmp_path / "a.xml").write_text(document, encoding="utf-8")
    words = " ".join(text for _, _, text in texts(entries(tmp_path))).split()
    assert sorted(words) == sorted(f"w{n}{x}" for n in range(5) for x in "abcdefghijkl")


def tar(path: Path, files: dict[str, bytes], mode: Any = "w:gz") -> None:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def zipped(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


PACKERS: dict[str, Callable[[Path, dict[str, bytes]], None]] = {
    "a.tar.gz": tar,
    "a.tgz": tar,
    "a.tar": lambda path, files: tar(path, files, "w"),
    "a.zip": zipped,
}
TWO = {
    "book/article-1.nxml": CHAPTER.encode(),
    "book/cover.jpg": b"\xff\xd8",
    "book/article-2.nxml": CHAPTER.encode(),
}


@pytest.mark.parametrize("name", PACKERS)
def test_archives_are_read_member_by_member(tmp_path: Path, name: str) -> None:
    PACKERS[name](tmp_path / name, TWO)
    found = entries(tmp_path)
    assert [identifier for identifier, _, _ in texts(found)] == [
        *("article-1.s1", "article-1.s2", "article-2.s1", "article-2.s2")
    ]
    assert skips(found) == [archives.OTHER]
    first = next(entry for entry in found if isinstance(entry, Located))
    assert first.where == f"{tmp_path / name}: book/article-1.nxml: section 1"


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("member", ["../out.nxml", "/out.nxml", "a/../../out.nxml", "c:\\out.nxml"])
def test_members_that_lead_out_are_listed_and_not_read(
    tmp_path: Path, name: str, member: str
) -> None:
    (tmp_path / "in").mkdir()
    PACKERS[name](tmp_path / "in" / name, {member: CHAPTER.encode(), **TWO})
    found = entries(tmp_path / "in")
    assert skips(found) == [archives.OUTSIDE, archives.OTHER]
    assert len(texts(found)) == 4
    assert not list(tmp_path.rglob("out.nxml"))


def test_links_devices_and_archives_in_archives_are_listed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"{kind.decode()}.nxml")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        folder = tarfile.TarInfo("folder.nxml")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name in ("inner.tar.gz", "inner.zip", "one.nxml"):
            info = tarfile.TarInfo(name)
            info.size = len(CHAPTER)
            archive.addfile(info, io.BytesIO(CHAPTER.encode()))
    found = entries(tmp_path)
    assert skips(found) == [archives.NO_FILE] * 4 + [archives.NESTED] * 2
    assert len(texts(found)) == 2


def test_a_link_and_an_encrypted_member_of_a_zip_are_listed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("link.nxml")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("secret.nxml", CHAPTER)
        archive.writestr("one.nxml", CHAPTER)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    at = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)  # the second in the directory
    data[at + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    found = entries(tmp_path)
    assert skips(found) == [archives.NO_FILE, archives.ENCRYPTED]
    assert len(texts(found)) == 2


@pytest.mark.parametrize("name", PACKERS)
def test_an_archive_that_was_cut_anywhere_is_an_error(tmp_path: Path, name: str) -> None:
    PACKERS[name](tmp_path / name, TWO)
    whole = (tmp_path / name).read_bytes()
    # What stands after the end mark of a plain tar is filling.
    end = whole.rindex(b"</book-part-wrapper>") + 512 if name == "a.tar" else len(whole)
    for kept in [*range(0, end, max(1, end // 40)), end - 1]:
        (tmp_path / name).write_bytes(whole[:kept])
        with pytest.raises(DataError, match=r"archive"):
            entries(tmp_path, on_error="skip")


@pytest.mark.parametrize("name", ["a.tar", "a.zip"])
def test_any_flipped_bit_is_an_error_a_skip_or_the_same_number_of_texts(
    tmp_path: Path, name: str
) -> None:
    """Of every 37th byte: nothing is lost without a word."""
    PACKERS[name](tmp_path / name, TWO)
    whole = (tmp_path / name).read_bytes()
    for at in range(0, len(whole), 37):
        (tmp_path / name).write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        try:
            found = entries(tmp_path, on_error="skip")
        except RagbenchError:
            continue
        read = {entry.passage.doc_id for entry in found if isinstance(entry, Located)}
        told = [reason for reason in skips(found) if reason != archives.OTHER]
        assert len(read) + len(told) == 2 or skips(found).count(archives.OTHER) == 2


def test_a_bomb_of_zeros_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "SLACK", 0)
    for name in ("a.tar.gz", "a.zip"):
        PACKERS[name](tmp_path / name, {"big.nxml": bytes(30_000_000)})
        with pytest.raises(DataError, match="archive bomb"):
            entries(tmp_path)
        (tmp_path / name).unlink()
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 1000)
    tar(tmp_path / "a.tar", {"big.nxml": bytes(2000), "small.nxml": b"<article/>"}, "w")
    assert skips(entries(tmp_path)) == [archives.TOO_LARGE, "no text"]


BOMB = "<!DOCTYPE article [" + '<!ENTITY a "lol">'
BOMB += "".join(
    f'<!ENTITY {x} "{f"&{y};" * 10}">' for y, x in zip("abcdefgh", "bcdefghi", strict=True)
)
BOMB += "]><article><body><p>&i;</p></body></article>"
BAD = {
    "bomb": (BOMB.encode(), "declares entities"),
    "quadratic": (
        f'<!DOCTYPE a [<!ENTITY x "{"y" * 10_000}">]><article>{"&x;" * 10_000}</article>'.encode(),
        "declares entities",
    ),
    "external": (
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><article>&x;</article>',
        "declares entities",
    ),
    "parameter": (
        b'<!DOCTYPE a [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><article/>',
        "declares entities",
    ),
    "undeclared": (b"<article><body><p>&alpha;</p></body></article>", "not whole XML"),
    "deep": (b"<article>" + b"<p>" * 100_000 + b"</p>" * 100_000 + b"</article>", "more than 128"),
    "cut": (ARTICLE.encode()[:1500], "not whole XML"),
    "empty": (b"", "not whole XML"),
    "latin": (CHAPTER.replace("old", "\xe9").encode("latin-1"), "not whole XML"),
    "encoding": (CHAPTER.replace('"1.0"', '"1.0" encoding="nonsense"').encode(), "XML"),
    "other": (b"<html><body><p>Gout</p></body></html>", "no JATS article"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_file_stops_the_build_or_is_listed(tmp_path: Path, bad: str) -> None:
    data, message = BAD[bad]
    (tmp_path / "a.nxml").write_bytes(data)
    (tmp_path / "b.nxml").write_text(CHAPTER, encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        entries(tmp_path)
    assert caught.value.where == str(tmp_path / "a.nxml")
    tar(tmp_path / "c.tar.gz", {"x/bad.nxml": data, "x/good.nxml": CHAPTER.encode()})
    found = entries(tmp_path, on_error="skip")
    assert skips(found) == ["damage", "damage"]
    assert [entry.where for entry in found if isinstance(entry, Skipped)] == [
        str(tmp_path / "a.nxml"),
        f"{tmp_path / 'c.tar.gz'}: x/bad.nxml",
    ]
    assert len(texts(found)) == 4


def test_a_huge_attribute_and_a_long_line_are_read(tmp_path: Path) -> None:
    long = "word " * (10 * 2**20 // 5)
    text = CHAPTER.replace("<sec>", f'<sec x="{"y" * 5_000_000}">').replace("Urate.", long)
    (tmp_path / "a.nxml").write_text(text, encoding="utf-8")
    assert [len(text) for _, _, text in texts(entries(tmp_path))] == [27, len(long) - 1]


def build(home: Path, source: Path, **options: Any) -> Any:
    (home / "corpora").mkdir(exist_ok=True)
    card = {"reader": "nxml", "path": str(source), "options": options}
    (home / "corpora" / "c.yaml").write_text(json.dumps(card), encoding="utf-8")
    return build_corpus("c", replace=True)


def test_the_same_article_in_two_archives_is_named(home: Path) -> None:
    source = home / "source"
    source.mkdir()
    for name in ("a.tar.gz", "b.tar.gz"):
        tar(source / name, {"article-1.nxml": CHAPTER.encode()})
    with pytest.raises(DataError, match=r"article-1\.s1"):
        build(home, source)
    (source / "b.tar.gz").unlink()
    corpus = build(home, source)
    assert [passage.id for passage in corpus] == ["article-1.s1", "article-1.s2"]


def test_what_is_no_file_or_holds_none(tmp_path: Path) -> None:
    reader = NxmlReader(tmp_path, NxmlOptions())
    with pytest.raises(DataError, match="holds no file"):
        reader.sources()
    (tmp_path / ".hidden.nxml").write_text(CHAPTER, encoding="utf-8")
    with pytest.raises(DataError, match="holds no file"):
        reader.sources()
    with pytest.raises(DataError, match="not there"):
        NxmlReader(tmp_path / "nowhere", NxmlOptions()).sources()
    names = ["b10.nxml", "b9.xml", "sub/a.tar.gz", "note.txt", "b1.nxml.gz"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(gzip.compress(b""))
    assert [p.relative_to(tmp_path).as_posix() for p in reader.sources()] == [
        *("b9.xml", "b10.nxml", "sub/a.tar.gz")
    ]
