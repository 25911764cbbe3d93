"""Pairs of a biomedical model and its base: who they are, and in what they are not alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ragbench.base.errors import UsageError
from ragbench.base.modelfacts import AS_SERVED, ModelFacts


@dataclass(frozen=True, slots=True)
class Pair:
    """A biomedical model and the general model that it was made from, by name."""

    biomedical: str
    general: str

    def __str__(self) -> str:
        return f"{self.biomedical} against {self.general}"


def pairs_of(bases: Iterable[tuple[str, str | None]]) -> list[Pair]:
    """Return the pairs among models.

    Args:
        bases: (name, name of the base or None) of each model.

    Returns:
        The pairs in the models' order.
    """
    return [Pair(name, base) for name, base in bases if base is not None]


def check_alike(pair: Pair, facts: Mapping[str, ModelFacts]) -> None:
    """Refuse a pair of different number formats: rounding would pass for fine-tuning.

    Raises:
        UsageError: The two run in different number formats.
    """
    mine, other = (facts[name].dtype for name in (pair.biomedical, pair.general))
    if mine != other:
        served = AS_SERVED in (mine, other)
        raise UsageError(
            f"{pair.biomedical!r} runs in {mine} and its base {pair.general!r} in {other}",
            where=f"models: {pair.biomedical}: dtype",
            fix="serve both, or run both on this machine"
            if served
            else "give both the same `dtype`",
        )


def differences(pair: Pair, facts: Mapping[str, ModelFacts]) -> list[str]:
    """Return in what the two are asked differently, other than passages and template content."""
    mine, other = facts[pair.biomedical], facts[pair.general]
    found = []
    if mine.dtype == AS_SERVED:
        found.append(
            f"{pair.biomedical} and its base {pair.general} are answered for by servers: whether "
            "their number formats, chat templates and sampling defaults are alike cannot be seen"
        )
    if mine.format != other.format:
        found.append(
            f"{pair.biomedical} is asked in {mine.format} prompts, its base "
            f"{pair.general} in {other.format} ones: their difference holds that of the "
            "prompts; `prompt_format: both` measures it"
        )
    elif mine.chat_template_digest != other.chat_template_digest:
        found.append(
            f"{pair.biomedical} and its base {pair.general} have different chat templates: the "
            "content of the prompts is the same, their markup is not"
        )
    sizes = {name: facts[name].context_tokens for name in (pair.biomedical, pair.general)}
    if len(set(sizes.values())) > 1 and None not in sizes.values():
        shorter, longer = sorted(sizes, key=lambda name: int(sizes[name] or 0))
        found.append(
            f"the context of {shorter} ({sizes[shorter]:,} tokens) is shorter than that of "
            f"{longer} ({sizes[longer]:,}): both get the same passages, so it is the shorter "
            "one that limits packing.budget_tokens"
        )
    return found
