"""Models that vLLM runs in this process, with its offline engine."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock
from types import SimpleNamespace
from typing import Any, ClassVar, Literal

from pydantic import Field

from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import BackendError, PrerequisiteError, first_line
from ragbench.base.files import sha256_json
from ragbench.base.modelfacts import ModelFacts
from ragbench.base.records import OptionScores, Reply
from ragbench.models.local.batches import Sums
from ragbench.models.local.generation import PLAIN_STOP, turn_ends, written
from ragbench.models.local.hf import HfModel
from ragbench.models.local.options import HfOptions
from ragbench.models.local.tree import Scored
from ragbench.models.model import Asked as Ability
from ragbench.models.model import Choice, or_error
from ragbench.models.spec import BackendOptions, ModelSpec
from ragbench.models.vllm.engine import Asked, Engine, EngineOptions, engine_version

CONCURRENCY = 64
MOST_LISTED = 128  # tokens whose log-probabilities one request may ask for


class VllmOptions(HfOptions):
    """Keys of the backend ``vllm``.

    Attributes:
        path: ``package:NAME/FILE``, a local folder or a ``.gguf`` file.
        model: Id on the model hub. One of ``path`` and ``model`` is needed.
        adapter: Not supported: merge the adapter into its weights first.
        revision: Revision on the hub.
        dtype: ``auto`` is bfloat16 if the hardware supports it. Quantised weights keep theirs.
        device_map: Not supported: ``engine`` splits a model over GPUs.
        attn_implementation: The package decides it: ``auto`` is the only value.
        batch_tokens: Not supported: the package decides it.
        device: The package decides it: ``auto`` is the only value.
        trust_remote_code: Whether code in the model's repository may run.
        context: Maximum tokens of prompt and reply, if the model states none, or to use fewer.
        date: The date in the prompts of a chat template that writes today's.
        engine: Arguments of vLLM's engine, such as ``tensor_parallel_size``.
        concurrency: Number of prompts that the engine gets at once; 64 by default.
    """

    adapter: None = None
    device: Literal["auto"] = "auto"
    device_map: None = None
    attn_implementation: Literal["auto"] = "auto"
    batch_tokens: None = None
    engine: EngineOptions = EngineOptions()
    concurrency: int = Field(CONCURRENCY, gt=0, le=1024, exclude=True)


@dataclass(frozen=True, slots=True)
class _Requests:
    """The requests for the options of one prompt.

    Attributes:
        item: Prompt and options.
        prompt_tokens: Tokens of the prompt.
        is_one_token: Whether one request for the next token scores all options.
        requests: The requests.
    """

    item: Scored
    prompt_tokens: int
    is_one_token: bool
    requests: tuple[Asked, ...]


class VllmModel(HfModel):
    """A causal language model; tokenizer and config load at once, the engine on first use.

    Raises:
        PrerequisiteError: vLLM is not installed, or the weights are missing.
        UsageError: Nothing states the model's context.
    """

    Options: ClassVar[type[BackendOptions]] = VllmOptions

    def __init__(self, spec: ModelSpec) -> None:
        self._version = engine_version(f"models: {spec.name}")
        options = spec.read(VllmOptions)
        super().__init__(spec)
        self._given = options.engine.given()
        self.concurrency = options.concurrency  # the engine makes batches of its own
        self.batch_size = 1
        self._starting = Lock()
        self._failure: PrerequisiteError | None = None

    @classmethod
    def sends_to(cls, options: HfOptions) -> tuple[Endpoint, ...]:
        """Return no endpoint: the engine runs on this machine, its reports about use turned off."""
        return ()

    def digest(self) -> str:
        """Return the identity of weights, number and prompt format, engine and its arguments."""
        return sha256_json(
            {"model": super().digest(), "engine": self._version, "arguments": self._given}
        )

    def attention(self) -> str:
        """Return that the package decides it."""
        return "auto"

    def check_abilities(self, asked: Collection[Ability]) -> None:
        """Leave the check to the engine, which has kernels of its own for quantised weights."""

    def facts(self) -> ModelFacts:
        """Return the facts that the run folder records."""
        own = {"engine": self._version, **({"arguments": self._given} if self._given else {})}
        return replace(super().facts(), own=own)

    @cached_property
    def _loaded(self) -> Engine:
        arguments = {
            "model": self._source,
            "tokenizer": self._source,
            "revision": self._revision,
            "tokenizer_revision": self._revision,
            "trust_remote_code": self._options["trust_remote_code"],
            "dtype": "auto" if self._quantised else self.dtype,
            "max_model_len": self.context_tokens,
            "seed": 0,
            "use_tqdm_on_load": False,
            "enable_prefix_caching": True,
            "generation_config": "vllm",  # no sampling settings of the repository
            **self._given,
        }
        try:
            return Engine(
                arguments, at_once=self.concurrency, float32_output=self.dtype != "float32"
            )
        except Exception as error:  # of many kinds: missing kernels, memory, families
            raise PrerequisiteError(
                f"vLLM cannot run the model {self.spec.name!r}: {first_line(error)}",
                where=f"models: {self.spec.name}: {self.spec.reference}",
                fix="check the path or id, the memory (`context`, `engine`), and whether this "
                "version of vLLM has the model's family; VLLM_LOGGING_LEVEL=INFO shows its log",
            ) from None

    @property
    def _engine(self) -> Engine:
        with self._starting:
            if self._failure is not None:  # of another thread: a start takes minutes
                raise self._failure
            try:
                return self._loaded
            except PrerequisiteError as error:
                self._failure = error
                raise

    def release(self) -> None:
        """Stop the engine and free its memory; it starts again on the next use."""
        engine = self.__dict__.pop("_loaded", None)
        if engine is not None:
            engine.close()

    def score_options(
        self, prompt: str, options: Sequence[str], *, reuse: bool = True
    ) -> OptionScores:
        """Return the log-likelihood of each option, as the backend ``hf`` defines it.

        ``reuse`` has no meaning here: the engine itself decides what it computes once.

        Raises:
            BackendError: The engine failed, the prompt is too long, or a likelihood is not finite.
        """
        found = self.score_batch([Choice(prompt, options)])[0]
        if isinstance(found, BackendError):
            raise found
        return found

    def score_batch(self, items: Sequence[Choice]) -> list[OptionScores | BackendError]:
        """Return the scores of each item, or its error, in the order of items."""
        asked = [self._requests(item) for item in items]
        answers = iter(self._ask([request for each in asked for request in each.requests]))
        return [self._answered(each, [next(answers) for _ in each.requests]) for each in asked]

    def _requests(self, item: Choice) -> _Requests:
        scored, read = self._read(item.prompt, item.options)
        last = [ids[-1] for ids in scored.sequences]
        # One token each after one prompt, such as letters: the prompt runs once, and a prefix of it
        # that another prompt had does not run again.
        if (
            self._engine.lists_tokens
            and len({tuple(ids[:-1]) for ids in scored.sequences}) == 1
            and len(scored.sequences[0]) == scored.start + 1
            and len(set(last)) == len(last) <= MOST_LISTED
        ):
            wishes = self._engine.wishes(max_tokens=1, logprob_token_ids=last)
            return _Requests(scored, read, True, (Asked(scored.sequences[0][:-1], wishes),))
        wishes = self._engine.wishes(max_tokens=1, prompt_logprobs=1)
        return _Requests(scored, read, False, tuple(Asked(ids, wishes) for ids in scored.sequences))

    def _ask(self, requests: Sequence[Asked]) -> list[tuple[Any, float] | BackendError]:
        """Return the output of each request and its seconds, or its error."""
        limit = self.context_tokens
        fitting = [one for one in requests if len(one.ids) + one.wishes.max_tokens <= limit]
        try:
            answers = iter(self._engine.ask(fitting) if fitting else ())
        except Exception as error:  # the engine's process may have ended
            failed = BackendError(
                f"{self.spec.name} failed: {first_line(error)}",
                fix="fewer `engine: max_num_seqs`, a smaller context or another dtype may help",
            )
            return [failed] * len(requests)
        found: list[tuple[Any, float] | BackendError] = []
        for one in requests:
            if len(one.ids) + one.wishes.max_tokens > limit:
                found.append(
                    BackendError(
                        f"{len(one.ids):,} tokens and a reply of {one.wishes.max_tokens:,} are "
                        f"more than the context of {limit:,}"
                    )
                )
                continue
            answer = next(answers)
            found.append((answer.output, answer.seconds))
        return found

    def _answered(
        self, asked: _Requests, answers: Sequence[tuple[Any, float] | BackendError]
    ) -> OptionScores | BackendError:
        outputs, seconds = [], 0.0
        for answer in answers:
            if isinstance(answer, BackendError):
                return answer
            outputs.append(answer[0])
            seconds += answer[1]
        item = asked.item
        if asked.is_one_token:
            listed = outputs[0].outputs[0].logprobs[0]
            sums = [float(listed[ids[-1]].logprob) for ids in item.sequences]
        else:
            sums = [
                sum(
                    float(output.prompt_logprobs[n][ids[n]].logprob)
                    for n in range(item.start, len(ids))
                )
                for output, ids in zip(outputs, item.sequences, strict=True)
            ]
        return or_error(lambda: self._scores(item, asked.prompt_tokens, Sums(sums, seconds)))

    @cached_property
    def _ends(self) -> list[int]:
        from transformers import GenerationConfig

        try:
            stated: Any = GenerationConfig.from_pretrained(self._source, **self._options)
        except OSError:  # the repository has none
            stated = SimpleNamespace(eos_token_id=None)
        return turn_ends(
            SimpleNamespace(generation_config=stated, config=self._config), self._tokenizer
        )

    def generate(self, prompt: str, *, limit: int) -> Reply:
        """Return the model's reply, as the backend ``hf`` defines it.

        Raises:
            BackendError: The engine failed, or the prompt is too long.
        """
        found = self.generate_batch([prompt], limit=limit)[0]
        if isinstance(found, BackendError):
            raise found
        return found

    def generate_batch(self, items: Sequence[str], *, limit: int) -> list[Reply | BackendError]:
        """Return the reply to each prompt, or its error, in the order of items."""
        wishes = self._engine.wishes(
            max_tokens=limit,
            stop_token_ids=self._ends,
            stop=None if self.is_chat else [PLAIN_STOP],
            skip_special_tokens=False,
            spaces_between_special_tokens=False,
        )
        asked = [Asked(ids, wishes) for ids in self._encode_all(items)]
        found: list[Reply | BackendError] = []
        for prompt, one, answer in zip(items, asked, self._ask(asked), strict=True):
            if isinstance(answer, BackendError):
                found.append(answer)
                continue
            output, seconds = answer
            new = list(output.outputs[0].token_ids)
            reply = written(new, self._tokenizer, self._ends, not self.is_chat)
            opened = self._template.opened_in(prompt) if self.is_chat else ""
            found.append(
                Reply(reply.text, reply.tokens, reply.finish, len(one.ids), seconds, opened)
            )
        return found
