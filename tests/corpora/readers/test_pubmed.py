"""PubMed's files: what a record gives, which of several counts, and what is not PubMed's."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragbench.base.errors import DataError
from ragbench.corpora.build import build_corpus
from ragbench.corpora.formats import archives
from ragbench.corpora.open import open_corpus
from ragbench.corpora.reader import Located, Skipped
from ragbench.corpora.readers import pubmed
from ragbench.corpora.readers.pubmed import DELETED, REVISED, PubmedOptions, PubmedReader

HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD '
    'PubMedArticle, 1st January 2025//EN" "https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101'
    '.dtd">\n<PubmedArticleSet>\n'
)
FULL = """<PubmedArticle>
 <MedlineCitation Status="MEDLINE" Owner="NLM">
  <PMID Version="1">31452104</PMID>
  <DateCompleted><Year>2020</Year></DateCompleted>
  <Article PubModel="Print-Electronic">
   <Journal><ISSN IssnType="Print">0000-0000</ISSN><JournalIssue CitedMedium="Internet">
     <Volume>3</Volume><PubDate><MedlineDate>2019 Nov-Dec</MedlineDate></PubDate></JournalIssue>
    <Title>Joint &amp; bone</Title><ISOAbbreviation>Joint Bone</ISOAbbreviation></Journal>
   <ArticleTitle>Gout in <i>Homo
    sapiens</i>: H<sub>2</sub>O.</ArticleTitle>
   <ELocationID EIdType="pii" ValidYN="Y">S1</ELocationID>
   <ELocationID EIdType="doi" ValidYN="Y">10.1/x</ELocationID>
   <Abstract>
    <AbstractText Label="BACKGROUND" NlmCategory="BACKGROUND">Urate &gt; 6.8 mg/dl.</AbstractText>
    <AbstractText Label="UNLABELLED">Of <b>toes</b>.</AbstractText>
    <AbstractText Label="RESULTS"><math xmlns="http://www.w3.org/1998/Math/MathML"><mi>x</mi><mo>=</mo><mn>2</mn></math>.</AbstractText>
    <CopyrightInformation>Copyright.</CopyrightInformation>
   </Abstract>
   <PublicationTypeList><PublicationType UI="D016428">Journal Article</PublicationType>
    <PublicationType UI="D016454">Review</PublicationType></PublicationTypeList>
   <Language>eng</Language>
  </Article>
  <MedlineJournalInfo><MedlineTA>Joint Bone</MedlineTA></MedlineJournalInfo>
  <CommentsCorrectionsList><CommentsCorrections RefType="Cites"><PMID Version="1">7</PMID>
  </CommentsCorrections></CommentsCorrectionsList>
  <MeshHeadingList><MeshHeading><DescriptorName UI="D006073" MajorTopicYN="Y">Gout</DescriptorName>
   <QualifierName UI="Q000150">complications</QualifierName></MeshHeading>
   <MeshHeading><DescriptorName UI="D006801">Humans</DescriptorName></MeshHeading></MeshHeadingList>
  <OtherAbstract Type="Publisher" Language="spa"><AbstractText>Gota.</AbstractText></OtherAbstract>
 </MedlineCitation>
 <PubmedData><ReferenceList><Reference><ArticleIdList><ArticleId IdType="pubmed">9</ArticleId>
 </ArticleIdList></Reference></ReferenceList></PubmedData>
</PubmedArticle>
"""
BOOK = """<PubmedBookArticle><BookDocument><PMID Version="1">20301295</PMID>
 <ArticleIdList><ArticleId IdType="bookaccession">NBK1</ArticleId></ArticleIdList>
 <Book><BookTitle book="gene">GeneReviews</BookTitle><PubDate><Year>1993</Year></PubDate></Book>
 <ArticleTitle book="gene" part="x">Familial gout</ArticleTitle><Language>eng</Language>
 <PublicationType UI="D016454">Review</PublicationType>
 <Abstract><AbstractText>It runs in families.</AbstractText></Abstract>
