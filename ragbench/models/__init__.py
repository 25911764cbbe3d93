"""Models: they render prompts, count tokens, score options and write replies.

model      the protocol of a model, and its batches
spec       an entry of a config's ``models``: common keys, and those of its backend
cards      known facts of models
rendering  prompts as texts, for all backends
scripted   a model without weights, for tests and dry runs
local      models that transformers runs on this machine
vllm       models that vLLM's offline engine runs in this process
served     models behind servers with OpenAI's API
runnable   pipelines of the user's, as models and for arms
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
            "a server with OpenAI's API: vLLM, SGLang, llama.cpp, transformers serve",
        ),
        "vllm": Entry(
            "ragbench.models.vllm.model:VllmModel",
            "vLLM's offline engine in this process: hub id, local folder or GGUF file",
        ),
        "scripted": Entry(
            "ragbench.models.scripted:ScriptedModel",
            "no weights: answers by a table or a seeded rule, for tests and dry runs",
        ),
        "runnable": Entry(
            "ragbench.models.runnable.model:RunnableModel",
            "a LangChain runnable or LangGraph app of yours, which answers by itself",
        ),
    },
    source=__file__,
)
