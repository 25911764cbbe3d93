"""What the run folder records of a model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

UNPINNED = "the server's own, every day"  # the date in prompts of a server's chat template
AS_SERVED = "as served"  # the number format of a model whose weights a server holds

# How a server scores letters, by the rule that ``ServedFacts.letters`` names; else by echo.
LETTER_RULES = {
    "logprob_token_ids": "letters by logprob_token_ids, 1 request per question",
    "completions, then echo": "letters by the 20 likeliest tokens of /completions, 1 request per "
    "question, and by echo where a letter is not among them",
    "completions alone": "letters by the 20 likeliest tokens of /completions, 1 request per "
    "question; a letter that is not among them counts as less likely than all of them",
    "chat alone": "letters by the 20 likeliest tokens of /chat/completions, 1 request per "
    "question; a letter that is not among them counts as less likely than all of them",
}
# Parameters that a request can do without, or that have another name, and what that means.
PARAMETER_REMARKS = {
    "temperature": "not greedy: the server fixes the temperature, and a reply may differ next time",
    "seed": "without a seed: the server takes none",
    "frequency_penalty": "with the server's own frequency penalty, which cannot be set",
    "max_tokens": "the limit of a reply is sent as `max_completion_tokens`",
}
BOUNDED = ("completions alone", "chat alone")


@dataclass(frozen=True, slots=True)
class ServedFacts:
    """What is recorded of a model behind a server.

    Attributes:
        told: What the server says of the model.
        server: The server's own name and version.
        tokens: How tokens are counted.
        tokenizer_digest: Identity of the tokenizer; None where bytes are counted.
        letters: How letters are scored; empty if no task asks for that, or in older runs.
        changed_parameters: Parameters that the server refuses: ``no seed``, or ``NAME as OTHER``.
        takes_lists: Whether all texts of a question's options are sent in one request.
        joins_system: Whether a system turn joins the user's, as the server supports none.
    """

    told: Mapping[str, object]
    server: str
    tokens: str
    tokenizer_digest: str | None
    letters: str = ""
    changed_parameters: tuple[str, ...] = ()
    takes_lists: bool = False
    joins_system: bool = False

    def remarks(self) -> Iterator[str]:
        """Yield what the changed parameters mean, one clause each."""
        for change in self.changed_parameters:
            yield next(text for name, text in PARAMETER_REMARKS.items() if name in change.split())

    def texts(self, scoring: str, options: float) -> float:
        """Return the texts that are read for a question with so many options, as a rule."""
        one = scoring == "generate" or (scoring == "letters" and self.letters not in ("", "echo"))
        return 1 if one else options + 1

    def requests(self, scoring: str, options: float) -> float:
        """Return the requests that a question with so many options takes, as a rule."""
        return 1 if self.takes_lists else self.texts(scoring, options)

    def abilities(self, scorings: Collection[str]) -> Iterator[str]:
        """Yield how the server is asked for answers taken so, one clause each."""
        together = "one text for the prompt and one per {}, all in 1 request per question"
        apart = "a request for the prompt and one per {}"
        form = together if self.takes_lists else apart
        if "letters" in scorings:
            echoed = f"letters by echo, {form.format('letter')}"
            yield LETTER_RULES.get(self.letters, echoed)
        if "options" in scorings:
            yield f"options by echo, {form.format('option')}"
        if self.joins_system:
            yield "the system turn is joined to the user's, as the server supports none"

    def to_json(self) -> dict[str, object]:
        """Return the fields that ``run.json`` holds; empty ones of later formats are left out."""
        return {k: v for k, v in asdict(self).items() if k in REQUIRED or v}


REQUIRED = tuple(f.name for f in fields(ServedFacts) if f.default is MISSING)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a model in this process needs.

    Attributes:
        weight_bytes: Bytes of the weights in their number format.
        extra_bytes: Bytes that are held beside them, such as an output matrix in float32.
        active_parameters: Parameters that a token uses; of a mixture of experts, not all.
        cache_bytes: Bytes of the keys and values of a token.
    """

    weight_bytes: int
    extra_bytes: int
    active_parameters: int
    cache_bytes: int


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is recorded of a model; None where nothing is known.

    Attributes:
        digest: Identity of everything that changes its answers.
        dtype: Number format; two members of a pair must share it.
        format: ``chat`` or ``plain``.
        context_tokens: Most tokens of a prompt with its reply.
        weights: Identity of the weights; None for a model whose answers were imported.
        device: Device that the weights are on.
        chat_template_digest: Digest of the chat template.
        parameters: Number of parameters.
        architecture: Class of the weights, as their config names it.
        template_day: Date that the chat template writes, in ISO's form; ``UNPINNED`` if a server
            writes the day; None if it writes none, as far as is known.
        served: Facts of a model behind a server.
        stands_in: Whether the model is missing and a plan alone is made.
        footprint: Memory and computation, for a plan; no run folder has it.
        own: Further facts of a backend.
    """

    digest: str = ""
    dtype: str | None = None
    format: str | None = None
    context_tokens: int | None = None
    weights: str | None = None
    device: str | None = None
    chat_template_digest: str | None = None
    parameters: int | None = None
    architecture: str | None = None
    template_day: str | None = None
    served: ServedFacts | None = None
    stands_in: bool = False
    footprint: Footprint | None = None
    own: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return the object that ``run.json`` holds; ``own`` and ``served`` are flat in it."""
        if self.weights is None:
            known = ("digest", "dtype", "format", "context_tokens")
            return {name: getattr(self, name) for name in known} | dict(self.own)
        return {
            "digest": self.digest,
            "weights": self.weights,
            "dtype": self.dtype,
            "device": self.device,
            "format": self.format,
            "chat_template_digest": self.chat_template_digest,
            "context_tokens": self.context_tokens,
            **({} if self.architecture is None else {"architecture": self.architecture}),
            **({} if self.template_day is None else {"template_day": self.template_day}),
            **({} if self.served is None else self.served.to_json()),
            "parameters": self.parameters,
            **self.own,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelFacts:
        """Return the facts that ``to_json`` wrote.

        Raises:
            ValueError: A known fact is not of its type; its name is the argument.
        """
        rest = dict(value)
        for name in WHOLE:
            if not isinstance(rest.get(name), int | None):
                raise ValueError(name)
        for name in TEXTS:
            if not isinstance(rest.get(name, ""), str | None):
                raise ValueError(name)
        served = {f.name: rest.pop(f.name) for f in fields(ServedFacts) if f.name in value}
        typed = {f.name: rest.pop(f.name) for f in fields(cls)[:10] if f.name in value}
        if "changed_parameters" in served:
            served["changed_parameters"] = tuple(served["changed_parameters"])
        whole = ServedFacts(**served) if all(name in served for name in REQUIRED) else None
        return cls(**typed, served=whole, own=rest if whole or not served else rest | served)


WHOLE = ("context_tokens", "parameters")
TEXTS = (
    *("digest", "dtype", "format", "weights", "device"),
    *("chat_template_digest", "architecture", "template_day"),
)
