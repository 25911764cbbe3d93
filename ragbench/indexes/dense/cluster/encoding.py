"""Passages are encoded by workers of a cluster; vectors come back and are written here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from ragbench.base.cluster.engine import Cluster, Node, way_to
from ragbench.base.cluster.pool import Pool
from ragbench.base.devices import Device, Dtype
from ragbench.base.endpoint import refuse_restricted
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.terms import is_restricted
from ragbench.indexes.dense.encoder_model import Vectors
from ragbench.indexes.dense.encoders import Encoder, EncoderCard

HOST = "ragbench.indexes.dense.cluster.encoding:EncoderHost"
_CLUSTER: ContextVar[Cluster | None] = ContextVar("cluster", default=None)


class EncoderHost:
    """The encoder of a worker."""

    def __init__(self) -> None:
        self._encoders: dict[str, Encoder] = {}

    def passages(
        self, card: EncoderCard, device: Device, dtype: Dtype, texts: Sequence[str]
    ) -> Vectors:
        """Return the vectors of passages, as ``Encoder.passages`` does."""
        key = f"{card.model_dump_json()} {device} {dtype}"
        if key not in self._encoders:
            self._encoders.clear()
            self._encoders[key] = Encoder(card, device, dtype)
        return self._encoders[key].passages(texts)


@dataclass(frozen=True, slots=True)
class RemoteEncoder:
    """An encoder of passages in a pool; its number format is the one that was asked for."""

    pool: Pool
    card: EncoderCard
    device: Device
    dtype: Dtype

    def passages(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of passages, as ``Encoder.passages`` does."""
        found: Vectors = self.pool.call(
            f"{HOST}.passages", self.card, self.device, self.dtype, list(texts)
        )
        return found


@contextmanager
def encoding_on(cluster: Cluster | None) -> Iterator[None]:
    """Let a cluster encode the passages of indexes that are built in the block."""
    token = _CLUSTER.set(cluster)
    try:
        yield
    finally:
        _CLUSTER.reset(token)


@contextmanager
def encoders(corpus: Corpus) -> Iterator[Pool | None]:
    """Yield the workers that encode a corpus; None where this process does.

    Raises:
        UsageError: The corpus is restricted and a machine of the cluster is another one.
    """
    cluster = _CLUSTER.get()
    if cluster is None:
        yield None
        return
    is_closed = is_restricted(corpus)

    def check(node: Node) -> None:
        if is_closed:
            refuse_restricted(f"the corpus {corpus.name!r}", [way_to(node)])

    with cluster.guarded(check):
        yield cluster.pool
