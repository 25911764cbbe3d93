"""What a process of a cluster runs: it holds one object and calls its methods."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ragbench.base import errors
from ragbench.base.errors import BackendError, RagbenchError, first_line
from ragbench.base.provenance import version

VERSION = version("ragbench") or "without a version"

KINDS = {
    kind.__name__: kind
    for kind in (
        *(errors.UsageError, errors.DataError, errors.AbsentError, errors.PrerequisiteError),
        *(errors.BackendError, errors.UnavailableError, errors.FilteredError, RagbenchError),
    )
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of ragbench as it travels between processes.

    Attributes:
        kind: Name of the nearest class in ``ragbench.base.errors``.
        what: What is wrong.
        where: Where.
        fix: What to do.
    """

    kind: str
    what: str
    where: str = ""
    fix: str = ""

    @classmethod
    def of(cls, error: RagbenchError) -> Failure:
        """Return the fields of an error."""
        kind = next(one.__name__ for one in type(error).__mro__ if one.__name__ in KINDS)
        return cls(kind, error.what, error.where, error.fix)

    def error(self) -> RagbenchError:
        """Return the error."""
        return KINDS.get(self.kind, RagbenchError)(self.what, where=self.where, fix=self.fix)


@dataclass(frozen=True, slots=True)
class Hello:
    """A worker that has started.

    Attributes:
        version: Its version of ragbench.
        address: Address of its node.
        process: Number of its process.
    """

    version: str
    address: str
    process: int


class Host:
    """A process of a cluster, with one object at a time, such as a model.

    Args:
        settings: Environment variables, set before a class is imported.
        folder: Folder that relative paths start from, if this node has it.
        address: Address of this node; asked of Ray if it is empty.
    """

    def __init__(self, settings: Mapping[str, str], folder: str = "", address: str = "") -> None:
        os.environ.update(settings)
        if folder and Path(folder).is_dir():
            os.chdir(folder)
        self._address = address
        self._held = ""
        self._object: Any = None

    def hello(self) -> Hello:
        """Return the version of ragbench here, and where this is."""
        return Hello(VERSION, self._address or _address(), os.getpid())

    def call(self, method: str, arguments: tuple[Any, ...]) -> Any:
        """Return what ``package.module:Class.method`` returns, or the fields of its error.

        An object of the class is made on the first call, and kept until one of another is needed.
        """
        try:
            held, _, name = method.rpartition(".")
            if held != self._held:
                self._held, self._object = "", None
                _free_memory()
                module, _, kind = held.partition(":")
                self._object = getattr(import_module(module), kind)()
                self._held = held
            return getattr(self._object, name)(*arguments)
        except RagbenchError as error:
            return Failure.of(error)
        except Exception as error:  # it could not be pickled, or its class is unknown elsewhere
            what = f"a worker on {self._address or _address()} failed: {type(error).__name__}: "
            return Failure(BackendError.__name__, what + first_line(error))


def _free_memory() -> None:
    gc.collect()
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _address() -> str:
    import ray

    return str(ray.util.get_node_ip_address())
