"""A model that grades pain by the first word of the scale that its prompt has."""

import re
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from outside_lab.task import GRADES
from ragbench.base.modelfacts import ModelFacts
from ragbench.base.records import Message, OptionScores, Reply
from ragbench.models.model import OneByOne
from ragbench.models.spec import BackendOptions, ModelSpec


class LabOptions(BackendOptions):
    """The backend's own key: ``unsure``, the grade where the prompt has no word of the scale."""

    unsure: int = Field(0, ge=0, lt=len(GRADES))


class LabModel(OneByOne):
    """Does not say where it sends prompts, so ragbench refuses it restricted data."""

    Options: ClassVar[type[BackendOptions]] = LabOptions
    is_chat = False
    context_tokens = 4096

    def __init__(self, spec: ModelSpec) -> None:
        self.unsure = spec.read(LabOptions).unsure

    def digest(self) -> str:
        return f"lab 1, unsure {self.unsure}"

    def facts(self) -> ModelFacts:
        return ModelFacts(self.digest(), "lab", "plain", self.context_tokens)

    def render(self, messages: Sequence[Message]) -> str:
        return "\n\n".join([*(message.content for message in messages), "Answer:"])

    def continuation(self, option: str) -> str:
        return f" {option}"

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def release(self) -> None:
        """Do nothing: there are no weights."""

    def score_options(self, prompt: str, options: Sequence[str]) -> OptionScores:
        sums = tuple(-1.0 - abs(place - self._grade(prompt)) for place in range(len(options)))
        return OptionScores(sums, (1,) * len(options), self.count_tokens(prompt), elapsed_s=0.0)

    def generate(self, prompt: str, *, limit: int) -> Reply:
        return Reply(f"Grade: {self._grade(prompt)}", 2, "stop", self.count_tokens(prompt), 0.0)

    def _grade(self, prompt: str) -> int:
        found = re.search(rf"\b(?:{'|'.join(GRADES)})\b", prompt)
        return GRADES.index(found[0]) if found else self.unsure
