#!/usr/bin/env python
"""Print the rooms of the package, the floors they are on, their arrows, and circles of files.

A room is a folder or a file directly under ``ragbench/``, or ``scripts/``. An arrow says that one
room imports another. A room is one floor above the highest room that it imports. A circle is a
set of files that import each other, imports inside functions and for type checking included.

    python scripts/rooms.py                 # this tree
    python scripts/rooms.py ../other/tree   # another one, for a comparison
    python scripts/rooms.py --inside ragbench/indexes
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

Graph = dict[str, set[str]]
PACKAGE = "ragbench"


def modules(root: Path) -> dict[str, Path]:
    """Return every module of the package and the scripts, by its dotted name."""
    found = {}
    for path in sorted([*(root / PACKAGE).rglob("*.py"), *(root / "scripts").glob("*.py")]):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules of ``known`` that a file imports anywhere."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else str(node.module)


def file_graph(root: Path) -> Graph:
    """Return the imports of each module; importing an empty ``__init__`` does not count."""
    known = modules(root)
    return {name: set(imports(path, known)) - {name} for name, path in known.items()}


def room_of(module: str, inside: str = PACKAGE) -> str:
    """Return the room of a module: its folder or file one level below ``inside``."""
    if module == inside or module.startswith(f"{inside}."):
        return module.removeprefix(inside).removeprefix(".").partition(".")[0] or "__init__"
    return module.partition(".")[0]


def room_graph(files: Graph, inside: str = PACKAGE) -> Graph:
    """Return the imports of each room."""
    rooms: Graph = {}
    for name, others in files.items():
        if inside != PACKAGE and not name.startswith(f"{inside}."):
            continue
        room = rooms.setdefault(room_of(name, inside), set())
        for other in others:
            if inside == PACKAGE or other.startswith(f"{inside}."):
                room.add(room_of(other, inside))
    return {room: others - {room} for room, others in rooms.items()}


def circles(graph: Graph) -> list[list[str]]:
    """Return the strongly connected sets of two or more, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            members = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(members) > 1:
                found.append(sorted(members))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return sorted(found)


def floors(graph: Graph) -> dict[str, int]:
    """Return the floor of every room, from 1; rooms of a circle share theirs."""
    together = {room: tuple(members) for members in circles(graph) for room in members}
    floor: dict[str, int] = {}

    def of(room: str) -> int:
        if room not in floor:
            members = together.get(room, (room,))
            below = {b for m in members for b in graph.get(m, ())} - set(members)
            floor.update(dict.fromkeys(members, 1 + max(map(of, below), default=0)))
        return floor[room]

    for room in graph:
        of(room)
    return floor


def lines_of(files: Iterable[Path]) -> int:
    """Return the total number of lines of the files."""
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)


def main() -> None:
    """Print the rooms, floors, arrows and circles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tree", nargs="?", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--inside", default=PACKAGE, help="folder to show")
    arguments = parser.parse_args()
    inside = arguments.inside.rstrip("/").replace("/", ".")
    known, files = modules(arguments.tree), file_graph(arguments.tree)
    graph = room_graph(files, inside)
    floor = floors(graph)
    for room in sorted(graph, key=lambda r: (-floor[r], r)):
        print(f"floor {floor[room]}  {room}: imports {', '.join(sorted(graph[room])) or 'nothing'}")
    arrows = sum(map(len, graph.values()))
    found = circles(files)
    print(f"{len(graph)} rooms, {max(floor.values())} floors, {arrows} arrows")
    print(f"{len(found)} circles of files", *(" <-> ".join(c) for c in found), sep="\n  ")
    package = [path for name, path in known.items() if name.startswith(PACKAGE)]
    print(f"{len(package)} modules of {lines_of(package):,} lines")


if __name__ == "__main__":
    main()
