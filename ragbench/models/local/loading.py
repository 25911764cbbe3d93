"""Weights in memory: on one device or split over several, as stored or in a number format."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from ragbench.base.devices import threads_remark, torch_dtype
from ragbench.base.errors import PrerequisiteError, first_line
from ragbench.base.progress import say
from ragbench.models.local.attention import use_blocks
from ragbench.models.local.batches import BATCH_TOKENS
from ragbench.models.local.generation import forget_sampling
from ragbench.models.local.measuring import PROMPT, best_budget, pass_speeds
from ragbench.models.local.options import HfOptions
from ragbench.models.local.prefix import use_float32_output
from ragbench.models.local.tree import longest_tree
from ragbench.models.spec import ModelSpec


def load_weights(
    spec: ModelSpec, source: str, *, dtype: str | None, device: str, options: Mapping[str, Any]
) -> Any:
    """Return a causal language model, loaded as its entry in the config says.

    Args:
        spec: The entry.
        source: Folder or id on the hub.
        dtype: Number format; None for that in which quantised weights are stored.
        device: ``cpu`` or ``cuda``.
        options: Further arguments of ``from_pretrained``.

    Raises:
        PrerequisiteError: The weights are those of another kind of model.
    """
    from transformers import AutoModelForCausalLM

    if remark := threads_remark():
        say(remark)
    asked = spec.read(HfOptions)
    attention = asked.attn_implementation
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        source,
        dtype="auto" if dtype is None else torch_dtype(dtype),
        use_safetensors=True,
        output_loading_info=True,
        **placement(device, split=asked.device_map == "auto", quantised=dtype is None),
        **({} if attention == "auto" else {"attn_implementation": attention}),
        **options,
    )
    model, report = loaded
    if missing := sorted(report["missing_keys"]):  # transformers fills these with random numbers
        raise PrerequisiteError(
            f"the weights of {spec.name!r} are missing {len(missing)} tensors of a causal "
            f"language model, such as {missing[0]}",
            where=f"models: {spec.name}: {spec.reference}",
            fix="give a whole causal language model, not an encoder",
        )
    return model


def placement(device: str, *, split: bool, quantised: bool) -> dict[str, Any]:
    """Return where ``from_pretrained`` puts the weights; nothing if they are moved afterwards."""
    if split and device == "cuda":
        return {"device_map": "auto"}
    # Quantised weights cannot be moved.
    return {"device_map": {"": device}} if quantised else {}


def require_accelerate(spec: ModelSpec, device: str) -> None:
    """Refuse to spread a model without the package that does it.

    Raises:
        PrerequisiteError: accelerate is not installed.
    """
    if spec.read(HfOptions).device_map is None or device == "cpu":
        return
    if find_spec("accelerate") is None:
        raise PrerequisiteError(
            "the package 'accelerate', which spreads a model over GPUs, is not installed",
            where=f"models: {spec.name}: device_map: auto",
            fix="pip install accelerate",
        )


def no_attention(name: str, attention: str, error: Exception) -> PrerequisiteError:
    """Return the error of a model that does not have an implementation of attention here."""
    return PrerequisiteError(
        f"{name!r} cannot use {attention}: {first_line(error)}",
        where=f"models: {name}: attn_implementation: {attention}",
        fix="install what the message names, or write sdpa, eager or auto",
    )


def unavailable(spec: ModelSpec, error: Exception) -> PrerequisiteError:
    """Return the error of a model that cannot be loaded."""
    return PrerequisiteError(
        f"the model {spec.name!r} cannot be loaded: {first_line(error)}",
        where=f"models: {spec.name}: {spec.reference}",
        fix="check the path or id; a hub model needs the network once, and a gated one a login",
    )


def settle(model: Any, device: str, spec: ModelSpec, *, blocks: bool) -> Any:
    """Return a loaded model in its place, with logits in float32, ready to answer.

    Args:
        model: As loaded.
        device: ``cpu`` or ``cuda``.
        spec: Its entry in the config.
        blocks: Whether it attends in blocks if its code allows that.
    """
    places = vars(model).get("hf_device_map")
    if places is None:
        model = model.to(device)
    else:
        from accelerate.hooks import remove_hook_from_module

        # It would move all inputs to the first device, where the last layer's rows are not picked.
        remove_hook_from_module(model)
        slow = [part for part, place in places.items() if str(place) in ("cpu", "disk")]
        if slow and device != "cpu":
            say(
                f"{spec.name}: the GPUs hold {len(places) - len(slow)} of {len(places)} parts; the "
                "rest is read from the processor's memory or the disk in every pass, which is many "
                "times slower"
            )
    model = model.eval()
    if blocks:
        use_blocks(model)
    use_float32_output(model)
    forget_sampling(model)
    if device == "cuda" and spec.read(HfOptions).batch_tokens is None:
        _say_best_budget(model, device, spec.name)
    return model


def _say_best_budget(model: Any, device: str, name: str) -> None:
    """Say which tokens of a pass a short measurement on this GPU prefers to the default."""
    used = BATCH_TOKENS[device]
    if not longest_tree(model, range(PROMPT)):
        return
    speeds = pass_speeds(model)
    best = best_budget(speeds) if speeds else used
    if best != used:
        shown = ", ".join(f"{size:,}: {speed:,.0f}/s" for size, speed in speeds.items())
        say(
            f"{name}: passes of {best:,} tokens are best on this GPU, not {used:,} (tokens per "
            f"second by tokens of a pass: {shown}); `batch_tokens: {best}` uses them"
        )
