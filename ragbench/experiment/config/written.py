"""What models write before the answers: queries, passages, and judgements of passages."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, TypeVar

from pydantic import ConfigDict, Field, model_validator

from ragbench.base.yamlfile import Fields
from ragbench.runfolder.config import CROSS_ENCODER, EACH

Kind = Literal["rationale", "passage", "rewrite", "subquestions"]
SUBQUESTIONS = 3  # by default
W = TypeVar("W", bound="WritingSpec")


class WritingSpec(Fields):
    """What every writing states.

    Attributes:
        by: A model of this config, or ``each``: every model writes for itself.
        options: Whether the writer sees the options of the question.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: str
    options: Literal["hidden", "shown"] = "hidden"

    def in_formats(self: W, names: Collection[str]) -> W:
        """Return the same with a writer that `prompt_format: both` has turned into two models."""
        known = {*names, EACH, CROSS_ENCODER}
        return self if self.by in known else self.model_copy(update={"by": f"{self.by}-chat"})


class QuerySpec(WritingSpec):
    """One entry of ``queries``: texts that a model writes and that arms search with.

    Attributes:
        write: ``rationale``, ``passage`` (hypothetical), ``rewrite`` or ``subquestions``.
        n: Number of subquestions, whose rankings are fused by reciprocal ranks; 3 by default.
        reply_limit: Maximum tokens of a reply, reasoning included; by default by ``write``.
    """

    write: Kind
    n: int | None = Field(None, gt=0, le=20)
    reply_limit: int | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _counts(self) -> QuerySpec:
        if self.n is not None and self.write != "subquestions":
            raise ValueError(f"`n` has no effect with `write: {self.write}`")
        return self

    @property
    def texts(self) -> int:
        """Maximum number of queries per question."""
        return (self.n or SUBQUESTIONS) if self.write == "subquestions" else 1


class WriteSpec(WritingSpec):
    """``write`` of an arm: passages from the memory of a model, without a corpus.

    Attributes:
        n: Number of passages.
        reply_limit: Maximum tokens of the reply with all passages; by default 200 per passage.
    """

    n: int = Field(3, gt=0, le=20)
    reply_limit: int | None = Field(None, gt=0)


class RoundsSpec(WritingSpec):
    """``rounds`` of an arm: follow-up queries that a model writes in several rounds.

    Attributes:
        n: Maximum number of rounds.
        queries: Maximum number of new queries per round.
        answers: Whether the model answers each query from its passages, so that later rounds see
            the answers; otherwise they see the passages that the arm would deliver so far.
        reply_limit: Maximum tokens of the reply of a round; by default 64 per query.
    """

    n: int = Field(3, gt=0, le=10)
    queries: int = Field(2, gt=0, le=10)
    answers: bool = True
    reply_limit: int | None = Field(None, gt=0)


class FilterSpec(WritingSpec):
    """``filter`` of an arm: which of the first ``depth`` passages may be delivered.

    Attributes:
        by: A model of this config, ``each`` (every model judges for itself), or ``cross-encoder``.
        keep: Least probability of a yes, or least sigmoid of a cross-encoder's output.
        model: The cross-encoder: a folder, ``package:NAME/FOLDER`` or a hub id.
        revision: Its hub revision.
    """

    keep: float = Field(ge=0, le=1)
    model: str | None = None
    revision: str | None = None

    @model_validator(mode="after")
    def _judge(self) -> FilterSpec:
        if (self.model is not None) != (self.by == CROSS_ENCODER):
            raise ValueError("`by: cross-encoder` needs `model`, and no other filter has it")
        if self.revision is not None and self.model is None:
            raise ValueError("`revision` is of the `model` of a cross-encoder")
        return self
