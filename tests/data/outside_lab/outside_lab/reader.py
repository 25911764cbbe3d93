"""Ward notes in a text file: each note begins with a line ``# ID: title``."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from ragbench.base.errors import DataError
from ragbench.base.records import Passage
from ragbench.corpora.reader import FileReader, Located, ReaderOptions, Skipped, files_at

HEAD = re.compile(r"^# (\S+): (.*)$", re.MULTILINE)  # splits into id, title and text


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
        try:
            before, *parts = HEAD.split(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            what = f"the file is not UTF-8: {error}"
            raise DataError(what, where=str(path), fix="save it as UTF-8") from None
        if before.strip() or not parts:
            fix = "begin each note with a line `# ID: title`"
            raise DataError("the file does not begin with a note", where=str(path), fix=fix)
        number = 1 + before.count("\n")
        for note, title, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            where = f"{path}:{number}"
            number += text.count("\n")
            if text.strip():
                yield Located(Passage(note, note, title, text.strip()), where)
            else:
                yield Skipped("no text", where, note)
