"""PubMed as the National Library of Medicine publishes it: a yearly baseline and daily updates.

Files ``pubmed26n0001.xml.gz`` and so on, each a ``PubmedArticleSet``; the later file has the later
word on a PMID: it may revise the record, or delete it (``DeleteCitation``). So files are read from
the last to the first, and records that a later file replaces or deletes are skipped. If a PMID has
several versions, each is revised and deleted by itself, and the highest that is left counts,
whichever file it is in. A passage is an abstract, its id the PMID.

Source: Torre S., Versioning in PubMed, NLM Technical Bulletin 384 (2012), e6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal
from xml.etree.ElementTree import Element

import numpy as np

from ragbench.base.errors import DataError
from ragbench.base.progress import Progress
from ragbench.base.records import Passage
from ragbench.corpora.formats.archives import unpacked
from ragbench.corpora.formats.raised import words
from ragbench.corpora.formats.xml import elements
from ragbench.corpora.reader import (
    FileReader,
    Located,
    ReaderOptions,
    Skipped,
    files_below,
    natural,
)

ENDINGS = (".xml", ".xml.gz")
ROOTS = ("PubmedArticleSet", "PubmedBookArticleSet")
RECORDS = ("PubmedArticle", "PubmedBookArticle")
DELETIONS = ("DeleteCitation", "DeleteDocument")
NAME = re.compile(r"pubmed(\d+)n\d+\.xml(?:\.gz)?")
MAX_PMID = 10**8
REVISED = "a later record of the same PMID"
DELETED = "deleted by a later file"
FIX = "get the baseline files and the update files from the National Library of Medicine"

# What says which records a file holds, found without building the XML's tree; no tag is looked at
# beyond the next one, so that no file takes quadratic time.
NUMBER = rb"<PMID\b(?:[^<>]*?\bVersion\s*=\s*[\"']\s*(\d{1,9}))?[^<>]*>\s*(\d+)\s*</PMID\s*>"
MARKS = re.compile(
    rb"<(?:MedlineCitation|BookDocument)\b[^<>]*>\s*" + NUMBER
    + rb"|<(/?)Delete(?:Citation|Document)\s*>|" + NUMBER
)  # fmt: skip
LONGEST_MARK = 4096


class PubmedOptions(ReaderOptions):
    """What of the records is read.

    Attributes:
        without_abstract: Whether a record that has no abstract is skipped, or its title is
            the passage.
        mesh: Whether the MeSH headings are kept in meta.
    """

    without_abstract: Literal["skip", "title"] = "skip"
    mesh: bool = True


@dataclass
class _Spoken:
    """What files speak of, by PMID.

    Attributes:
        revised: A bit for each PMID that has a record.
        deleted: A bit for each that is deleted.
    """

    revised: np.ndarray = field(default_factory=lambda: np.zeros(MAX_PMID // 8, np.uint8))
    deleted: np.ndarray = field(default_factory=lambda: np.zeros(MAX_PMID // 8, np.uint8))

    def add(self, file: _File) -> None:
        """Take in a file that is older than those before; a later deletion stands."""
        for bits, numbers in (
            (self.revised, np.fromiter(file.winners, np.int64)),
            (self.deleted, np.fromiter(file.deleted, np.int64)),
        ):
            np.bitwise_or.at(bits, numbers >> 3, (1 << (numbers & 7)).astype(np.uint8))

    def word_on(self, pmid: int) -> str:
        """Return why a record is skipped; empty if nothing was said."""
        if self.revised[pmid >> 3] >> (pmid & 7) & 1:
            return REVISED
        return DELETED if self.deleted[pmid >> 3] >> (pmid & 7) & 1 else ""


@dataclass
class _File:
    """Which records one file holds.

    Attributes:
        records: PMID and version of each, in their order.
        winners: By PMID the place of the last record of the version that counts.
        deleted: The PMIDs whose version that counts it deletes.
    """

    records: list[tuple[int, int]] = field(default_factory=list)
    winners: dict[int, int] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)


class PubmedReader(FileReader[PubmedOptions]):
    """Streams a folder of PubMed's files, its subfolders too, the last file first."""

    Options: ClassVar[type[ReaderOptions]] = PubmedOptions
    path_holds: ClassVar[str] = "the folder of pubmed*.xml.gz"

    def __init__(self, path: Path | None, options: ReaderOptions) -> None:
        super().__init__(path, options)
        self._spoken = _Spoken()
        self._n_spoken = 0  # of how many sources `_spoken` knows

    def sources(self) -> list[Path]:
        """Return the files, the last of PubMed's numbers first.

        Returns:
            The file itself, or those of the folder and its subfolders; hidden ones are left out.

        Raises:
            DataError: There is no such file, the folder holds none, one is there twice, or they
                are of two years' baselines.
        """
        found = files_below(self.path, ENDINGS, what="PubMed's files", fix=FIX)
        by_stem: dict[str, Path] = {}
        for path in sorted(found):
            other = by_stem.setdefault(path.name.partition(".")[0], path)
            if other != path:
                raise DataError(
                    f"the file is there twice, also as {other}",
                    where=str(path),
                    fix="keep one of the two",
                )
        years = {name[1] for path in found if (name := NAME.fullmatch(path.name))}
        if len(years) > 1:
            raise DataError(
                f"the files are of several years' baselines: {', '.join(sorted(years))}",
                where=str(self.path),
                fix="keep one year's baseline and the updates to it: a baseline holds all records",
            )
        return sorted(found, key=lambda path: natural(path.name), reverse=True)

    @cached_property
    def _sources(self) -> list[Path]:
        return self.sources()

    @cached_property
    def _versions(self) -> dict[int, int]:
        """The version that counts of each PMID for which that is not the first."""
        stands: dict[tuple[int, int], bool] = {}  # what was said last
        progress = Progress("PubMed's versions: files", len(self._sources))
        for path in self._sources:
            later = [mark for mark in _marks(path) if mark[2] > 1]
            for is_deletion, pmid, version in sorted(later, reverse=True):  # deletions first
                stands.setdefault((pmid, version), not is_deletion)
            progress.advance()
        return dict(sorted(each for each, is_there in stands.items() if is_there))

    def read(self) -> Iterator[Located | Skipped]:
        """Yield one passage per abstract."""
        for path in self._sources:
            yield from self.read_file(path)

    def read_file(self, path: Path) -> Iterator[Located | Skipped]:
        """Yield one passage an abstract of one file that no later file speaks of."""
        place = self._sources.index(path)
        self._hear(place)
        file = _scan(path, self._versions)
        position, is_set = 0, False
        with unpacked(path) as handle:
            tags = (*RECORDS, *ROOTS)
            for element in elements(path, *tags, handle=handle, depth=None):
                if element.tag in ROOTS:
                    is_set = True
                    continue
                yield self._entry(element, path, file, position)
                position += 1
                element.clear()
        if position != len(file.records) or not is_set:
            raise _unfit(path, f"it has {position:,} records, and {len(file.records):,} PMIDs")
        self._spoken.add(file)
        self._n_spoken = place + 1

    def _hear(self, place: int) -> None:
        """Know what the sources before one speak of, and nothing else."""
        if self._n_spoken > place:
            self._spoken, self._n_spoken = _Spoken(), 0
        for path in self._sources[self._n_spoken : place]:
            self._spoken.add(_scan(path, self._versions))
            self._n_spoken += 1

    def _entry(self, element: Element, path: Path, file: _File, position: int) -> Located | Skipped:
        is_book = element.tag == "PubmedBookArticle"
        record = element.find("BookDocument" if is_book else "MedlineCitation")
        number = None if record is None else record.find("PMID")
        if record is None or number is None or position >= len(file.records):
            raise _unfit(path, f"record {position + 1:,} has no PMID")
        pmid, version = file.records[position]
        if [words(number), (number.get("Version") or "1").strip()] != [str(pmid), str(version)]:
            raise _unfit(path, f"record {position + 1:,} has no PMID where it should")
        where = f"{path}: PMID {pmid}"
        said = self._said(pmid, version, file, position)
        if said:
            return Skipped(said, where, id=str(pmid))
        source = record if is_book else record.find("Article")
        found = _passage(pmid, record, source, self.options)
        return Skipped("no abstract", where, id=str(pmid)) if not found else Located(found, where)

    def _said(self, pmid: int, version: int, file: _File, position: int) -> str:
        """Return why a record is skipped; empty if it counts."""
        counts = self._versions.get(pmid, 1)
        if version > counts:  # else it would count
            return DELETED
        if version < counts or file.winners[pmid] != position:
            return REVISED
        return DELETED if pmid in file.deleted else self._spoken.word_on(pmid)


