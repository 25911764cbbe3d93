"""Weights in memory: on one device or split over several, as stored or in a number format."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ragbench.base.devices import has_fast_bfloat16, threads_remark, torch_dtype
from ragbench.base.errors import PrerequisiteError, first_line
from ragbench.base.progress import say
from ragbench.models.local.attention import use_blocks
from ragbench.models.local.batches import BATCH_TOKENS
from ragbench.models.local.generation import forget_sampling
from ragbench.models.local.measuring import PROMPT, best_budget, pass_speeds
from ragbench.models.local.options import HfOptions
from ragbench.models.local.prefix import input_device
from ragbench.models.local.tree import longest_tree
from ragbench.models.spec import ModelSpec

if TYPE_CHECKING:
    import torch

COLUMNS = 8_192  # logits of a token that are computed together: they stay near the processor


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


def use_float32_output(model: Any) -> None:
    """Make a causal language model compute its logits in float32; its output layer is replaced.

    Near 20, bfloat16 has steps of 0.125: options would tie, and log-likelihoods would depend on the
    order of additions. On processors that multiply bfloat16 in hardware the logits are sums of two
    products in it, near those in float32 by 2^-16, in about half the time and without a copy.
    """
    import torch

    head = model.get_output_embeddings()
    if not isinstance(head, torch.nn.Linear) or not _is_half(head.weight):
        return  # in float32 already, or quantised
    if head.weight.device.type == "cpu" and _leaves_a_rest(head.weight):
        model.set_output_embeddings(_two_terms(head))
        return
    device = input_device(model) if head.weight.is_meta else head.weight.device
    bias = head.bias is not None
    wide = torch.nn.Linear(head.in_features, head.out_features, bias=bias, device=device)
    with torch.no_grad(), _present(head):
        wide.weight.copy_(head.weight)
        if bias:
            wide.bias.copy_(head.bias)
    wide.register_forward_pre_hook(lambda _, inputs: (inputs[0].to(device, torch.float32),))
    model.set_output_embeddings(wide)


def _two_terms(head: torch.nn.Linear) -> torch.nn.Module:
    """Return a layer for a bfloat16 layer's products in float32: rounded ones, and what they lack.

    The second product starts from the first one's negative and is added up in float32 before it is
    rounded, so it is what rounding took away. The sum of both has twice the digits.
    """
    import torch

    class TwoTerms(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.bias = head.weight, head.bias

        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            rows = hidden.flatten(0, -2)
            is_wide = rows.dtype == torch.float32
            found = rows.new_empty(rows.shape[0], self.weight.shape[0], dtype=torch.float32)
            for start in range(0, self.weight.shape[0], COLUMNS):
                part = self.weight[start : start + COLUMNS]
                if is_wide:
                    found[:, start : start + COLUMNS] = rows @ part.T.float()
                    continue
                near = torch.nn.functional.linear(rows, part)
                rest = torch.addmm(near, rows, part.T, beta=-1)
                found[:, start : start + COLUMNS].copy_(near).add_(rest)
            if self.bias is not None:
                found += self.bias
            return found.view(*hidden.shape[:-1], -1)

    return TwoTerms()


def _leaves_a_rest(weight: torch.Tensor) -> bool:
    """Say whether this machine adds to a bfloat16 product before it rounds the sum."""
    import torch

    if weight.dtype != torch.bfloat16 or not has_fast_bfloat16("cpu"):
        return False
    with torch.inference_mode():
        part = weight[:64]
        rows = weight[64:96] if len(weight) >= 96 else part
        exact = rows.double() @ part.double().T
        near = rows @ part.T
        rest = torch.addmm(near, rows, part.T, beta=-1)
        err = (near.double() + rest.double() - exact).abs().max()
    return bool(err <= 2**-14 * exact.abs().max())


def _is_half(weight: torch.Tensor) -> bool:
    import torch

    return weight.dtype in (torch.bfloat16, torch.float16)


def _present(module: torch.nn.Module) -> AbstractContextManager[object]:
    """Return a context in which a module's weights are there, if accelerate keeps them away."""
    if not any(parameter.is_meta for parameter in module.parameters()):
        return nullcontext()
    from accelerate.utils import align_module_device

    present: AbstractContextManager[object] = align_module_device(module)
    return present


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