</BookDocument></PubmedBookArticle>
"""


def record(pmid: int, text: str, version: int = 1) -> str:
    abstract = f"<Abstract><AbstractText>{text}</AbstractText></Abstract>" if text else ""
    return (
        f'<PubmedArticle><MedlineCitation><PMID Version="{version}">{pmid}</PMID><Article>'
        f"<ArticleTitle>Title {pmid}</ArticleTitle>{abstract}</Article></MedlineCitation>"
        "</PubmedArticle>\n"
    )


def deletion(*pmids: int | tuple[int, int]) -> str:
    """Return a deletion of first versions, or of (PMID, version)."""
    pairs = [pmid if isinstance(pmid, tuple) else (pmid, 1) for pmid in pmids]
    inner = "".join(f'<PMID Version="{version}">{pmid}</PMID>' for pmid, version in pairs)
    return f"<DeleteCitation>{inner}</DeleteCitation>\n"


def write(path: Path, *records: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = (HEAD + "".join(records) + "</PubmedArticleSet>\n").encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def entries(path: Path, **options: Any) -> list[Located | Skipped]:
    return list(PubmedReader(path, PubmedOptions.model_validate(options)).read())


def texts(found: Iterable[Located | Skipped]) -> dict[str, str]:
    passages = [entry.passage for entry in found if isinstance(entry, Located)]
    assert len({passage.id for passage in passages}) == len(passages)
    return {passage.id: passage.text for passage in passages}


def skips(found: Iterable[Located | Skipped]) -> list[tuple[str, str]]:
    return [(entry.id, entry.reason) for entry in found if isinstance(entry, Skipped)]


def test_a_record_is_its_abstract_with_labels(tmp_path: Path) -> None:
    write(tmp_path / "pubmed26n0001.xml.gz", FULL, BOOK)
    article, book = [e.passage for e in entries(tmp_path) if isinstance(e, Located)]
    assert (article.id, article.doc_id) == ("31452104", "31452104")
    assert article.title == "Gout in Homo sapiens: H2O."
    assert article.text == "BACKGROUND: Urate > 6.8 mg/dl.\nOf toes.\nRESULTS: x=2."
    assert article.meta == {
        "journal": "Joint & bone",
        "year": "2019",
        "doi": "10.1/x",
        "publication_types": "Journal Article; Review",
        "mesh": "Gout; Humans",
        "url": "https://pubmed.ncbi.nlm.nih.gov/31452104/",
    }
    assert (book.id, book.title, book.text) == (
        *("20301295", "Familial gout", "It runs in families."),
    )
    assert book.meta == {
        "book": "GeneReviews",
        "year": "1993",
        "publication_types": "Review",
        "url": "https://pubmed.ncbi.nlm.nih.gov/20301295/",
    }


def test_a_year_is_found_where_nothing_parts_it_from_the_month(tmp_path: Path) -> None:
    """As in what E-utilities give; the yearly files have each element on a line of its own."""
    date = "<PubDate><Year>2001</Year><Month>Jan</Month><Day>03</Day></PubDate>"
    journal = f"<Journal><JournalIssue>{date}</JournalIssue><Title>Toe</Title></Journal>"
    given = record(5, "Gout.").replace("<ArticleTitle>", f"{journal}<ArticleTitle>")
    book = BOOK.replace("<Year>1993</Year>", "<Year>1993</Year><Month>02</Month>")
    write(tmp_path / "efetch.xml", given, book)
    found = [e.passage.meta.get("year") for e in entries(tmp_path) if isinstance(e, Located)]
    assert found == ["2001", "1993"]


def test_mesh_and_titles_are_options(tmp_path: Path) -> None:
    write(tmp_path / "pubmed26n0001.xml", FULL, record(5, ""))
    assert skips(entries(tmp_path)) == [("5", "no abstract")]
    with_title = entries(tmp_path, without_abstract="title", mesh=False)
    assert texts(with_title)["5"] == "Title 5"
    assert not any("mesh" in e.passage.meta for e in with_title if isinstance(e, Located))
    last = with_title[-1]
    assert isinstance(last, Located)
    assert last.passage.title == ""


def test_the_later_file_has_the_later_word(tmp_path: Path) -> None:
    """Numbers, not names or folders, order the files: n0010 is after n0009."""
    write(
        tmp_path / "baseline" / "pubmed26n0009.xml.gz",
        *(record(n, f"old {n}") for n in (1, 2, 3, 4, 5)),
    )
    write(tmp_path / "updatefiles" / "pubmed26n0010.xml.gz", record(2, "new 2"), deletion(3, 99))
    write(tmp_path / "a" / "pubmed26n0011.xml.gz", record(4, ""), record(6, "new 6"), deletion(2))
    found = entries(tmp_path)
    assert texts(found) == {"6": "new 6", "1": "old 1", "5": "old 5"}
    assert skips(found) == [
        ("4", "no abstract"),  # the revision has lost it: the old one is not the record any more
        ("2", DELETED),
        ("2", REVISED),
        ("3", DELETED),
        ("4", REVISED),
    ]


def test_what_was_deleted_may_come_back(tmp_path: Path) -> None:
    write(tmp_path / "pubmed26n0001.xml", record(1, "first"))
    write(tmp_path / "pubmed26n0002.xml", deletion(1))
    write(tmp_path / "pubmed26n0003.xml", record(1, "again"))
    assert texts(entries(tmp_path)) == {"1": "again"}


def test_the_highest_version_in_a_file_counts_and_of_equals_the_last(tmp_path: Path) -> None:
    write(
        tmp_path / "pubmed26n0001.xml",
        *(record(1, "one", 1), record(1, "three", 3), record(1, "two", 2)),
        *(record(2, "a"), record(2, "b")),
    )
    found = entries(tmp_path)
    assert texts(found) == {"1": "three", "2": "b"}
    assert skips(found) == [("1", REVISED), ("1", REVISED), ("2", REVISED)]


def test_each_version_is_revised_and_deleted_by_itself(tmp_path: Path) -> None:
    """By the NLM PMID and version name a record; the highest that is left is shown."""
    write(
        tmp_path / "pubmed26n0001.xml",
        *(record(n, f"{n}.1") for n in (1, 2, 3, 4)),
        *(record(n, f"{n}.2", 2) for n in (1, 2, 3, 4)),
        record(4, "4.3", 3),
    )
    write(tmp_path / "pubmed26n0002.xml", record(1, "1.1 revised"), deletion(2, (3, 2), (4, 3)))
    write(tmp_path / "pubmed26n0003.xml", record(4, "4.2 revised", 2))
    found = entries(tmp_path)
    assert texts(found) == {"1": "1.2", "2": "2.2", "3": "3.1", "4": "4.2 revised"}
    assert skips(found) == [
        ("1", REVISED),  # the first version, though its revision is later
        *((n, REVISED) for n in ("1", "2", "4")),
        ("3", DELETED),
        ("4", REVISED),
        ("4", DELETED),
    ]


Action = tuple[str, int, int]
ACTIONS = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["record", "record", "delete"]), st.integers(1, 6), st.integers(1, 3)
        ),
        max_size=6,
    ),
    min_size=1,
    max_size=5,
)


def replayed(files: list[list[Action]]) -> dict[str, str]:
    """The files in the order in which they were published, one after another, into a dict."""
    held: dict[tuple[str, int], str] = {}
    for number, actions in enumerate(files):
        for place, (kind, pmid, version) in enumerate(actions):
            if kind == "record":
                held[str(pmid), version] = f"file {number} place {place}"
        for kind, pmid, version in actions:
            if kind == "delete":
                held.pop((str(pmid), version), None)
    return {pmid: held[pmid, version] for pmid, version in sorted(held)}  # the highest is last


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(files=ACTIONS, start=st.integers(0, 4))
def test_any_history_gives_what_a_replay_gives(
    tmp_path: Path, files: list[list[Action]], start: int
) -> None:
    for path in tmp_path.iterdir():
        path.unlink()
    for number, actions in enumerate(files):
        records = [
            record(pmid, f"file {number} place {place}", version)
            for place, (kind, pmid, version) in enumerate(actions)
            if kind == "record"
        ]
        gone = [(pmid, version) for kind, pmid, version in actions if kind == "delete"]
        write(
            tmp_path / f"pubmed26n{number + 8:04d}.xml", *records, deletion(*gone) if gone else ""
        )
    found = entries(tmp_path)
    assert texts(found) == replayed(files)
    n_records = sum(kind == "record" for actions in files for kind, _, _ in actions)
    assert len(found) == n_records
    # A build that was killed asks another reader for the files that are left.
    reader = PubmedReader(tmp_path, PubmedOptions())
    rest = reader.sources()[start:]
    again = [entry for path in rest for entry in reader.read_file(path)]
    assert again == (found[-len(again) :] if again else [])


def test_every_abstract_is_that_of_an_independent_parser(tmp_path: Path) -> None:
    path = tmp_path / "pubmed26n0001.xml"
    write(path, *(record(n, f"Abstract &amp; <i>text</i> of {n}.") for n in range(1, 200)))
    tree = ElementTree.parse(path)
    expected = {
        article.findtext(".//PMID"): "".join(article.find(".//AbstractText").itertext())  # type: ignore[union-attr]
        for article in tree.iter("PubmedArticle")
    }
    assert texts(entries(tmp_path)) == expected


def test_numbers_are_found_across_the_blocks_in_which_a_file_is_read(tmp_path: Path) -> None:
    filler = "word " * 60_000
    write(tmp_path / "pubmed26n0001.xml", *(record(n, filler) for n in range(1, 40)))
    assert len(texts(entries(tmp_path))) == 39


@pytest.mark.parametrize("tag", ["<PMID ", "<MedlineCitation ", '<PMID Version="1" '])
def test_tags_without_an_end_take_no_quadratic_time(tmp_path: Path, tag: str) -> None:
    (tmp_path / "pubmed26n0001.xml").write_text(HEAD + tag * 10**5, encoding="utf-8")
    start = time.process_time()
    with pytest.raises(DataError, match="not whole XML"):
        entries(tmp_path)
    assert time.process_time() - start < 5  # they took minutes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not whole XML"),
        (HEAD.encode() + record(1, "cut").encode(), "not whole XML"),
        (b"<html><p>Gout</p></html>", "not one of PubMed's"),
        ((HEAD + record(1, "x").replace("PMID", "ID") + "</PubmedArticleSet>").encode(), "no PMID"),
        ((HEAD + record(0, "x") + "</PubmedArticleSet>").encode(), "0 is no PMID"),
        ((HEAD + record(10**9, "x") + "</PubmedArticleSet>").encode(), "is no PMID"),
        (
            (HEAD + record(1, "x").replace('"1"', '"one"') + "</PubmedArticleSet>").encode(),
            "no PMID where it should",
        ),
        (
            (
                HEAD + "<!-- " + record(1, "x") + "-->" + record(2, "y") + "</PubmedArticleSet>"
            ).encode(),
            "no PMID where it should",
        ),
        (
            (HEAD + record(2, "y") + "<!-- " + record(1, "x") + "--></PubmedArticleSet>").encode(),
            "1 records, and 2 PMIDs",
        ),
        (
            (HEAD.replace('.dtd">', ".dtd\" [<!ENTITY a 'b'>]>") + "</PubmedArticleSet>").encode(),
            "declares entities",
        ),
        ((HEAD + record(1, "x\xff") + "</PubmedArticleSet>").encode("latin-1"), "not whole XML"),
    ],
)
def test_what_is_not_pubmeds_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "pubmed26n0001.xml"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        entries(tmp_path)
    assert caught.value.where == str(path)


def test_a_truncated_gzip_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "pubmed26n0001.xml.gz"
    write(path, *(record(n, f"text {n * 7919}") for n in range(1, 300)))
    whole = path.read_bytes()
    for kept in (1, len(whole) // 3, len(whole) - 4):
        path.write_bytes(whole[:kept])
        with pytest.raises(DataError, match="cannot be unpacked"):
            entries(tmp_path)


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "SLACK", 0)
    write(tmp_path / "pubmed26n0001.xml.gz", record(1, "a" * 20_000_000))
    with pytest.raises(DataError, match="archive bomb"):
        entries(tmp_path)


def test_nesting_without_end_is_read_or_refused(tmp_path: Path) -> None:
    deep = "<i>" * 100_000 + "x" + "</i>" * 100_000
    write(tmp_path / "pubmed26n0001.xml", record(1, deep), record(2, "y"))
    assert texts(entries(tmp_path)) == {"1": "x", "2": "y"}


def test_files_twice_and_of_two_years_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "pubmed26n0001.xml.gz", record(1, "x"))
    write(tmp_path / "sub" / "pubmed26n0001.xml", record(1, "x"))
    with pytest.raises(DataError, match="there twice"):
        entries(tmp_path)
    (tmp_path / "sub" / "pubmed26n0001.xml").unlink()
    write(tmp_path / "sub" / "pubmed25n1200.xml.gz", record(1, "x"))
    with pytest.raises(DataError, match="several years' baselines: 25, 26"):
        entries(tmp_path)
    with pytest.raises(DataError, match="not there"):
        entries(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no"):
        entries(tmp_path / "empty")


KILLED = """
import os, signal, sys
from ragbench.corpora import build, ingest
from ragbench.corpora.build import build_corpus
from ragbench.corpora.readers.pubmed import PubmedReader

