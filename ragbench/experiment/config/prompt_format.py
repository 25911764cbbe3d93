"""``prompt_format``: every model with one format of prompt, or with both."""

from __future__ import annotations

from typing import Literal

from ragbench.models.spec import ModelSpec

PromptFormat = Literal["auto", "chat", "plain", "both"]


def in_formats(models: tuple[ModelSpec, ...], chosen: PromptFormat) -> tuple[ModelSpec, ...]:
    """Return the models in the chosen format; with ``both``, all formats of a model in a row.

    A model with its own ``format`` keeps it. ``both`` turns every other model into ``NAME-chat``
    and ``NAME-plain``; a biomedical model is compared with its base in the same format.
    """
    if chosen == "auto":
        return models
    if chosen != "both":
        return tuple(
            m.model_copy(update={"format": chosen}) if m.format == "auto" else m for m in models
        )
    spread = {model.name: model.format == "auto" for model in models}
    found: list[ModelSpec] = []
    for model in models:
        forms = ("chat", "plain") if model.format == "auto" else (model.format,)
        for form in forms:
            base = model.base
            if base is not None and spread.get(base):
                base = f"{base}-{form}"
            name = f"{model.name}-{form}" if model.format == "auto" else model.name
            found.append(model.model_copy(update={"name": name, "base": base, "format": form}))
    return tuple(found)