def _unfit(path: Path, what: str) -> DataError:
    return DataError(f"the file is not one of PubMed's: {what}", where=str(path), fix=FIX)


def _scan(path: Path, versions: dict[int, int]) -> _File:
    """Return which records a file holds, and which of them count."""
    file = _File()
    for is_deletion, pmid, version in _marks(path):
        counts = version == versions.get(pmid, 1)
        if is_deletion and counts:
            file.deleted.add(pmid)
        elif not is_deletion:
            if counts:
                file.winners[pmid] = len(file.records)
            file.records.append((pmid, version))
    return file


def _marks(path: Path) -> Iterator[tuple[bool, int, int]]:
    """Yield whether it is a deletion, PMID and version of each in a file, without parsing it."""
    rest = b""
    is_deleting = False
    with unpacked(path) as handle:
        while block := handle.read(1 << 20):
            data = rest + block
            done = 0
            for mark in MARKS.finditer(data):
                done = mark.end()
                version, pmid, end, version_deleted, deleted = mark.groups()
                if pmid is not None:
                    yield False, _number(pmid, path), int(version or 1) or 1
                elif end is not None:
                    is_deleting = not end
                elif is_deleting:
                    yield True, _number(deleted, path), int(version_deleted or 1) or 1
            rest = data[max(done, len(data) - LONGEST_MARK) :]


