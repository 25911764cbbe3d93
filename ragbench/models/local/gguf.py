"""GGUF files, converted once into a cached safetensors folder, which loads in a second."""

from __future__ import annotations

import io
import struct
from contextlib import redirect_stderr
from importlib.util import find_spec
from pathlib import Path

from ragbench.base import home
from ragbench.base.errors import DataError, PrerequisiteError, first_line
from ragbench.base.files import atomic_folder, locked
from ragbench.base.progress import stage
from ragbench.base.weights import weights_digest

FORMAT = 1


def converted(path: Path) -> Path:
    """Return a GGUF file's safetensors folder (config, tokenizer, weights); convert if needed.

    The weights are dequantised to float32, which represents their values exactly.

    Raises:
        PrerequisiteError: The packages that read GGUF are not installed.
        DataError: The file is not a GGUF file that transformers can read.
    """
    folder = home.cache() / "gguf" / f"{path.stem}-{weights_digest(path)[:16]}-{FORMAT}"
    if folder.is_dir():
        return folder
    missing = [name for name in ("gguf", "accelerate") if find_spec(name) is None]
    if missing:
        raise PrerequisiteError(
            f"reading {path.name} needs the packages gguf and accelerate",
            where=str(path),
            fix=f"pip install {' '.join(missing)}",
        )
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with (
        locked(folder, what=f"the converted {path.name}"),
        stage(f"model {path.name}: converting to safetensors, once") as progress,
        atomic_folder(folder) as work,
    ):
        bars = redirect_stderr(io.StringIO())  # transformers cannot turn it off
        try:
            with bars:
                tokenizer = AutoTokenizer.from_pretrained(
                    path.parent, gguf_file=path.name, trust_remote_code=False
                )
                model = AutoModelForCausalLM.from_pretrained(
                    path.parent,
                    gguf_file=path.name,
                    dtype=torch.float32,
                    trust_remote_code=False,
                )
        except (ValueError, OSError, LookupError, RuntimeError, struct.error) as error:
            raise DataError(
                f"transformers cannot read this GGUF file: {first_line(error)}",
                where=str(path),
                fix="give a GGUF file of an architecture that transformers supports, "
                "or the model's safetensors folder",
            ) from None
        # The loaded weights are plain float32 but still marked as quantised.
        model.hf_quantizer = None  # type: ignore[assignment]
        model.config.__dict__.pop("quantization_config", None)
        model.save_pretrained(work)
        tokenizer.save_pretrained(work)
        progress.advance()
    return folder
