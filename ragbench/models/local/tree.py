"""Many token sequences in one pass of a model: as a tree, in which a shared beginning occurs once.

The nodes of the tree are the tokens of one row. An attention mask lets each token see only those
before it in its own sequences, and its position is its depth. So a prompt is computed once for all
its options, and the first passages once for the arms that begin with them, without a padding token.
A beginning of all sequences, such as few-shot examples, is computed once for many passes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from inspect import signature
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ragbench.models.local.attention import BLOCKS
from ragbench.models.local.context import text_config
from ragbench.models.local.prefix import Beginning, beginning, input_device, keeps_only_keys

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]

MOST_LOGITS = 1 << 26  # numbers, at most 256 MB in float32
ROWS_OF_LOGITS = 16  # of these a processor keeps a copy near; one of all takes three times as long
LONGEST_TREE = 4_096  # tokens; the mask grows with the square
EXAMINED = 40  # tokens of a model's examination
# Least tokens of a beginning that is worth a pass of its own, and its step: questions that
# happen to begin alike do not change it.
BEGINNING, STEP = 128, 64
# These change the positions of short sequences beside long ones.
CHANGING_ROPES = {"dynamic", "longrope"}


@dataclass(frozen=True, slots=True)
class Scored:
    """Token sequences, each a prompt with a reply, whose replies begin at the same place.

    Attributes:
        sequences: At least one, of more tokens than ``start``.
        start: Number of tokens before the reply, at least 1.
    """

    sequences: Sequence[Sequence[int]]
    start: int


class Tree:
    """Tokens of sequences without the last of each, whose logits nobody asks for."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.parents: list[int] = []  # -1 where a sequence begins
        self.depths: list[int] = []
        self._children: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def is_line(self) -> bool:
        """Whether it is one sequence."""
        return all(parent == node - 1 for node, parent in enumerate(self.parents))

    def add(self, sequence: Sequence[int]) -> list[int]:
        """Add a sequence and return the nodes of its tokens but the last."""
        path, parent = [], -1
        for depth, token in enumerate(sequence[:-1]):
            node = self._children.get((parent, token))
            if node is None:
                node = self._children[parent, token] = len(self.tokens)
                self.tokens.append(token)
                self.parents.append(parent)
                self.depths.append(depth)
            path.append(node)
            parent = node
        return path

    def mask(self, before: int = 0) -> Mask:
        """Return (T, ``before`` + T): whether a token, by row, sees another.

        All of them see those of the beginning, which is no part of the tree.
        """
        import numpy as np

        seen = np.zeros((len(self), before + len(self)), dtype=np.bool_)
        seen[:, :before] = True
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                seen[node, : before + parent + 1] = seen[parent, : before + parent + 1]
            seen[node, before + node] = True
        return seen


