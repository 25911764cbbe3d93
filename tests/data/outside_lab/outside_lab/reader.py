"""Ward notes in a text file: each note begins with a line ``# ID: title``."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from ragbench.base.errors import DataError
from ragbench.base.records import Passage
from ragbench.corpora.reader import FileReader, Located, ReaderOptions, Skipped, files_at

HEAD = re.compile(r"# (?P<id>\S+): (?P<title>.*)")


class NotesOptions(ReaderOptions):
    """Options of the reader.

    Attributes:
        ending: Ending of the files that are read where the card's path is a folder.
    """

    ending: str = ".notes"


class NotesReader(FileReader[NotesOptions]):
    """Reads one file of notes, or every such file of a folder by name."""

    Options: ClassVar[type[ReaderOptions]] = NotesOptions
    path_holds: ClassVar[str] = "a file of notes, or a folder of such files"

    def sources(self) -> list[Path]:
        """Return the files in the order of their names."""
        ending = self.options.ending
        return files_at(self.path, lambda path: path.name.endswith(ending), what=ending)

    def read_file(self, path: Path) -> Iterator[Located | Skipped]:
        """Yield one passage per note; a note without text is skipped and counted."""
        head, where, lines = None, str(path), list[str]()
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if found := HEAD.fullmatch(line.strip()):
                    if head:
                        yield _entry(head, lines, where)
                    head, where, lines = found, f"{path}:{number}", []
                elif head or not line.strip():
                    lines.append(line)
                else:
                    break
        if head is None:
            fix = "begin each note with a line `# ID: title`"
            raise DataError("the file does not begin with a note", where=where, fix=fix)
        yield _entry(head, lines, where)


def _entry(head: re.Match[str], lines: list[str], where: str) -> Located | Skipped:
    if text := "".join(lines).strip():
        return Located(Passage(head["id"], head["id"], head["title"], text), where)
    return Skipped("no text", where, head["id"])
