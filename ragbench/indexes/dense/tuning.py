"""How far an approximate index has to look: the least that reaches a recall on its own vectors."""

from __future__ import annotations

from typing import Any

from ragbench.base.errors import DataError, UsageError
from ragbench.base.progress import stage
from ragbench.indexes.dense.ann import set_knobs
from ragbench.indexes.dense.recall import Judge

STEPS = {"nprobe": 4096, "ef_search": 2048, "k_factor": 256}  # how far each may be turned


def knob_of(factory: str) -> str:
    """Return the setting of a factory that trades speed for recall.

    It is ``nprobe`` or ``ef_search``, or ``k_factor`` where codes are refined and all are searched.

    Raises:
        UsageError: The index has none.
    """
    if "IVF" in factory:
        return "nprobe"
    if "HNSW" in factory:
        return "ef_search"
    if "Refine" in factory or "RFlat" in factory:
        return "k_factor"
    raise UsageError(
        f"an index of the factory {factory!r} has nothing to tune",
        where="recipe: target_recall",
        fix="leave `target_recall` out; its codes decide, and `min_recall` watches over them",
    )


def tune(faiss: Any, index: Any, judge: Judge, target: float, *, factory: str) -> dict[str, int]:
    """Set and return the least value that reaches a recall with both kinds of queries.

    The value is doubled until it does, then the interval is halved. ``judge`` has other queries
    than those that the recall is reported for.

    Raises:
        DataError: No value reaches it.
    """
    knob = knob_of(factory)
    most = STEPS[knob]
    if knob == "nprobe":
        most = int(faiss.extract_index_ivf(index).nlist)
    with stage(f"tuning {knob} to recall {target:g}") as progress:

        def reached(value: int) -> float:
            set_knobs(faiss, index, {knob: value}, factory=factory)
            progress.advance()
            return min(one.recall_at_k for one in judge.recall(index))

        low, high = 0, 1
        best = reached(high)
        while best < target and high < most:
            low, high = high, min(2 * high, most)
            best = reached(high)
        if best < target:
            raise DataError(
                f"the recall does not reach {target:g}: it is {best:.3f} with {knob} {high}",
                where=f"recipe: factory {factory}",
                fix="take finer codes, RFlat to refine them, or Flat; or lower `target_recall`",
            )
        while high - low > max(1, high // 16):
            middle = (low + high) // 2
            low, high = (low, middle) if reached(middle) >= target else (middle, high)
        set_knobs(faiss, index, {knob: high}, factory=factory)
    return {knob: high}
