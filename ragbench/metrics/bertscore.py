"""BERTScore (Zhang et al. 2020) with any local encoder: no idf weights, no rescaling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from ragbench.base.devices import Device, hide_loading_bars, pick_device
from ragbench.base.errors import PrerequisiteError, UsageError, first_line
from ragbench.base.records import Answered
from ragbench.base.weights import locate
from ragbench.base.yamlfile import Fields

LONGEST = 100_000  # tokens, for encoders that state no bound
FIX = (
    "write `metrics: {bertscore_f1: {encoder: FOLDER_OR_HUB_ID, layer: N}}`; CLUE used "
    "allenai/scibert_scivocab_uncased at layer 8, and emilyalsentzer/Bio_ClinicalBERT at layer 9"
)


class BertscoreOptions(Fields):
    """Options of the encoder.

    Attributes:
        encoder: A folder, ``package:NAME/FOLDER`` or a hub id.
        layer: Layer whose hidden states are compared; 0 is the embeddings.
        batch: Number of texts encoded at once.
        device: ``auto`` is the GPU if there is one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: str
    layer: int = Field(ge=0)
    batch: int = Field(32, gt=0)
    device: Device = "auto"


def bertscore_f1(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return the F-measure of greedy matches of token vectors by cosine.

    As in the package bert-score, the first and last special tokens can be matched but do not count
    themselves, and a text that is too long for the encoder is cut. An empty reply scores 0. The
    options are those of BertscoreOptions.

    Raises:
        UsageError: The options are wrong or missing.
        PrerequisiteError: The encoder is missing.
    """
    try:
        spec = BertscoreOptions.model_validate(dict(options))
    except ValidationError as error:
        problem = error.errors()[0]
        raise UsageError(
            f"the options of bertscore_f1 are wrong: {'.'.join(map(str, problem['loc']))}: "
            f"{problem['msg']}",
            where="metrics: bertscore_f1",
            fix=FIX,
        ) from None
    texts = [answered.text for answered in answers]
    references = [answered.question.reference for answered in answers]
    distinct = list(dict.fromkeys(text.strip() for text in (*texts, *references)))
    vectors = dict(zip(distinct, _encode(distinct, spec), strict=True))
    return [
        _matched(vectors[text.strip()], vectors[reference.strip()])
        for text, reference in zip(texts, references, strict=True)
    ]


def _encode(texts: Sequence[str], spec: BertscoreOptions) -> list[Any]:
    """Return per text an (L, D) array of unit vectors with special tokens at both ends."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    hide_loading_bars()
    folder = locate(spec.encoder, hub=not spec.encoder.startswith(("package:", ".", "/")))
    source = spec.encoder if folder is None else str(folder)
    # Without trust_remote_code, transformers asks on the terminal and waits.
    keys: dict[str, Any] = {"local_files_only": folder is not None, "trust_remote_code": False}
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(source, **keys)
        model: Any = AutoModel.from_pretrained(source, use_safetensors=True, **keys).eval()
    except (OSError, ValueError, RuntimeError) as error:
        raise PrerequisiteError(
            f"the encoder of bertscore_f1 cannot be loaded: {first_line(error)}",
            where=f"metrics: bertscore_f1: encoder: {spec.encoder}",
            fix="give a local folder; a hub model needs the network once",
        ) from None
    config = model.config.get_text_config()
    if spec.layer > config.num_hidden_layers:
        raise UsageError(
            f"the encoder has {config.num_hidden_layers} layers, fewer than {spec.layer}",
            where="metrics: bertscore_f1: layer",
        )
    model = model.to(pick_device(spec.device))
    bounds = (tokenizer.model_max_length, getattr(config, "max_position_embeddings", None))
    longest = min(n for n in (*bounds, LONGEST) if n is not None and n > 0)
    found: list[Any] = [None] * len(texts)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(order), spec.batch):
        rows = order[start : start + spec.batch]
        batch = tokenizer(
            [texts[i] for i in rows],
            padding=True,
            truncation=True,
            max_length=longest,
            return_tensors="pt",
        ).to(model.device)
        with torch.inference_mode():
            states = model(**batch, output_hidden_states=True).hidden_states[spec.layer]
        states = torch.nn.functional.normalize(states.float(), dim=-1).cpu()
        for row, i in enumerate(rows):
            found[i] = states[row, batch["attention_mask"][row].bool().cpu()]
    return found


def _matched(mine: Any, theirs: Any) -> float:
    if len(mine) <= 2 or len(theirs) <= 2:  # only special tokens
        return 0.0
    cosines = mine @ theirs.T
    precision = float(cosines.max(dim=1).values[1:-1].mean())
    recall = float(cosines.max(dim=0).values[1:-1].mean())
    both = precision + recall
    return 2 * precision * recall / both if both else 0.0
