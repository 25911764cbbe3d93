"""Flat and scalar-quantised indexes written to their file block by block, never whole in memory.

FAISS keeps such an index as a header and one code per vector. The header for N vectors is made from
the headers for no vector and for one, so it fits the installed FAISS. If it has an unexpected form,
the index is built in memory like the other types.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ragbench.base.progress import stage
from ragbench.indexes.dense.embeddings import Embeddings

COUNT = slice(8, 16)  # after the four letters of the type and the dimension


def streams(faiss: Any, index: Any) -> bool:
    """Say whether an index is a header and codes alone: ``Flat``, ``SQ8``, ``SQfp16``."""
    return isinstance(index, (faiss.IndexFlat, faiss.IndexScalarQuantizer))


def header(faiss: Any, index: Any, n: int) -> bytes | None:
    """Return the bytes before the codes of a file with n vectors, for a trained, empty index.

    None is returned for an index of another kind, or a file of another form.
    """
    if not streams(faiss, index) or index.ntotal:
        return None
    empty = faiss.serialize_index(index).tobytes()
    one = faiss.clone_index(index)
    one.add(np.zeros((1, index.d), dtype=np.float32))
    head = bytearray(faiss.serialize_index(one).tobytes()[: -index.sa_code_size()])
    size = slice(len(head) - 8, len(head))
    count, units = (int.from_bytes(head[place], "little") for place in (COUNT, size))
    head[COUNT] = head[size] = bytes(8)
    if bytes(head) != empty or count != 1:
        return None
    head[COUNT] = n.to_bytes(8, "little")
    head[size] = (n * units).to_bytes(8, "little")
    return bytes(head)


def half_of(path: Path) -> Path:
    """Return where the file of an index is written until it is whole."""
    return path.with_name(f".{path.name}.half")


def write(index: Any, head: bytes, stored: Embeddings, path: Path) -> None:
    """Write the file of an index; a build that was killed resumes after its last whole shard.

    The trained ``index`` encodes and stays empty; ``head`` comes from ``header``. The file appears
    when it is whole.
    """
    half = half_of(path)
    code = index.sa_code_size()
    with half.open("r+b" if half.is_file() else "w+b") as handle:
        there = _rows(handle, head, code)
        label = f"index over {stored.corpus.name}: adding"
        with stage(label, len(stored.corpus)) as progress:
            for start, vectors in stored.shards():
                if start + len(vectors) > there:
                    handle.seek(len(head) + start * code)
                    handle.truncate()
                    block = np.ascontiguousarray(vectors, dtype=np.float32)
                    handle.write(index.sa_encode(block).data)
                    handle.flush()
                progress.advance(len(vectors))
        os.fsync(handle.fileno())
    half.replace(path)


def _rows(handle: BinaryIO, head: bytes, code: int) -> int:
    """Return how many codes are there; start the file again if it has another header."""
    if handle.read(len(head)) == head:
        return (os.fstat(handle.fileno()).st_size - len(head)) // code
    handle.seek(0)
    handle.truncate()
    handle.write(head)
    return 0
