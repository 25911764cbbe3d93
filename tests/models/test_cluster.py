"""A model that copies on a cluster answer for, with workers in this process."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragbench.base.errors import BackendError, PrerequisiteError
from ragbench.base.records import Message
from ragbench.models import cluster
from ragbench.models.cluster import ClusterModel, Copy, ModelHost
from ragbench.models.model import Choice, Model
from ragbench.models.spec import ModelSpec, make_model
from tests.base.cluster.workers import Here, pool_of

PROMPTS = [f"Question {n}?\nAnswer:" for n in range(4)]
CHOICES = [Choice(prompt, ["a", "b"]) for prompt in PROMPTS]


def spec_of(**keys: object) -> ModelSpec:
    return ModelSpec.model_validate({"name": "m", "backend": "scripted", **keys})


def pair(*workers: Here, **keys: object) -> tuple[Model, ClusterModel]:
    """Return a model, and the same on a cluster."""
    inner = make_model(spec_of(**keys))
    pool = pool_of(workers, len(workers))
    return inner, ClusterModel(spec_of(**keys), make_model(spec_of(**keys)), lambda: pool)


def times_apart(found: list[object]) -> list[object]:
    return [replace(one, elapsed_s=0.0) for one in found]  # type: ignore[type-var]


def test_it_is_the_model_with_as_many_batches_in_flight_as_workers() -> None:
    alone, many = pair(Here("a"), Here("b"))
    assert (many.digest(), many.facts(), many.batch_size) == (alone.digest(), alone.facts(), 1)
    assert (many.concurrency, many.is_chat, many.context_tokens) == (
        *(2, alone.is_chat),
        alone.context_tokens,
    )
    turns = [Message("user", "Is it gout?")]
    assert many.render(turns) == alone.render(turns)
    assert many.continuation("A") == alone.continuation("A")
    assert many.count_all(PROMPTS) == alone.count_all(PROMPTS)
    assert times_apart([*many.score_batch(CHOICES)]) == times_apart([*alone.score_batch(CHOICES)])
    found, expected = (one.generate_batch(PROMPTS, limit=9) for one in (many, alone))
    assert times_apart([*found]) == times_apart([*expected])
    one = Choice(PROMPTS[0], ["a", "b"])
    assert times_apart([many.score_options(one.prompt, one.options)]) == times_apart(
        [alone.score_options(one.prompt, one.options)]
    )


def test_the_error_of_one_prompt_is_that_of_the_model() -> None:
    _, many = pair(Here(), fail_on="Question 2")
    first, _, third, _ = many.score_batch(CHOICES)
    assert isinstance(third, BackendError) and not isinstance(first, BackendError)
    with pytest.raises(BackendError):
        many.generate(PROMPTS[2], limit=3)


def test_prompts_on_which_three_workers_are_lost_are_errors_of_these_prompts() -> None:
    _, many = pair(Here())
    pool = pool_of([Here(dies_after=1), Here(dies_after=0), Here(dies_after=0), Here()], 1)
    many._make_pool = lambda: pool
    assert many.digest()
    found = many.score_batch(CHOICES)
    assert len(found) == 4 and all(isinstance(one, BackendError) for one in found)
    assert not any(isinstance(one, BackendError) for one in many.score_batch(CHOICES))


def test_a_cluster_whose_copies_differ_is_refused_with_what_differs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, many = pair(Here("a"))
    assert many.digest()
    real = ModelHost.describe

    def other(self: ModelHost, spec: ModelSpec) -> Copy:
        found = real(self, spec)
        facts = replace(found.facts, dtype="bfloat16")
        return replace(found, digest="other", facts=facts, batch_size=64)

    monkeypatch.setattr(ModelHost, "describe", other)
    with pytest.raises(PrerequisiteError, match="is not the same on all nodes") as caught:
        many.score_batch(CHOICES)
    assert "and 'bfloat16' on another; batches are of 1 and of 64 prompts" in caught.value.what


def test_a_worker_has_the_weights_of_one_model_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[str] = []
    host = ModelHost()

    def noted(spec: ModelSpec) -> Model:
        model = make_model(spec)
        monkeypatch.setattr(model, "release", lambda: released.append(spec.name), raising=False)
        return model

    monkeypatch.setattr(cluster, "make_model", noted)
    one, two = spec_of(), spec_of(name="n", seed=3)
    digest = host.describe(one).digest
    assert host.describe(two).digest != digest
    assert released == ["m"]
    scores = host.score(one, digest, CHOICES)
    assert isinstance(scores, list) and released == ["m", "n"]
    assert host.score(two, digest, CHOICES) == host.describe(two)