def _number(digits: bytes, path: Path) -> int:
    pmid = int(digits[:12])
    if not 0 < pmid < MAX_PMID:
        raise _unfit(path, f"{pmid} is no PMID")
    return pmid


def _passage(
    pmid: int, record: Element, source: Element | None, options: PubmedOptions
) -> Passage | None:
    if source is None:
        return None
    title = words(source.find("ArticleTitle")) or words(source.find("VernacularTitle"))
    title = title or words(source.find("Book/BookTitle"))
    lines = [_part(part) for part in source.iterfind("Abstract/AbstractText")]
    text = "\n".join(line for line in lines if line)
    if not text and options.without_abstract == "title":
        title, text = "", title
    if not text:
        return None
    return Passage(str(pmid), str(pmid), title, text, _meta(pmid, record, source, options))


def _part(part: Element) -> str:
    text, label = words(part), (part.get("Label") or "").strip()
    return f"{label}: {text}" if text and label and label != "UNLABELLED" else text


def _meta(pmid: int, record: Element, source: Element, options: PubmedOptions) -> dict[str, str]:
    date = source.find("Journal/JournalIssue/PubDate")
    if date is None:
        date = source.find("Book/PubDate")
    parts = "" if date is None else " ".join(date.itertext())  # E-utilities put no blanks between
    year = re.search(r"\b[12][0-9]{3}\b", parts)
    doi = (e for e in source.iterfind("ELocationID") if e.get("EIdType") == "doi")
    types = [words(kind) for kind in source.iterfind("PublicationTypeList/PublicationType")]
    types += [words(kind) for kind in source.iterfind("PublicationType")]
    headings = record.iterfind("MeshHeadingList/MeshHeading/DescriptorName")
    found = {
        "journal": words(source.find("Journal/Title"))
        or words(record.find("MedlineJournalInfo/MedlineTA")),
        "book": words(source.find("Book/BookTitle")),
        "year": year[0] if year else "",
        "doi": words(next(doi, None)),
        "publication_types": "; ".join(types),
        "mesh": "; ".join(map(words, headings)) if options.mesh else "",
        "url": f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/",
    }
    return {key: value for key, value in found.items() if value}
