"""Pairs of a biomedical model and its base, and the differences between the two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ragbench.base.errors import UsageError
from ragbench.base.modelfacts import AS_SERVED, ModelFacts

UNKNOWN = "an unknown number format"


@dataclass(frozen=True, slots=True)
class Pair:
    """The names of a biomedical model and of the general model it was fine-tuned from."""

    biomedical: str
    general: str

    def __str__(self) -> str:
        return f"{self.biomedical} against {self.general}"


def pairs_of(bases: Iterable[tuple[str, str | None]]) -> list[Pair]:
    """Return the pairs among models, in the order of ``bases``: (name, base or None)."""
    return [Pair(name, base) for name, base in bases if base is not None]


def check_alike(pair: Pair, facts: Mapping[str, ModelFacts]) -> None:
    """Refuse a pair with different number formats, because rounding would look like fine-tuning.

    Raises:
        UsageError: The two run in different number formats.
    """
    mine, other = (facts[name].dtype for name in (pair.biomedical, pair.general))
    if mine != other:
        fix = "give both the same `dtype`"
        if AS_SERVED in (mine, other):
            fix = "serve both, or run both on this machine"
        if None in (mine, other):
            fix = "pair a runnable with a runnable; `ragbench compare` compares any two models"
        raise UsageError(
            f"{pair.biomedical!r} runs in {mine or UNKNOWN} and its base {pair.general!r} in "
            f"{other or UNKNOWN}",
            where=f"models: {pair.biomedical}: dtype",
            fix=fix,
        )


def differences(pair: Pair, facts: Mapping[str, ModelFacts]) -> list[str]:
    """Return one sentence per difference between the prompts or the serving of the two models."""
    mine, other = facts[pair.biomedical], facts[pair.general]
    found = []
    if mine.dtype == AS_SERVED:
        found.append(
            f"{pair.biomedical} and its base {pair.general} run on servers: ragbench cannot "
            "compare their number formats, chat templates and sampling defaults"
        )
    if mine.served is not None and other.served is not None:
        if mine.served.letters != other.served.letters:
            found.append(
                f"{pair.biomedical} and its base {pair.general} have their letters scored in two "
                f"ways ({mine.served.letters}; {other.served.letters})"
            )
        changes = [set(facts.served.changed_parameters) for facts in (mine, other) if facts.served]
        if changes[0] != changes[1]:
            found.append(
                f"{pair.biomedical} and its base {pair.general} are asked with different "
                f"parameters ({', '.join(sorted(changes[0] ^ changes[1]))} in one of them)"
            )
    if mine.format != other.format:
        found.append(
            f"{pair.biomedical} has {mine.format} prompts and its base {pair.general} has "
            f"{other.format} prompts: their difference includes the effect of the prompt "
            "format, which `prompt_format: both` measures"
        )
    elif mine.chat_template_digest != other.chat_template_digest:
        found.append(
            f"{pair.biomedical} and its base {pair.general} have different chat templates: the "
            "prompts have the same content and different markup"
        )
    sizes = {name: facts[name].context_tokens for name in (pair.biomedical, pair.general)}
    if len(set(sizes.values())) > 1 and None not in sizes.values():
        shorter, longer = sorted(sizes, key=lambda name: int(sizes[name] or 0))
        found.append(
            f"the context of {shorter} ({sizes[shorter]:,} tokens) is shorter than that of "
            f"{longer} ({sizes[longer]:,}): both get the same passages, so the shorter "
            "context limits packing.budget_tokens"
        )
    return found
