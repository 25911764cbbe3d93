"""MedRAG's published snippets: JSON lines with ``id``, ``title`` and ``content``.

Source: Xiong et al. 2024 (arXiv 2402.13178); the files ``chunk/*.jsonl`` of the data sets
MedRAG/textbooks, statpearls, pubmed and wikipedia. Their field ``contents`` repeats title and
content and is not read. What the document of a snippet is differs from one set to the next:

    textbooks    Anatomy_Gray_0         prefix     the book
    statpearls   article-149_3          prefix     the chapter
    pubmed       pubmed23n0001_0        pmid       the abstract: the prefix is only a file of 30,000
    wikipedia    wiki20220301en000_0    wiki_id    the article: the prefix is only a file
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from ragbench.base.errors import DataError
from ragbench.base.files import read_jsonl
from ragbench.corpora.reader import FileReader, Located, ReaderOptions, Skipped, files_below
from ragbench.corpora.readers.jsonl import JsonlOptions, entry, string

ENDINGS = (".jsonl", ".jsonl.gz")


class SnippetOptions(JsonlOptions):
    """Which fields hold what, and which document a snippet is of.

    Attributes:
        id_field: The snippet's id.
        text_field: Its text.
        title_field: Its title.
        doc_id: ``id`` (each snippet is a document of its own), ``prefix`` (the id up to its last
            ``_``), ``pmid`` (the field ``PMID``) or the name of any other field.
    """

    id_field: str = "id"
    text_field: str = "content"
    title_field: str | None = "title"
    doc_id: str = "id"


class SnippetsReader(FileReader[SnippetOptions]):
    """Streams a folder, its subfolders too, in the natural order of the files' paths."""

    Options: ClassVar[type[ReaderOptions]] = SnippetOptions
    path_holds: ClassVar[str] = "the folder that holds chunk/*.jsonl"

    def sources(self) -> list[Path]:
        """Return the file itself, or those of the folder and its subfolders that are not hidden.

        Raises DataError if there is no such file, or the folder holds none.
        """
        return files_below(
            self.path,
            ENDINGS,
            what="the snippets",
            fix="give the folder that holds chunk/*.jsonl, as MedRAG publishes it; of a clone "
            "without its large files, type: git lfs pull",
        )

    def read_file(self, path: Path) -> Iterator[Located | Skipped]:
        """Yield one passage per snippet of one file."""
        for number, line in read_jsonl(path):
            yield snippet(line, self.options, f"{path}:{number}")


def snippet(line: Mapping[str, Any], options: SnippetOptions, where: str) -> Located | Skipped:
    """Return the passage of a snippet with the document that it is of.

    Args:
        line: Values by field.
        options: Which fields hold what.
        where: The place, for messages.

    Returns:
        A passage, or what was skipped.

    Raises:
        DataError: A field is missing or no text, or the id has no prefix where it should.
    """
    found = entry(line, options, where)
    if isinstance(found, Skipped) or options.doc_id == "id":
        return found
    if options.doc_id == "prefix":
        document, _, number = found.passage.id.rpartition("_")
        if not document or not number.isdigit():
            raise DataError(
                f"the id {found.passage.id!r} does not end in _ and a number",
                where=where,
                fix="set the reader's option doc_id to id, or to the field that names the document",
            )
    else:
        name = "PMID" if options.doc_id == "pmid" else options.doc_id
        document = string(line, name, where)
    return Located(replace(found.passage, doc_id=document), where)
