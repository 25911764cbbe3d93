"""Model cards: known facts of models, and how a config includes a card."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from ragbench.base.errors import UsageError, near
from ragbench.base.yamlfile import Document, Fields, load

CARDS = Path(__file__).with_name("cards.yaml")
PREFIX = "card:"


class ModelCard(Fields):
    """Known facts of a model.

    Attributes:
        model: Id on the hub, or else ``path``.
        path: Location of the weights in a package.
        adapter: Location of its adapter.
        base: Card of the general model that it was made from.
        parameters_b: Parameters in billions.
        context_tokens: Tokens that it was made for.
        chat_template: Whether its tokenizer has one: ``yes``, ``no`` or ``unknown``.
        licence: Terms of the weights.
        gated: Whether its terms must be accepted at the hub first.
        source: Why the card exists: ``dorfner``, ``clue``, ``current`` or ``demo``.
        verified: Whether id and facts have been checked.
        note: Advice for users.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = None
    path: str | None = None
    adapter: str | None = None
    kind: Literal["general", "biomedical"]
    base: str | None = None
    parameters_b: float = Field(gt=0)
    context_tokens: int = Field(gt=0)
    chat_template: Literal["yes", "no", "unknown"]
    licence: str
    gated: bool
    source: Literal["dorfner", "clue", "current", "demo"] = Field(alias="from")
    verified: bool = False
    note: str = ""

    @property
    def reference(self) -> str:
        """Hub id or path of the weights."""
        return self.model or self.path or self.adapter or ""


@cache
def cards() -> dict[str, ModelCard]:
    """Return every card by its name, in the order of the file."""
    return TypeAdapter(dict[str, ModelCard]).validate_python(load(CARDS).value)


def join_cards(document: Document) -> None:
    """Replace each ``card:NAME`` in a config's ``models`` by the card's facts, and add bases.

    Keys next to ``card`` win over the card's.

    Raises:
        UsageError: There is no such card.
    """
    members = document.value.get("models")
    if not isinstance(members, list):
        return  # the check of the config reports it
    for index, member in enumerate(members):
        if isinstance(member, str) and member.startswith(PREFIX):
            members[index] = {"card": member.removeprefix(PREFIX)}
    queue = [i for i, member in enumerate(members) if _card_of(member) is not None]
    for index in queue:
        name = str(_card_of(members[index]))
        given = {key: value for key, value in members[index].items() if key != "card"}
        if name not in cards():
            raise UsageError(
                f"there is no model card {name!r}",
                where=document.where(("models", index)),
                fix=near(name, cards()),
            )
        card = cards()[name]
        members[index] = _entry(name, card) | given
        if card.base is not None and "base" not in given and "kind" not in given:
            members[index]["base"] = base = _member_of(card.base, members)
            if all(_name_of(member) != base for member in members):
                document.lines[("models", len(members))] = document.lines[("models", index)]
                queue.append(len(members))
                alike = {key: given[key] for key in ("dtype", "device") if key in given}
                members.append({"card": card.base} | alike)


def _card_of(member: Any) -> Any:
    return member.get("card") if isinstance(member, dict) else None


def _name_of(member: Any) -> Any:
    return (member.get("name") or member.get("card")) if isinstance(member, dict) else member


def _member_of(base: str, members: list[Any]) -> str:
    """Return the config's name for the model of a card."""
    found = (_name_of(m) for m in members if _card_of(m) == base or _same(m, cards()[base]))
    return str(next(found, base))


def _same(member: Any, card: ModelCard) -> bool:
    if not isinstance(member, dict) or member.get("adapter") or member.get("card"):
        return False
    return card.reference in (member.get("model"), member.get("path"))


def _entry(name: str, card: ModelCard) -> dict[str, Any]:
    keys = ("model", "path", "adapter", "kind", "base")
    found = {key: getattr(card, key) for key in keys if getattr(card, key) is not None}
    return {"name": name} | found
