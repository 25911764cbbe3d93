"""A data set of the Hugging Face hub, streamed by the library ``datasets``, or a local copy of it.

``options: {dataset: OWNER/NAME}`` names one of the hub, whose files are streamed and never kept;
``path`` gives a folder of data files instead, and no network is used. Only data files are read:
JSON, Parquet, CSV and Arrow; a data set that is a script or holds pickles is refused. The commit
that was read is in the corpus's manifest. Without ``revision`` that is the newest at the time
of the build, so a card for others to repeat should name it. Data files of a local folder that the
library takes for none of its splits, as it does those of a second format, are listed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from pydantic import field_validator

from ragbench.base.errors import DataError, PrerequisiteError, RagbenchError, UsageError, first_line
from ragbench.corpora.reader import Located, ReaderOptions, Skipped, files_below
from ragbench.corpora.readers.snippets import SnippetOptions, snippet

FORMATS = ("json", "parquet", "csv", "arrow")
KINDS = frozenset("json jsonl ndjson parquet csv tsv arrow".split())
NOTES = frozenset("dataset_infos.json dataset_info.json dataset_dict.json state.json".split())
INSTALL = "pip install 'ragbench[hub]'"
BOTH = "give `path:` (a local folder) or the option dataset (a name of the hub), not both"


class HubOptions(SnippetOptions):
    """Which data set, which of its rows, and which fields hold what (as of snippets).

    Attributes:
        dataset: ``OWNER/NAME`` on the hub; none where the card has a path.
        revision: A commit, tag or branch; the newest commit if it is left out.
        subset: Configuration of the data set, if it has several.
        split: Split of the data set.
        data_files: Patterns of the files to read, such as ``chunk/*.jsonl``.
    """

    text_field: str = "text"
    title_field: str | None = None
    dataset: str | None = None
    revision: str | None = None
    subset: str | None = None
    split: str = "train"
    data_files: tuple[str, ...] = ()

    @field_validator("dataset")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[\w.-]+/[\w.-]+", value):
            raise ValueError("dataset is a name of the hub, OWNER/NAME; a folder goes into path")
        return value

    @field_validator("data_files")
    @classmethod
    def _inside(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            if "://" in pattern or pattern.startswith("/") or ".." in pattern.split("/"):
                raise ValueError("data_files are patterns of paths within the data set")
        return value


class HubReader:
    """Streams one split, in the order of its files."""

    Options: ClassVar[type[ReaderOptions]] = HubOptions

    def __init__(self, path: Path | None, options: ReaderOptions) -> None:
        self.path = path
        self.options = HubOptions.model_validate(options.model_dump())
        if (path is None) == (self.options.dataset is None):
            raise UsageError("the hub reader needs one place to read from", fix=BOTH)
        self._name = str(path or self.options.dataset)
        self._builder: Any = None

    def sources(self) -> list[Path]:
        """Return the files of a local folder that are read; none of a data set of the hub.

        Returns:
            The files in the order of reading.

        Raises:
            DataError: The folder is not there, or holds no data file of the split.
        """
        return [Path(name) for name in self._files()] if self.path is not None else []

    def origin(self) -> dict[str, str]:
        """Return the data set and the commit that is read; nothing of a local folder."""
        if self.path is not None:
            return {}
        options = self.options
        found = {"dataset": self._name, "revision": self._commit(), "split": options.split}
        return found | ({"subset": options.subset} if options.subset else {})

    def read(self) -> Iterator[Located | Skipped]:
        """Yield one passage per row."""
        self._files()
        for file in self._left_out():
            yield Skipped("a data file of no split", str(file), listed=True)
        number = 0
        place = self._name if self.path else f"{self._name}@{self._commit()[:12]}"
        place = f"{place}, {self.options.split}"
        with _named(place, lambda: f" after row {number:,}"):
            for row in self._builder.as_streaming_dataset(split=self.options.split):
                number += 1
                yield snippet(row, self.options, f"{place}: row {number}")

    def _files(self) -> list[str]:
        """Return the data files of the split, each within the data set."""
        builder = self._opened()
        splits: dict[str, list[str]] = builder.config.data_files or {}
        if self.options.split not in splits:
            known = ", ".join(map(str, splits)) or "(none)"
            raise DataError(
                f"there is no split {self.options.split!r}",
                where=self._name,
                fix=f"set the reader's option split to one of: {known}",
            )
        files = [str(name) for name in splits[self.options.split]]
        if self.path is None:
            inside = re.compile(rf"hf://datasets/{re.escape(self._name)}@[0-9a-f]{{40}}/")
            strange = [name for name in files if not inside.match(name) or "/../" in name]
        else:
            base = self.path if self.path.is_dir() else self.path.parent
            base = base.resolve()  # a file may be a link, as in the hub's own folders on disk
            strange = [n for n in files if not Path(os.path.normpath(n)).is_relative_to(base)]
        if strange:
            raise DataError(
                f"the data set's own description names a file outside it: {strange[0]}",
                where=self._name,
                fix="read it without that description: copy the data files alone, or set the "
                "reader's option data_files",
            )
        return files

    def _left_out(self) -> list[Path]:
        """Return the data files of a local folder that are of no split, unless some are chosen."""
        options = self.options
        if not (self.path and self.path.is_dir()) or options.data_files or options.subset:
            return []
        splits: dict[str, list[str]] = self._opened().config.data_files or {}
        known = {os.path.normpath(name) for names in splits.values() for name in names}
        every = files_below(self.path.resolve(), ("",), what="the data set", fix=BOTH)
        return [
            file
            for file in every
            if str(file) not in known
            and file.name not in NOTES
            and not KINDS.isdisjoint(file.name.lower().split(".")[1:])
        ]

    def _commit(self) -> str:
        commits = {name.partition("@")[2].partition("/")[0] for name in self._files()}
        return ", ".join(sorted(commits))

    def _opened(self) -> Any:
        """Return the library's builder, made once: what the files are is settled here."""
        if self._builder is not None:
            return self._builder
        if self.path is not None and not self.path.exists():
            raise DataError(
                "the data set is not there", where=self._name, fix="correct the card's path"
            )
        if self.path is None and Path(self._name).exists():  # the library would read that
            raise UsageError(
                f"a folder {self._name!r} is here and hides the data set of the hub",
                where=str(Path.cwd()),
                fix="give the folder as the card's path, or start from another folder",
            )
        datasets = _library()
        with _named(self._name, lambda: ""):
            builder = datasets.load_dataset_builder(**self._request())
        kind = type(builder).__module__.rpartition("packaged_modules.")[2].partition(".")[0]
        if kind not in FORMATS:
            raise DataError(
                f"the files of the data set are of the kind {kind!r}",
                where=self._name,
                fix=f"the kinds that are read: {', '.join(FORMATS)}; set data_files to choose some",
            )
        if kind == "csv":  # whose cells are text here: to the library 007 is 7, and NA is nothing
            builder.config.converters = dict.fromkeys(self._fields(), str)
            builder.config.keep_default_na = False
        self._builder = builder
        return builder

    def _fields(self) -> list[str]:
        options = self.options
        given = (options.id_field, options.text_field, options.title_field, options.doc_id, "PMID")
        return [name for name in (*given, *options.meta_fields) if name]

    def _request(self) -> dict[str, Any]:
        options, files = self.options, list(self.options.data_files)
        folder = self.path
        if folder is not None and folder.is_file():
            folder, files = folder.parent, [folder.name]
        return {
            "path": str(folder.resolve()) if folder else options.dataset,
            "name": options.subset,
            "revision": options.revision if folder is None else None,
            "data_files": {options.split: files} if files else None,
        }


def _library() -> Any:
    """Import the library, quiet: what it would say is said by the errors below."""
    try:
        import datasets
    except ImportError:
        raise PrerequisiteError(
            "the package datasets is not installed, which the reader hub needs", fix=INSTALL
        ) from None
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    return datasets


@contextmanager
def _named(place: str, when: Callable[[], str]) -> Iterator[None]:
    """Turn the library's errors into ones that say what to do."""
    try:
        yield
    except RagbenchError:
        raise
    except (ConnectionError, TimeoutError) as error:
        raise _unreachable(place, f"{when()}: {first_line(error)}") from None
    except Exception as error:  # of many libraries: httpx, fsspec, pyarrow, the hub's own
        kinds = {f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__}
        if any(kind.startswith(("httpx.", "httpcore.", "huggingface_hub.")) for kind in kinds):
            raise _unreachable(place, f"{when()}: {first_line(error)}") from None
        if "datasets.exceptions.DatasetNotFoundError" in kinds:
            raise PrerequisiteError(
                first_line(error),
                where=place,
                fix="check the name and the revision; if it is private or gated, ask for access "
                "on its page and type: hf auth login",
            ) from None
        cause = error.__cause__ or error
        detail = " ".join(str(cause).split())[:300]
        raise DataError(
            f"the data set cannot be read{when()}: {type(cause).__name__}: {detail}",
            where=place,
            fix="check that its files are whole and of one form, and the reader's options subset, "
            "split and data_files",
        ) from None


def _unreachable(place: str, detail: str) -> PrerequisiteError:
    name = place.partition("@")[0]
    return PrerequisiteError(
        f"the hub cannot be reached{detail}",
        where=place,
        fix="connect to the network (and unset HF_HUB_OFFLINE); or, where there is one, type "
        f"hf download --repo-type dataset {name} --local-dir FOLDER and set the card's path "
        "to that folder instead of the option dataset",
    )
