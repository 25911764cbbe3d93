"""Several corpora as one: the rows of its members after each other, ids as ``MEMBER/ID``.

A union copies no text. Its folder holds the order of ids and the manifest, which says what members
it is of and which digests they had; opening refuses members that have changed since. A card names
the members (``reader: union``); a name such as ``textbooks--statpearls`` is one without a card.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING

from ragbench.base import home
from ragbench.base.errors import DataError, UsageError
from ragbench.base.files import read_json, sha256_json
from ragbench.base.records import Passage
from ragbench.corpora.corpus import MANIFEST, Corpus, Terms, folder_of, is_built, rebuild_command
from ragbench.corpora.store import Built, Pair, StoredCorpus

if TYPE_CHECKING:
    import pyarrow as pa

READER = "union"
JOIN = "--"
RESTRICTED = "restricted"


def split_name(name: str) -> tuple[str, ...]:
    """Return the corpora that the name of a union without a card is of; none if it is no such name.

    >>> split_name("textbooks--statpearls")
    ('textbooks', 'statpearls')
    """
    parts = tuple(name.split(JOIN))
    return parts if len(parts) > 1 and all(map(home.NAME.fullmatch, parts)) else ()


def joined_name(names: Sequence[str]) -> str:
    """Return the name of the union of some corpora that has no card.

    >>> joined_name(["textbooks", "statpearls"])
    'textbooks--statpearls'

    Args:
        names: Two or more different corpora, in the order of their rows; or one, which is itself.

    Returns:
        The name.

    Raises:
        ValueError: A name is not legal or appears twice, or the joined name is ambiguous.
    """
    names = check_members(names)
    joined = JOIN.join(names)
    if len(names) > 1 and split_name(joined) != names:
        raise ValueError(f"{joined!r} does not show its corpora: write a card with `reader: union`")
    return home.legal_name(joined)


def check_members(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a union's members; ValueError if one is wrong or appears twice."""
    for place, name in enumerate(names):
        home.legal_name(name)
        if name in names[:place]:
            raise ValueError(f"the corpus {name!r} appears twice")
    return tuple(names)


def union_digest(members: Iterable[Pair]) -> str:
    """Return the identity of a union: the names and digests of its members in their order."""
    return sha256_json(["ragbench union 1", [list(member) for member in members]])


