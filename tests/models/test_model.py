"""Batches of a model that answers one prompt at a time."""

from __future__ import annotations

from collections.abc import Sequence

from ragbench.base.errors import BackendError
from ragbench.base.records import OptionScores, Reply
from ragbench.models.model import Choice, OneByOne


class Counting(OneByOne):
    """Scores options by their place, and fails on a prompt that says so."""

    def score_options(self, prompt: str, options: Sequence[str]) -> OptionScores:
        size = self._size(prompt)
        scores = tuple(-1.0 - i for i in range(len(options)))
        return OptionScores(scores, tuple(1 for _ in options), size, 0.0)

    def generate(self, prompt: str, *, limit: int) -> Reply:
        return Reply("A", 1, "stop", self._size(prompt), 0.0)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    @staticmethod
    def _size(prompt: str) -> int:
        if "fault" in prompt:
            raise BackendError("a fault")
        return len(prompt.split())


def test_a_batch_keeps_the_order_and_holds_each_error() -> None:
    model = Counting()
    one, two, three = model.score_batch(
        [Choice("a b", ("x",)), Choice("a fault", ("x",)), Choice("c", ("x", "y"))]
    )
    assert isinstance(one, OptionScores)
    assert one.prompt_tokens == 2
    assert isinstance(two, BackendError)
    assert isinstance(three, OptionScores)
    assert three.log_likelihoods == (-1.0, -2.0)
    replies = model.generate_batch(["a fault", "a b c"], limit=5)
    assert isinstance(replies[0], BackendError)
    assert replies[1] == Reply("A", 1, "stop", 3, 0.0)


def test_texts_are_counted_in_their_order() -> None:
    assert Counting().count_all(["a b c", "", "a"]) == [3, 0, 1]
