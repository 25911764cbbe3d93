"""MedQuAD: one passage for each answered question of the collection's XML files.

Source: Ben Abacha and Demner-Fushman, A question-entailment approach to question answering,
BMC Bioinformatics 20:511 (2019); the files of https://github.com/abachaa/MedQuAD, CC BY 4.0.
A passage's id is that of the collection's relevance judgements: ``SOURCE_STEM_SecN``, where
SOURCE is the document's own ``source``, STEM the file's name without its ending and N the place
of the pair in the file from 1 (the number in a pair's ``qid`` skips some). The answers of three
folders (10 to 12) were taken out by the publisher; their pairs are counted as skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar
from xml.etree.ElementTree import Element

from ragbench.base.errors import DataError
from ragbench.base.records import Passage
from ragbench.corpora.formats.raised import marked, plain, words
from ragbench.corpora.formats.xml import elements
from ragbench.corpora.reader import FileReader, Located, ReaderOptions, Skipped, files_below

LAYOUT = "a folder with 1_CancerGov_QA/*.xml, 2_GARD_QA/*.xml and so on, or one such subfolder"
ROOTS = ("Document", "DiseaseFile")  # the second in a few files of the published collection
ORIGIN = "https://github.com/abachaa/MedQuAD"


class MedquadOptions(ReaderOptions):
    """The reader has no options."""


class MedquadReader(FileReader[MedquadOptions]):
    """Streams the collection's folder, or one of its subfolders, file by file."""

    Options: ClassVar[type[ReaderOptions]] = MedquadOptions
    path_holds: ClassVar[str] = LAYOUT

    def sources(self) -> list[Path]:
        """Return the XML files, folders by their number and files by name.

        Raises DataError if there is no such folder, or it holds no XML file.
        """
        fix = f"get the collection from {ORIGIN} and put it there: {LAYOUT}"
        if not self.path.is_dir():
            raise DataError("the MedQuAD collection is not there", where=str(self.path), fix=fix)
        found = files_below(self.path, (".xml",), what="the MedQuAD files", fix=fix)
        return sorted(found, key=lambda p: (_number(p.parent.name), p.parent.name, p.name))

    def read_file(self, path: Path) -> Iterator[Located | Skipped]:
        """Yield one passage for each question with an answer of one file."""
        documents = 0
        for document in elements(path, *ROOTS):
            documents += 1
            yield from _pairs(document, path)
        if not documents:
            raise DataError(
                "the file is not one of MedQuAD's: it has no <Document>",
                where=str(path),
                fix=f"remove the file, or give {LAYOUT}",
            )


def _number(folder: str) -> int:
    found = re.match(r"\d+", folder)
    return int(found[0]) if found else 0


def _pairs(document: Element, path: Path) -> Iterator[Located | Skipped]:
    source = document.get("source", "")
    if not source:
        raise DataError(
            "the document has no source, which its passages' ids begin with",
            where=str(path),
            fix='write <Document source="..." ...> as the published files do',
        )
    base = _annotations(document) | {"source": source, "url": document.get("url", "")}
    pairs = document.findall(".//QAPair")
    if not pairs:
        yield Skipped("no question", str(path))
    for position, pair in enumerate(pairs, 1):
        where = f"{path}: pair {position}"
        answer = pair.find("Answer")
        text = _lines("" if answer is None else plain("".join(marked(answer))))
        if not text:
            yield Skipped("no answer", where)
            continue
        question = pair.find("Question")
        kind = "" if question is None else question.get("qtype", "")
        meta = {key: value for key, value in (base | {"question_type": kind}).items() if value}
        identifier = f"{source}_{path.stem}_Sec{position}"
        yield Located(Passage(identifier, identifier, words(question), text, meta), where)


def _annotations(document: Element) -> dict[str, str]:
    """Return the focus and its UMLS annotations; several of a kind are parted by ``; ``."""
    found = {"focus": words(document.find(".//Focus"))}
    for tag, key in (
        ("CUI", "cuis"),
        ("SemanticType", "semantic_types"),
        ("SemanticGroup", "semantic_group"),
    ):
        values = (words(element) for element in document.iter(tag))
        found[key] = "; ".join(value for value in values if value)
    return found


def _lines(text: str) -> str:
    """Collapse the blanks within each line and drop empty lines."""
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)
