"""Weights that are stored with fewer bits: their number format, and whether they can be loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragbench.base.errors import PrerequisiteError, UsageError, first_line
from ragbench.base.files import sha256_json
from ragbench.base.progress import say
from ragbench.models.local.context import text_config

# Keys of the methods' configs that state the bits of a weight.
BITS = ("bits", "w_bit", "num_bits", "nbits", "weight_bits")
# Methods that state none, and those whose scales need more than the bits in their name.
STATED_BITS = {"mxfp4": 4.25, "nvfp4": 4.5, "mxfp8": 8.25, "bitnet": 2.0}


@dataclass(frozen=True, slots=True)
class Quantised:
    """How weights are stored.

    Attributes:
        name: Method and bits, such as ``gptq-int4``.
        bits: Bits of a weight, without its scales where the method does not state them.
        digest: Identity of all settings.
    """

    name: str
    bits: float
    digest: str

    def refuse(self, dtype: str, adapter: Path | None, where: str) -> None:
        """Refuse keys of a config that these weights would not honour.

        Raises:
            UsageError: There is a number format, or an adapter to merge.
        """
        stored = f"the weights are quantised ({self.name})"
        if dtype != "auto":
            raise UsageError(
                f"{stored} and keep their number format",
                where=f"{where}: dtype: {dtype}",
                fix="remove `dtype`",
            )
        if adapter is not None:
            raise UsageError(
                f"{stored}, so that no adapter can be merged into them",
                where=f"{where}: adapter",
                fix="give the base in bfloat16, or merge the adapter before you quantise",
            )


def quantised(config: Any) -> Quantised | None:
    """Return how a model's weights are stored; None if in a plain number format.

    Args:
        config: The model's config in transformers.
    """
    found = _settings(config)
    if found is None:
        return None
    method = str(found.get("quant_method") or "bitsandbytes").replace("_", "-")
    digest = sha256_json({str(key): found[key] for key in sorted(found)})
    if found.get("load_in_4bit"):
        kind = str(found.get("bnb_4bit_quant_type") or "fp4")
        return Quantised(f"bitsandbytes-{kind}", 4.5, digest)
    if found.get("load_in_8bit"):
        return Quantised("bitsandbytes-int8", 8.0, digest)
    if method in STATED_BITS:
        return Quantised(method, STATED_BITS[method], digest)
    if method.endswith("fp8"):
        return Quantised(method, 8.0, digest)
    for kind, bits in _stated(found):
        return Quantised(f"{method}-{kind}{bits:g}", bits, digest)
    named = [text for text in _texts(found) if text.rstrip("0123456789") in ("int", "float")]
    if named:  # such as quanto's ``weights: int4``
        return Quantised(f"{method}-{named[0]}", float(named[0].lstrip("intfloa")), digest)
    return Quantised(method, 8.0, digest)


def check_quantised(config: Any, name: str, device: str, where: str) -> None:
    """Check that quantised weights can be loaded here, and say if they lose their format.

    transformers turns some formats into bfloat16 where the hardware does not have them.

    Raises:
        PrerequisiteError: A package is not installed, or a GPU is missing.
    """
    from transformers.quantizers.auto import AutoHfQuantizer

    try:
        method = AutoHfQuantizer.from_config(dict(_settings(config) or {}), pre_quantized=True)
        method.validate_environment(device_map={"": device}, weights_only=True)
    except (ImportError, RuntimeError, ValueError, TypeError) as error:
        found = quantised(config)
        raise PrerequisiteError(
            f"the weights of {name!r} are quantised ({found.name if found else 'unknown'}) and "
            f"cannot be loaded: {first_line(error)}",
            where=where,
            fix="install the package that the message names, on a machine with the GPU that it "
            "asks for; or give the weights in bfloat16",
        ) from None
    if vars(method.quantization_config).get("dequantize"):
        say(f"{name}: this hardware does not have the format of its weights; they become bfloat16")


def _settings(config: Any) -> Mapping[str, Any] | None:
    for part in (config, text_config(config)):
        found = vars(part).get("quantization_config")
        if found is not None:
            return found if isinstance(found, Mapping) else dict(found.to_dict())
    return None


def _stated(settings: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the kind and the bits of weights, as settings and the mappings in them state it."""
    for key in BITS:
        if isinstance(bits := settings.get(key), int | float) and not isinstance(bits, bool):
            yield str(settings.get("type") or "int"), float(bits)
    inner = [value for value in settings.values() if isinstance(value, Mapping)]
    # Activations have bits as well, in a mapping beside that of the weights.
    for value in [settings["weights"]] if isinstance(settings.get("weights"), Mapping) else inner:
        yield from _stated(value)


def _texts(settings: Mapping[str, Any]) -> Iterator[str]:
    yield from (value for value in settings.values() if isinstance(value, str))
