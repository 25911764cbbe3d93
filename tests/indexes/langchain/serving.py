"""A Milvus server (Milvus Lite) on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running_milvus(folder: Path) -> Iterator[str]:
    """Yield the address of a server that keeps its collections in a folder."""
    from milvus_lite.adapter.grpc.server import start_server_in_thread

    server, database, port = start_server_in_thread(str(folder / "m.db"), host="127.0.0.1", port=0)
    yield f"http://127.0.0.1:{port}"
    server.stop(grace=0)
    database.close()
