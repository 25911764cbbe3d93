"""Full texts of PubMed Central and chapters of NCBI's Bookshelf, such as StatPearls.

JATS and BITS files (``.nxml``, ``.xml``) in a folder or in archives as they are published
(``statpearls_NBK430685.tar.gz``, ``oa_comm_xml.PMC000xxxxxx.*.tar.gz``); archives are read as
streams and not unpacked. A passage is a section's own text; its title is that of the article and
those of the sections around it, parted by `` -- ``. Its id is ``ARTICLE.sN`` with N from 1, where
ARTICLE is the article's PMC number, else its file's name without the ending.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

from ragbench.base.errors import DataError
from ragbench.base.records import Passage
from ragbench.corpora.formats.archives import (
    ENDINGS,
    MAX_MEMBER_BYTES,
    TOO_LARGE,
    is_archive,
    members,
)
from ragbench.corpora.formats.jats import Article, article
from ragbench.corpora.formats.xml import root_of
from ragbench.corpora.reader import FileReader, Located, ReaderOptions, Skipped, files_below

XML = (".nxml", ".xml")
DEPTH = 128
BETWEEN = " -- "
KINDS = ", ".join((*XML, *ENDINGS))


class NxmlOptions(ReaderOptions):
    """What of the files is read.

    Attributes:
        tables: Whether the rows of tables are text, one line per row.
        citations: Whether references to the literature, such as ``[3]``, stay in the text.
        on_error: Whether a file that cannot be read stops the build, or is listed and counted.
    """

    tables: bool = True
    citations: bool = False
    on_error: Literal["stop", "skip"] = "stop"


class NxmlReader(FileReader[NxmlOptions]):
    """Streams a folder, its subfolders too, in the natural order of the files' paths."""

    Options: ClassVar[type[ReaderOptions]] = NxmlOptions
    path_holds: ClassVar[str] = f"a file or folder of {KINDS}"

    def sources(self) -> list[Path]:
        """Return the file itself, or those of the folder and its subfolders that are not hidden.

        Raises DataError if there is no such file, or the folder holds none.
        """
        return files_below(
            self.path,
            (*XML, *ENDINGS),
            what="the articles",
            fix="give the archive or the folder as it was published",
        )

    def read_file(self, path: Path) -> Iterator[Located | Skipped]:
        """Yield the sections of the articles of one file or archive."""
        if not is_archive(path):
            if path.stat().st_size > MAX_MEMBER_BYTES:
                detail = f"it has more than {MAX_MEMBER_BYTES:,} bytes"
                yield Skipped(TOO_LARGE, str(path), detail=detail, listed=True)
                return
            yield from self._article(path.read_bytes, str(path), path.stem)
            return
        for member in members(path, lambda name: name.lower().endswith(XML)):
            if isinstance(member, Skipped):
                yield member
            else:
                stem = PurePosixPath(member.name).stem
                yield from self._article(member.read, f"{path}: {member.name}", stem)

    def _article(
        self, read: Callable[[], bytes], where: str, stem: str
    ) -> Iterator[Located | Skipped]:
        try:
            found = self._parsed(read(), where)
        except DataError as error:
            if self.options.on_error == "stop":
                raise
            yield Skipped("damage", where, detail=error.what, listed=True)
            return
        name = found.ids.get("pmcid") or re.sub(r"\s+", "_", stem)
        for _ in range(found.n_translations):
            yield Skipped("an abstract in another language", where, id=name)
        for _ in range(found.n_others):
            yield Skipped("an article within an article", where, id=name)
        if not found.sections:
            yield Skipped("no text", where, id=name)
        meta = _meta(found)
        for number, section in enumerate(found.sections, 1):
            title = BETWEEN.join(part for part in (found.title, *section.titles) if part)
            passage = Passage(f"{name}.s{number}", name, title, section.text, meta)
            changes = found.changes if number == 1 else {}
            yield Located(passage, f"{where}: section {number}", changes=changes)

    def _parsed(self, data: bytes, where: str) -> Article:
        root = root_of(data, where, depth=DEPTH)
        options = self.options
        found = article(root, tables=options.tables, citations=options.citations)
        if found is None:
            raise DataError(
                f"the file is no JATS article or BITS chapter: it begins with <{root.tag}>",
                where=where,
                fix="remove it, or set the reader's option on_error: skip",
            )
        return found


def _meta(found: Article) -> dict[str, str]:
    meta = found.meta | found.ids
    if "pmcid" in meta:
        meta["url"] = f"https://pmc.ncbi.nlm.nih.gov/articles/{meta['pmcid']}/"
    return meta
