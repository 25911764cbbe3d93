"""What the process of a pipeline is started with: keys of an arm or of a model, as JSON."""

from __future__ import annotations

from ragbench.models.runnable.call import CallSpec, PipelineKeys


def test_what_is_started_has_the_keys_and_what_is_read() -> None:
    keys = PipelineKeys(
        factory="a:b", trust_code=True, options={"k": 3}, input="q", timeout_s=7, servers=()
    )
    made = keys.call("text", "draft")
    assert CallSpec.model_validate(made.model_dump(mode="json")) == made
    assert (made.reads, made.key, made.input, made.timeout_s) == ("text", "draft", "q", 7)
    assert (made.factory, made.options) == ("a:b", {"k": 3})
    assert "`servers: []`" in keys.declare_reach