class Union(Built):
    """An open union; it has what every corpus has, in constant time as they do.

    Args:
        folder: ``corpora/NAME``.

    Raises:
        DataError: The folder is no whole union, or a member is not there or has changed.
    """

    members: tuple[StoredCorpus, ...]

    def _open(self, *, is_checked: bool) -> None:
        stated = [(m.name, m.digest) for m in self.manifest.members or ()]
        self.members = tuple(self._member(*one, is_checked=is_checked) for one in stated)
        if not stated or union_digest(stated) != self.digest:
            raise ValueError("its digest is not that of its members")
        self._starts = [0, *accumulate(len(member) for member in self.members)]
        self.manifest = replace(self.manifest, **terms(self.members, self.manifest.data_use))

    def _member(self, name: str, digest: str, *, is_checked: bool) -> StoredCorpus:
        again = rebuild_command(self.name)
        if not is_built(name):
            raise DataError(
                f"{name!r}, a member of the union {self.name!r}, is not built",
                where=str(folder_of(name)),
                fix=f"ragbench corpus build {name}, then {again}",
            )
        member = open_member(name, self.name, is_checked=is_checked)
        if member.digest != digest:
            raise DataError(
                f"{name!r}, a member of the union {self.name!r}, has changed since the union was "
                f"built ({digest[:12]} then, {member.digest[:12]} now)",
                where=str(self.folder / MANIFEST),
                fix=f"build it again: {again}",
            )
        return member

    @property
    def ranges(self) -> dict[str, range]:
        """The rows of each member, by its name."""
        ends = zip(self._starts, self._starts[1:], strict=False)
        return {m.name: range(*end) for m, end in zip(self.members, ends, strict=True)}

    def __getitem__(self, row: int) -> Passage:
        """Return the passage of a row in constant time."""
        place, inner = self._place(row)
        return inside(self.members[place].name, self.members[place][inner])

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield each passage as it is stored, its id and doc_id after the member's name."""
        for member in self.members:
            for identifier, doc_id, *rest in member.rows():
                yield f"{member.name}/{identifier}", f"{member.name}/{doc_id}", *rest

    def batches(self, start: int = 0, stop: int | None = None) -> Iterator[pa.RecordBatch]:
        """Yield passages as Arrow record batches, member after member."""
        import pyarrow as pa
        import pyarrow.compute as pc

        stop = len(self) if stop is None else stop
        for member, first in zip(self.members, self._starts, strict=False):
            prefix = pa.scalar(f"{member.name}/", pa.large_string())
            glue = pa.scalar("", pa.large_string())
            inner_stop = min(stop - first, len(member))
            for batch in member.batches(max(start - first, 0), inner_stop):
                for place in (0, 1):
                    inner = batch.column(place)
                    full = pc.binary_join_element_wise(prefix, inner, glue)
                    batch = batch.set_column(place, batch.schema.field(place), full)
                yield batch

    def _id_pair(self, row: int) -> Pair:
        place, inner = self._place(row)
        member = self.members[place]
        identifier, doc_id = member._id_pair(inner)
        full = f"{member.name}/{identifier}"
        return full, full if doc_id == identifier else f"{member.name}/{doc_id}"

    def _place(self, row: int) -> tuple[int, int]:
        """Return which member a row is of, and the row there."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} passages")
        place = bisect_right(self._starts, row) - 1
        return place, row - self._starts[place]

    def find(self, identifier: str) -> int | None:
        """Return the row of a passage id ``MEMBER/ID``, or None."""
        found = self._look(identifier, _find)
        return found[0] if found else None

    def rows_of_doc(self, doc_id: str) -> list[int]:
        """Return the rows of the document ``MEMBER/DOC`` in text order; empty if it is not here."""
        return self._look(doc_id, StoredCorpus.rows_of_doc)

    def match(self, identifier: str, *, prefer: str = "") -> int | None:
        """Return the row of ``MEMBER/ID``, or of an ``ID`` that one member alone holds.

        Args:
            identifier: The id.
            prefer: The member that an ``ID`` is taken to be of if it holds it.

        Returns:
            The row, or None.

        Raises:
            DataError: Several members hold it.
        """
        found = self._match(identifier, _find, prefer)
        return found[0] if found else None

    def match_doc(self, doc_id: str, *, prefer: str = "") -> list[int]:
        """Return the rows of ``MEMBER/DOC``, or of a ``DOC`` that one member alone holds.

        Args:
            doc_id: The document.
            prefer: The member that a ``DOC`` is taken to be of if it holds it.

        Returns:
            The rows; none if it is not here.

        Raises:
            DataError: Several members hold it.
        """
        return self._match(doc_id, StoredCorpus.rows_of_doc, prefer)

    def _look(self, written: str, look: Callable[[StoredCorpus, str], list[int]]) -> list[int]:
        name, slash, inner = written.partition("/")
        for start, member in zip(self._starts, self.members, strict=False):
            if slash and member.name == name:
                return [start + row for row in look(member, inner)]
        return []

    def _match(
        self, written: str, look: Callable[[StoredCorpus, str], list[int]], prefer: str
    ) -> list[int]:
        found = self._look(written, look) or self._look(f"{prefer}/{written}", look)
        if found:
            return found
        every = {m.name: self._look(f"{m.name}/{written}", look) for m in self.members}
        holders = [name for name, rows in every.items() if rows]
        if len(holders) > 1:
            raise DataError(
                f"the id {written!r} is in several corpora of the union {self.name!r}: "
                + ", ".join(holders),
                where=str(self.folder),
                fix=f"say which is meant: {holders[0]}/{written}",
            )
        return every[holders[0]] if holders else []


def _find(corpus: StoredCorpus, identifier: str) -> list[int]:
    row = corpus.find(identifier)
    return [] if row is None else [row]


def inside(member: str, passage: Passage) -> Passage:
    """Return a member's passage as its union has it."""
    return replace(passage, id=f"{member}/{passage.id}", doc_id=f"{member}/{passage.doc_id}")


def open_member(name: str, union: str, *, is_checked: bool = True) -> StoredCorpus:
    """Open a built corpus that is to be a member; UsageError if it is a union itself."""
    folder = folder_of(name)
    if read_json(folder / MANIFEST, what="the manifest of the corpus").get("members"):
        raise nested(name, union)
    return StoredCorpus(folder, is_checked=is_checked)


def nested(name: str, union: str) -> UsageError:
    """Return the error of a union that is to be a member of another."""
    return UsageError(
        f"{name!r} is itself a union, so it cannot be a member of {union!r}",
        where=f"corpus {union!r}",
        fix=f"name the corpora of {name!r} in its place",
    )


def terms(members: Sequence[Corpus], data_use: str) -> Terms:
    """Return ``licence`` and ``data_use`` of a union: the strictest of its members and its own."""
    each = {member.name: member.manifest.licence for member in members}
    several = len(set(each.values())) > 1
    licences = [f"{name}: {one}" for name, one in each.items()] if several else each.values()
    is_restricted = RESTRICTED in (data_use, *(member.manifest.data_use for member in members))
    return {
        "licence": "; ".join(dict.fromkeys(licences)),
        "data_use": RESTRICTED if is_restricted else "open",
    }
