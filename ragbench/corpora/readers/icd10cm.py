"""The ICD-10-CM tabular list: one passage for each chapter, block and code with its notes.

Source: the National Center for Health Statistics' tabular list in XML, as carried by the
package simple-icd-10-cm (public domain); ``path`` reads another edition of the same file.
The XML is read rather than the package's look-up functions, because those find a block and
a category of the same name (B20, C7A and 37 more) under one key.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar
from xml.etree.ElementTree import Element

from ragbench.base.errors import DataError, PrerequisiteError
from ragbench.base.records import Passage
from ragbench.corpora.formats.raised import words
from ragbench.corpora.formats.xml import elements
from ragbench.corpora.reader import Located, ReaderOptions, Skipped

PACKAGE = "simple_icd_10_cm"
NOTES = {
    "inclusionTerm": "Inclusion terms",
    "includes": "Includes",
    "notes": "Notes",
    "codeFirst": "Code first",
    "useAdditionalCode": "Use additional code",
    "codeAlso": "Code also",
    "excludes1": "Excludes 1",
    "excludes2": "Excludes 2",
    "sevenChrNote": "Seventh character",
}


class Icd10cmOptions(ReaderOptions):
    """Which part of the list to read.

    Attributes:
        chapters: The numbers of the chapters; all of them if empty.
    """

    chapters: tuple[str, ...] = ()


class Icd10cmReader:
    """Streams the tabular list chapter by chapter, in the order of the book."""

    Options: ClassVar[type[ReaderOptions]] = Icd10cmOptions

    def __init__(self, path: Path | None, options: ReaderOptions) -> None:
        self.path = path
        self.options = Icd10cmOptions.model_validate(options.model_dump())

    def sources(self) -> list[Path]:
        """Return the file of the card's path, else the newest that the package carries.

        Raises DataError if the path of the card is not a file, and PrerequisiteError if there is no
        path and the package is not installed.
        """
        if self.path is not None:
            if not self.path.is_file():
                raise DataError(
                    "the tabular list is not there",
                    where=str(self.path),
                    fix="correct the card's path, or leave it out: the package has a list",
                )
            return [self.path]
        spec = find_spec(PACKAGE)
        folders = list(spec.submodule_search_locations or []) if spec else []
        found = [p for f in folders for p in sorted((Path(f) / "data").glob("*tabular*.xml"))]
        if not found:
            raise PrerequisiteError(
                "the ICD-10-CM tabular list is not installed",
                fix="pip install simple-icd-10-cm",
            )
        return found[-1:]

    def read(self) -> Iterator[Located | Skipped]:
        """Yield one passage for each node; its meta holds kind, parent, chapter and block."""
        (path,) = self.sources()
        wanted = set(self.options.chapters)
        seen: set[str] = set()
        for chapter in elements(path, "chapter"):
            number = _text(chapter, "name", path)
            seen.add(number)
            if not wanted or number in wanted:
                yield from _chapter_passages(chapter, number, path)
            chapter.clear()
        if not seen:
            raise DataError(
                "the file holds no chapter of a tabular list",
                where=str(path),
                fix="give the XML file of the National Center for Health Statistics",
            )
        if missing := wanted - seen:
            raise DataError(
                f"there is no chapter {', '.join(sorted(missing))}",
                where=str(path),
                fix=f"the chapters are {', '.join(sorted(seen, key=lambda n: (len(n), n)))}",
            )


def _chapter_passages(chapter: Element, number: str, path: Path) -> Iterator[Located]:
    root = f"chapter:{number}"
    base = {"chapter": number}
    opening = f"Chapter {number} of the tabular list."
    yield _passage(chapter, root, opening, base | {"kind": "chapter"}, path)
    for section in chapter.findall("section"):
        name = section.get("id", "")
        block = f"block:{name}"
        meta = base | {"block": name, "kind": "block", "parent": root}
        yield _passage(section, block, "Block of the tabular list.", meta, path)
        for code in section.findall("diag"):
            meta = base | {"block": name, "kind": "category", "parent": block}
            yield from _code_passages(code, meta, path, extended=False)


def _code_passages(
    code: Element, meta: dict[str, str], path: Path, *, extended: bool
) -> Iterator[Located]:
    """Yield a code and its children; ``extended`` codes need a seventh character to be billed."""
    name = _text(code, "name", path)
    children = code.findall("diag")
    extended = extended or code.find("sevenChrDef") is not None
    if children:
        opening, billable = "Heading of more specific codes.", "no"
    elif extended:
        opening, billable = "Billable with a seventh character.", "no"
    else:
        opening, billable = "Billable diagnosis code.", "yes"
    yield _passage(code, name, opening, meta | {"billable": billable}, path)
    for child in children:
        inner = meta | {"kind": "subcategory", "parent": name}
        yield from _code_passages(child, inner, path, extended=extended)


def _passage(
    node: Element, identifier: str, opening: str, meta: dict[str, str], path: Path
) -> Located:
    title = _text(node, "desc", path)
    if node.tag == "diag":  # chapters and blocks name their range themselves
        title = f"{title} ({identifier})"
    lines = [opening]
    for tag, heading in NOTES.items():
        notes = [words(n) for part in node.findall(tag) for n in part]
        if notes := [note for note in notes if note]:
            lines.append(f"{heading}: {'; '.join(notes)}".replace(":; ", ": "))
    seventh = [
        f"{extension.get('char', '?')} {' '.join((extension.text or '').split())}"
        for extension in node.findall("sevenChrDef/extension")
    ]
    if seventh:
        lines.append(f"Seventh characters: {'; '.join(seventh)}")
    passage = Passage(identifier, identifier, title, "\n".join(lines), meta)
    return Located(passage, f"{path}: {identifier}")


def _text(node: Element, tag: str, path: Path) -> str:
    text = " ".join((node.findtext(tag) or "").split())
    if not text:
        raise DataError(
            f"a <{node.tag}> of the tabular list has no <{tag}>",
            where=str(path),
            fix="give the tabular list as published, such as icd10cm-tabular-2026.xml",
        )
    return text