def packs(
    items: Sequence[Scored], *, budget: int, vocabulary: int, width: int | None, before: int = 0
) -> Iterator[list[int]]:
    """Yield the items of each pass, by place: sorted by their tokens, so that neighbours share.

    The passes are those of the least cost together, in tokens: T tokens cost T, their attention to
    each other T (T + 2 ``before``) / 6 ``width``, which is its share of a usual layer, and each
    pass an eighth of ``budget``. So prompts that share little fill about the budget, and those
    with the same examples or passages far more. Where a prompt's attention costs the same alone and
    beside others, a pass has as many as it may.

    Args:
        items: What is to be scored.
        budget: Tokens of a pass beyond which more bring little; no pass has more than this or
            ``LONGEST_TREE``, except a single item's.
        vocabulary: Logits per token.
        width: Hidden size of the model; None if attention is in blocks, so that prompts that share
            a pass do not pay for each other.
        before: Tokens of a beginning that is computed before.
    """
    rows = max(1, MOST_LOGITS // vocabulary)
    order = sorted(range(len(items)), key=lambda place: list(items[place].sequences[0]))
    chosen = [items[place] for place in order]
    sizes = [_tokens_of(item) - before for item in chosen]
    asked = [sum(len(ids) - item.start for ids in item.sequences) for item in chosen]
    shared = [0, *(_common(one, other) - before for one, other in pairwise(chosen))]
    least = [(0.0, 0)]  # of the first items: cost, and where their last pass starts
    for end in range(1, len(chosen) + 1):
        tokens, logits, found = 0, 0, list[tuple[float, int]]()
        for start in reversed(range(end)):
            tokens += sizes[start] - (shared[start + 1] if start + 1 < end else 0)
            logits += asked[start]
            if found and (tokens > max(budget, LONGEST_TREE) or logits > rows):
                break
            cost = budget / 8 + tokens
            if width is not None:
                cost += tokens * (tokens + 2 * before) / (6 * width)
            found.append((least[start][0] + cost, start))
        least.append(min(found))
    ends = [len(chosen)]
    while ends[-1]:
        ends.append(least[ends[-1]][1])
    for start, end in pairwise(reversed(ends)):
        yield order[start:end]


def common_beginning(items: Sequence[Scored]) -> list[int]:
    """Return the tokens that all sequences begin with, if a pass of their own is worth while."""
    if len(items) < 2:
        return []
    first, size = items[0], min(item.start for item in items) - 1
    for other in items[1:]:
        size = min(size, _common(first, other))
        if size < BEGINNING:
            return []
    return list(first.sequences[0][: size // STEP * STEP])


def _tokens_of(item: Scored) -> int:
    tree = Tree()
    for ids in item.sequences:
        tree.add(ids)
    return len(tree)


def _common(one: Scored, other: Scored) -> int:
    """Return the tokens of an item's tree that it shares with the one before, at least."""
    pairs = zip(one.sequences[0][:-1], other.sequences[0][:-1], strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def tree_log_likelihoods(
    model: Any, items: Sequence[Scored], before: Beginning | None = None
) -> list[list[float]]:
    """Return the summed natural log-probability of each sequence's reply, by item, in one pass.

    Args:
        model: One for which ``longest_tree`` is at least the longest sequence, or, if all sequences
            are one up to their last tokens, one that ``picks_logits``.
        items: What is to be scored.
        before: What all sequences begin with; it ends before the last token of a prompt.
    """
    import torch

    size = len(before.tokens) if before else 0
    tree = Tree()
    paths = [[tree.add(ids[size:]) for ids in item.sequences] for item in items]
    asked: dict[int, int] = {}  # node -> row of the logits
    for item, found in zip(items, paths, strict=True):
        for path in found:
            for node in path[item.start - size - 1 :]:
                asked.setdefault(node, len(asked))
    given: dict[str, Any] = {"use_cache": False} if before is None else before.arguments(model)
    device = input_device(model)
    if before is not None or not tree.is_line:
        mask = torch.from_numpy(tree.mask(size)).to(device)
        hidden = torch.zeros(mask.shape, dtype=model.dtype, device=device)
        hidden.masked_fill_(~mask, torch.finfo(model.dtype).min)
        depths = [size + depth for depth in tree.depths]
        given |= {
            "attention_mask": hidden[None, None],
            "position_ids": torch.tensor([depths], device=device),
        }
    with torch.inference_mode():
        logits = model(
            input_ids=torch.tensor([tree.tokens], device=device),
            logits_to_keep=torch.tensor(list(asked)),  # the last layer may be on another device
            **given,
        ).logits[0]
        rows: list[int] = []
        targets: list[int] = []
        for item, found in zip(items, paths, strict=True):
            for ids, path in zip(item.sequences, found, strict=True):
                rows += [asked[node] for node in path[item.start - size - 1 :]]
                targets += ids[item.start :]
        logits = logits.float()
        together = ROWS_OF_LOGITS if device.type == "cpu" else len(logits)
        totals = torch.cat([some.logsumexp(-1) for some in logits.split(together)])
        at = torch.tensor(rows, device=logits.device)
        chosen = logits[at, torch.tensor(targets, device=logits.device)] - totals[at]
        values = chosen.double().tolist()
    sums: list[list[float]] = []
    place = 0
    for item in items:
        sums.append([])
        for ids in item.sequences:
            count = len(ids) - item.start
            sums[-1].append(sum(values[place : place + count]))
            place += count
    return sums


def picks_logits(model: Any) -> bool:
    """Say whether a model computes logits at chosen places only."""
    parameters = signature(model.forward).parameters
    return "logits_to_keep" in parameters and "use_cache" in parameters


_longest: dict[tuple[type, str, str], int] = {}


def longest_tree(model: Any, sample: Sequence[int]) -> int:
    """Return the longest sequence that may be part of a tree; 0 if none may.

    A model whose layers keep more than keys and values, or whose code takes no mask or positions,
    has none; nor does one that computes other numbers for a small tree of the sample's tokens than
    for its sequences alone, or whose numbers change with a sequence beside them. Models of the same
    code, config, number format and devices, such as those of a pair, are examined once.
    """
    if model not in _kinds:
        attention = text_config(model.config)._attn_implementation
        config = model.config.to_dict() | {"_name_or_path": "", "attention": attention}
        places = {str((tensor.device, tensor.dtype)) for tensor in model.parameters()}
        _kinds[model] = type(model), str(sorted(places)), json.dumps(config, default=str)
    kind = _kinds[model]
    if kind not in _longest:
        _longest[kind] = _examined(model, sample)
    return _longest[kind]


_kinds: WeakKeyDictionary[Any, tuple[type, str, str]] = WeakKeyDictionary()


def _examined(model: Any, sample: Sequence[int]) -> int:
    config = text_config(model.config)
    if getattr(config, "_attn_implementation", None) not in ("sdpa", "eager", BLOCKS):
        return 0
    if not picks_logits(model) or not takes_padding(model, sample):
        return 0
    windows = (getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size"))
    longest = min([LONGEST_TREE, *(int(window) for window in windows if window)])
    try:
        return longest if longest >= EXAMINED and _agrees(model, sample) else 0
    except (RuntimeError, IndexError, ValueError, TypeError, AttributeError, KeyError):
        return 0


_continued: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def continues_beginnings(model: Any, sample: Sequence[int]) -> bool:
    """Say whether a tree that continues a beginning has the numbers of whole sequences.

    It is tried once per model, one for which ``longest_tree`` is not 0.
    """
    if model not in _continued:
        try:
            _continued[model] = _continues(model, sample)
        except (RuntimeError, IndexError, ValueError, TypeError, AttributeError, KeyError):
            _continued[model] = False
    return _continued[model]


def _continues(model: Any, sample: Sequence[int]) -> bool:
    import torch

    ids = (list(sample) * EXAMINED)[:EXAMINED]
    items = [Scored([ids[:20] + ids[25:33]], 20), Scored([ids[:20] + ids[20:28][::-1]], 20)]
    kept = beginning(model, ids[:16])
    if kept is None:
        return False
    near = 1e-3 if model.dtype == torch.float32 else 1.5
    whole = [found[0] for found in tree_log_likelihoods(model, items)]
    for _ in range(2):  # the second pass finds what the first has left
        found = [sums[0] for sums in tree_log_likelihoods(model, items, kept)]
        if any(abs(a - b) >= near for a, b in zip(whole, found, strict=True)):
            return False
    return True


def takes_padding(model: Any, sample: Sequence[int]) -> bool:
    """Say whether a sequence's numbers are the same with tokens beside it that it does not see."""
    takes = {"attention_mask", "position_ids"} <= set(signature(model.forward).parameters)
    changing = CHANGING_ROPES & set(_rope_types(text_config(model.config)))
    return takes and not changing and keeps_only_keys(model, sample[:8])


def _rope_types(config: Any) -> Iterator[str]:
    waiting = [getattr(config, name, None) for name in ("rope_parameters", "rope_scaling")]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            waiting += entry.values()
            yield from (str(entry[key]) for key in ("rope_type", "type") if key in entry)


def _agrees(model: Any, sample: Sequence[int]) -> bool:
    """Compare a tree with its sequences alone, and with a tree that has another neighbour."""
    import torch

    ids = (list(sample) * EXAMINED)[:EXAMINED]
    kept = [Scored([ids[:20] + ids[25:33]], 20), Scored([ids[7:30] + ids[3:6]], 23)]
    first = Scored([ids[:20] + ids[20:28]], 20)
    other = Scored([ids[:20] + ids[21:29][::-1]], 20)
    alone = [tree_log_likelihoods(model, [item])[0][0] for item in [first, *kept]]
    beside = [found[0] for found in tree_log_likelihoods(model, [first, *kept])]
    again = [found[0] for found in tree_log_likelihoods(model, [other, *kept])]
    exact = model.dtype == torch.float32
    near, same = (1e-3, 1e-4) if exact else (1.5, 0.25)
    return all(abs(a - b) < near for a, b in zip(alone, beside, strict=True)) and all(
        abs(a - b) < same for a, b in zip(beside[1:], again[1:], strict=True)
    )