build.BATCH_ROWS, ingest.PART_BATCHES = 100, 1
entry, seen = PubmedReader._entry, []

def killed(self, *given):
    seen.append(given)
    if len(seen) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return entry(self, *given)

PubmedReader._entry = killed
build_corpus("p")
print(len(seen))
"""


@pytest.mark.slow
def test_a_killed_build_goes_on_and_ends_the_same(home: Path) -> None:
    source = home / "source"
    for number in range(3):  # each revises a third of the one before
        first = 200 * number + 1
        some = [record(n, f"of {number}: {n}") for n in range(first, first + 300)]
        write(source / f"pubmed26n{number + 1:04d}.xml.gz", *some, deletion(first + 3))
    (home / "corpora").mkdir()
    card = {"reader": "pubmed", "path": str(source)}
    for name in ("p", "whole"):
        (home / "corpora" / f"{name}.yaml").write_text(json.dumps(card), encoding="utf-8")
    whole = build_corpus("whole").manifest
    assert whole.n_passages == 697  # the PMIDs 1 to 700 less 4, 204 and 404
    command = [sys.executable, "-c", KILLED]
    done = subprocess.run([*command, "500"], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    again = subprocess.run([*command, "0"], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    # Of 900 records 499 had been seen. Of the last file's 299 passages and of the 200 records of
    # the middle file 400 lay in parts; its records before that place are parsed a second time.
    assert again.stdout.strip() == str(900 - 300)
    built = open_corpus("p").manifest
    assert (built.digest, built.skipped) == (whole.digest, whole.skipped)
    assert sum(built.skipped.values()) + built.n_passages == 900
    assert [p.text for p in open_corpus("p")] == [p.text for p in open_corpus("whole")]


def test_memory_is_bounded_by_the_file(tmp_path: Path) -> None:
    """A file of 30,000 records, the number in PubMed's, of about 1,000 characters each."""
    write(
        tmp_path / "pubmed26n0001.xml.gz",
        *(record(n, f"gout {n} " * 100) for n in range(1, 30_001)),
    )
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from ragbench.corpora.readers.pubmed import PubmedOptions, PubmedReader\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "n = sum(1 for _ in PubmedReader(Path(sys.argv[1]), PubmedOptions()).read())\n"
        "print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    given = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(given, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    count, grown = map(int, done.stdout.split())
    assert count == 30_000
    assert grown < 100_000  # kB; the XML has 33 MB, its tree would have 100 MB


def test_the_bits_of_pmids(tmp_path: Path) -> None:
    spoken = pubmed._Spoken()
    spoken.add(pubmed._File([(8, 1), (9, 1)], {8: 0, 9: 1}, {1, 99_999_999}))
    said = {n: spoken.word_on(n) for n in (1, 7, 8, 9, 10, 99_999_999)}
    assert said == {1: DELETED, 7: "", 8: REVISED, 9: REVISED, 10: "", 99_999_999: DELETED}
