"""``packed/TASK+ARM.jsonl``: what each question got in an arm, the same for every model."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ragbench.base.errors import DataError
from ragbench.base.files import read_jsonl, write_jsonl
from ragbench.runfolder.schema import parse, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedLine:
    """What one question got; counts are None where an imported run does not know them.

    Attributes:
        question_id: The question.
        passages: Ids in prompt order; ``DOC[:n]`` is a document cut after n characters.
        requested: How many passages were asked for.
        delivered: How many passages were delivered; written in imported runs alone.
        tokens: Their length by the reference tokenizer.
        shortfall_tokens: By how much a control fell short of the arm that it imitates.
        left_out: How many passages did not fit the budget.
        gold: How many of the passages are gold.
        gold_known: How many gold passages the corpus holds.
        answer_truncated: Whether the budget cut, or kept out, a document that holds the answer.
    """

    question_id: str
    passages: tuple[str, ...]
    requested: int | None = None
    delivered: int | None = None
    tokens: int | None = None
    shortfall_tokens: int | None = None
    left_out: int | None = None
    gold: int = 0
    gold_known: int = 0
    answer_truncated: bool = False


def read_packed(path: Path) -> dict[str, PackedLine]:
    """Return what each question got, by its id, in the order of the file.

    Args:
        path: The file.

    Returns:
        The lines.

    Raises:
        DataError: A field of a line is missing or unreadable.
    """
    found = {}
    for number, value in read_jsonl(path):
        line = parse(PackedLine, value, f"{path}:{number}")
        if "delivered" not in value:
            line = replace(line, delivered=len(line.passages))
        found[line.question_id] = line
    return found


def delivered_ids(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the ids of the passages that each question got, in prompt order, by its id."""
    return {name: line.passages for name, line in read_packed(path).items()}


def check_packed(path: Path, packed: Container[str], question_ids: Iterable[str]) -> None:
    """Refuse a packing in which a question is missing, as an interrupted extension leaves it."""
    if missing := next((name for name in question_ids if name not in packed), None):
        raise DataError(
            f"the run has no packing of question {missing!r}",
            where=str(path),
            fix="an extension was interrupted: give the same `ragbench run` again",
        )


def write_packed(path: Path, lines: Iterable[PackedLine], *, imported: bool = False) -> None:
    """Write a packing; only that of an imported run says how many passages were delivered."""
    objects = [to_json(line) for line in lines]
    if not imported:
        for line in objects:
            del line["delivered"]
    write_jsonl(path, objects)
