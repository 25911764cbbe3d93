"""Models: what renders prompts, counts tokens and scores options.

model   the protocol, and how a model is named in a config
hf      transformers: a hub id, a local folder, a GGUF file, or weights in a package
gguf    a GGUF file, converted once into a cached safetensors folder
prefix  log-likelihoods of options with the prompt computed once

server       a model behind a server that speaks OpenAI's API
asking       one model asked through its servers, and what they are able to do
served       what such a server tells of its model
completions  the requests and answers
http         bounded, retried, never sent elsewhere
endpoint     addresses of servers, and whether data may go there
counting     tokens of a model whose weights are elsewhere
rendering    prompts as texts, for all backends
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragbench.base.registry import Entry, Registry

if TYPE_CHECKING:
    from ragbench.models.model import Model

models: Registry[type[Model]] = Registry(
    "backends",
    {
        "hf": Entry(
            "ragbench.models.local.hf:HfModel",
            "transformers: hub id, local folder, GGUF file, or package:NAME/FILE",
        ),
        "server": Entry(
            "ragbench.models.served.server:ServerModel",
            "a server that speaks OpenAI's API: vLLM, SGLang, llama.cpp, transformers serve",
        ),
    },
    source=__file__,
)
