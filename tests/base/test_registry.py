"""Registry: near names, no silent overwriting, file and line, packages outside."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.base.registry import Entry, Registry
from ragbench.cli.listing import REGISTRIES
from ragbench.corpora.readers import readers
from ragbench.corpora.readers.jsonl import JsonlReader
from tests.conftest import install, ragbench


def small() -> Registry[object]:
    table = {
        "ordered": Entry("collections:OrderedDict", "a dict with an order"),
        "counter": Entry("collections:Counter", "a bag"),
        "gone": Entry("no_such_module_here:Thing", "its package is not installed"),
    }
    return Registry("shelves", table, source="shelves/__init__.py")


def test_names_are_sorted_and_nothing_is_imported_until_asked() -> None:
    registry = small()
    assert registry.names() == ["counter", "gone", "ordered"]
    assert [name for name, _ in registry.items()] == registry.names()
    assert "ordered" in registry
    assert "other" not in registry
    assert {"a": 1} not in registry  # as a config may have in place of a name
    with pytest.raises(ModuleNotFoundError, match="no_such_module_here"):
        registry.get("gone")


def test_get_loads_the_target() -> None:
    from collections import Counter

    assert small().get("counter") is Counter
    assert readers.get("jsonl") is JsonlReader


def test_a_miss_lists_near_names_all_names_and_the_file_to_edit() -> None:
    with pytest.raises(UsageError) as caught:
        small().get("countr")
    assert caught.value.what == "there is no 'countr' among the shelves"
    assert caught.value.fix == (
        "did you mean 'counter'? known: counter, gone, ordered; add new ones in shelves/__init__.py"
    )


def test_a_name_is_registered_once() -> None:
    registry = small()
    registry.register("deque", "collections:deque", "two ends")
    assert registry.names() == ["counter", "deque", "gone", "ordered"]
    with pytest.raises(UsageError) as caught:
        registry.register("counter", "elsewhere:Counter")
    assert caught.value.what == "two shelves have the name 'counter'"
    assert caught.value.where == "collections:Counter and elsewhere:Counter"


def test_registries_do_not_share_their_tables() -> None:
    table = {"counter": Entry("collections:Counter", "a bag")}
    first: Registry[object] = Registry("shelves", table, source="")
    second: Registry[object] = Registry("shelves", table, source="")
    first.register("extra", "collections:deque")
    assert "extra" in first
    assert "extra" not in second
    assert list(table) == ["counter"]


@pytest.mark.parametrize("kind", sorted(REGISTRIES))
def test_every_entry_is_found_at_an_existing_line(kind: str) -> None:
    module, _, name = REGISTRIES[kind].partition(":")
    registry: Registry[object] = getattr(import_module(module), name)
    assert registry.kind == kind
    assert registry.names()
    for key, entry in registry.items():
        file, _, line = registry.find(key).rpartition(":")
        text = Path(file).read_text(encoding="utf-8").splitlines()[int(line) - 1]
        attribute = entry.target.partition(":")[2]
        assert text.startswith(("class ", "def ", "@", attribute)), f"{file}:{line}: {text}"
        assert entry.summary


@pytest.mark.parametrize("target", sorted(REGISTRIES.values()))
def test_no_submodule_hides_a_registry(target: str) -> None:
    # Importing ragbench.x.y sets the attribute y of ragbench.x, whatever stood there.
    module, _, name = target.partition(":")
    assert find_spec(module) is not None
    path = Path(__file__).parents[2].joinpath(*module.split("."))
    assert not (path / f"{name}.py").exists()
    assert not (path / name).exists()


def test_a_package_outside_cannot_take_a_name(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "ward_notes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ward-notes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ragbench.readers]\njsonl = ward_notes:WardReader\n")
    install(tmp_path, monkeypatch)
    listed = ragbench(home, "list", "readers")
    assert listed.returncode == 2
    assert "two readers have the name 'jsonl'" in listed.stderr
    assert "ragbench.corpora.readers.jsonl:JsonlReader and ward_notes:WardReader" in listed.stderr
