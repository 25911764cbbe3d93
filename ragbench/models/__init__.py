"""Models: what renders prompts, counts tokens and scores options.

model   the protocol, and how a model is named in a config
hf      transformers: a hub id, a local folder, a GGUF file, or weights in a package
gguf    a GGUF file, converted once into a cached safetensors folder
prefix  log-likelihoods of options with the prompt computed once
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragbench.registry import Entry, Registry

if TYPE_CHECKING:
    from ragbench.models.model import Model

models: Registry[type[Model]] = Registry(
    "backends",
    {
        "hf": Entry(
            "ragbench.models.hf:HfModel",
            "transformers: hub id, local folder, GGUF file, or package:NAME/FILE",
        ),
    },
    source=__file__,
)
