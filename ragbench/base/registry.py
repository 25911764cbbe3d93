"""The registry class: names of ``module:object`` targets, imported on first use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from ragbench.base.errors import UsageError, near

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """One registered name: its target ``module:object`` and one line of description."""

    target: str
    summary: str


class Registry(Generic[T]):
    """A table from names to objects of one kind.

    Other packages add entries through the entry-point group ``ragbench.KIND``, in which a hyphen of
    the kind is an underscore.

    Args:
        kind: The plural noun, such as ``readers``.
        source: The file with the table, for the message about an unknown name.
    """

    def __init__(self, kind: str, table: Mapping[str, Entry], *, source: str) -> None:
        self.kind = kind
        self._table = dict(table)
        self._source = source
        self._outside_loaded = False

    def register(self, name: str, target: str, summary: str = "") -> None:
        """Add an entry with the target ``module:object`` and one line for ``ragbench list``.

        Raises:
            UsageError: The name is taken.
        """
        if name in self._table:
            raise UsageError(
                f"two {self.kind} have the name {name!r}",
                where=f"{self._table[name].target} and {target}",
                fix="rename one of them, or uninstall one of the two packages",
            )
        self._table[name] = Entry(target, summary)

    def _entries(self) -> dict[str, Entry]:
        if not self._outside_loaded:
            from importlib.metadata import entry_points

            for point in entry_points(group=f"ragbench.{self.kind.replace('-', '_')}"):
                package = point.dist.name if point.dist else "an installed package"
                known = self._table.get(point.name)
                if known is None or known.target != point.value:  # again after a clash
                    self.register(point.name, point.value, f"from {package}")
            self._outside_loaded = True
        return self._table

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._entries()

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self._entries())

    def items(self) -> Iterator[tuple[str, Entry]]:
        """Yield (name, entry) by name."""
        yield from sorted(self._entries().items())

    def get(self, name: str, *, where: str = "") -> T:
        """Return the object of a name, imported on first use.

        Args:
            name: A registered name.
            where: The place that names it, for the message.

        Raises:
            UsageError: The name is unknown.
        """
        entries = self._entries()
        if name not in entries:
            raise UsageError(
                f"there is no {name!r} among the {self.kind}",
                where=where,
                fix=f"{near(name, entries)}; add new ones in {self._source}",
            )
        return cast("T", _load(entries[name].target))

    def find(self, name: str) -> str:
        """Return ``file:line`` of the object of a name."""
        import inspect

        target = self.get(name)
        file = inspect.getsourcefile(target)  # type: ignore[arg-type]
        return f"{file}:{inspect.getsourcelines(target)[1]}"  # type: ignore[arg-type]


def _load(target: str) -> object:
    from importlib import import_module

    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except AttributeError:
        raise UsageError(
            f"the module {module!r} has no {attribute!r}",
            where=f"the entry point or table line {target!r}",
            fix="write module:object",
        ) from None
