"""Home: legal names and the order in which places are searched."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ragbench.base.home
from ragbench.base.errors import UsageError
from ragbench.base.home import bundled, cache, check_name, find_yaml, yaml_names


@pytest.mark.parametrize("name", ["a", "A9", "bm25-icd10cm", "x_1.2", "0", "a" * 100])
def test_plain_names_are_legal(name: str) -> None:
    assert check_name(name, what="a corpus") == name


LEAVE_THE_FOLDER = ["", ".", "..", "../x", "a/b", "/etc", "a\\b", ".hidden", "-x", "_x", "a..b"]
BREAK_TABLES_OR_FILE_SYSTEMS = ["a b", "a\n", "a\x00", "é", "~", "*", "a:b", "a" * 101]


@pytest.mark.parametrize("name", [*LEAVE_THE_FOLDER, *BREAK_TABLES_OR_FILE_SYSTEMS])
def test_unsafe_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_name(name, what="a corpus")
    assert caught.value.what == f"{name!r} cannot be the name of a corpus"
    with pytest.raises(UsageError):
        find_yaml("corpora", name, what="corpus")


@given(st.text(max_size=12))
def test_a_legal_name_is_one_visible_member_of_its_folder(name: str) -> None:
    try:
        check_name(name, what="a corpus")
    except UsageError:
        return
    path = Path("/elsewhere/corpora") / f"{name}.yaml"
    assert path.resolve() == path
    assert path.parent == Path("/elsewhere/corpora")
    assert name.isascii()
    assert not name.startswith(".")


def test_home_is_the_variable_or_the_current_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert ragbench.base.home.home() == home
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAGBENCH_HOME", "~/elsewhere")
    assert ragbench.base.home.home() == tmp_path / "elsewhere"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAGBENCH_HOME", "")
    assert ragbench.base.home.home() == tmp_path
    monkeypatch.delenv("RAGBENCH_HOME")
    assert ragbench.base.home.home() == tmp_path


def test_cache_is_the_variable_then_xdg_then_the_user_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("RAGBENCH_CACHE", "~/own")
    assert cache() == tmp_path / "own"
    monkeypatch.delenv("RAGBENCH_CACHE")
    assert cache() == tmp_path / "xdg" / "ragbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache() == tmp_path / ".cache" / "ragbench"


def test_home_is_searched_before_what_the_package_carries(home: Path) -> None:
    carried = bundled() / "corpora" / "icd10cm.yaml"
    assert find_yaml("corpora", "icd10cm", what="corpus") == carried
    own = home / "corpora" / "icd10cm.yaml"
    own.parent.mkdir()
    own.write_text("reader: icd10cm\n", encoding="utf-8")
    assert find_yaml("corpora", "icd10cm", what="corpus") == own
    (own.parent / "aaa.yaml").touch()
    names = dict(yaml_names("corpora"))
    assert names["icd10cm"] == own
    assert names["aaa"] == own.parent / "aaa.yaml"
    assert [name for name, _ in yaml_names("corpora")].count("icd10cm") == 1


def test_a_folder_of_the_right_name_is_not_a_file(home: Path) -> None:
    (home / "corpora" / "x.yaml").mkdir(parents=True)
    with pytest.raises(UsageError, match="there is no corpus 'x'"):
        find_yaml("corpora", "x", what="corpus")


def test_a_miss_tells_where_it_looked_and_offers_near_names(home: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_yaml("corpora", "icd10", what="corpus")
    assert caught.value.what == "there is no corpus 'icd10'"
    assert str(home / "corpora") in caught.value.where
    assert caught.value.fix.startswith("did you mean 'icd10cm'? known: ")


def test_every_bundled_kind_has_files() -> None:
    for kind in ("corpora", "indexes", "configs"):
        assert list((bundled() / kind).glob("*.yaml"))
