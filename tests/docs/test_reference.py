"""docs/reference.py: every key has a meaning, and every command its options."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

import click
import pytest
from click.testing import CliRunner
from pydantic import BaseModel, Field

from docs import reference
from ragbench.cli.main import COMMANDS, cli
from ragbench.experiment.config.config import Config
from ragbench.experiment.config.spec import ArmSpec, TaskSpec


class Inner(BaseModel):
    """A part.

    Attributes:
        day: The day.
    """

    day: datetime.date | None = None


class Base(BaseModel):
    """A base.

    Attributes:
        name: Name of it,
            in two lines.
        inherited: Where ``path`` is.
    """

    name: str
    inherited: Literal["a", "b"] = "a"


class Whole(Base):
    """The whole.

    Attributes:
        size: A number | a bar.
        flag: Whether.
        template: Two lines.

    Raises:
        ValueError: Never.
    """

    size: int | tuple[int, ...] | None = Field(None, gt=0)
    share: float = Field(0.5, ge=0, le=1, description="Share of *all*.")
    flag: bool = False
    template: str = "a\nb"
    inner: Inner = Inner()
    by_name: dict[str, Annotated[Inner, Field()]] = Field(default_factory=dict, alias="names")

    def not_a_key(self) -> None:
        """Return nothing."""


def test_a_table_of_keys_by_hand() -> None:
    told = reference.meanings(Whole) | {"inner": "A part.", "by_name": "Parts."}
    assert told["name"] == "Name of it, in two lines."
    with pytest.raises(LookupError, match="Whole does not describe 'inner'"):
        reference.key_table(Whole)
    Whole.model_fields["inner"].description = "A part."
    Whole.model_fields["by_name"].description = "Parts."
    assert reference.key_table(Whole) == [
        "| key | type | default | meaning |",
        "| --- | --- | --- | --- |",
        "| `name` | text | required | Name of it, in two lines. |",
        "| `inherited` | `a` or `b` | `a` | Where `path` is. |",
        "| `size` | integer or list of integers, above 0 |  | A number \\| a bar. |",
        "| `share` | number, at least 0, at most 1 | `0.5` | Share of \\*all\\*. |",
        "| `flag` | `true` or `false` | `false` | Whether. |",
        "| `template` | text | `a\\nb` | Two lines. |",
        "| `inner` | mapping ([keys](#inner)) |  | A part. |",
        "| `names` | mapping of names to mappings ([keys](#inner)) |  | Parts. |",
        "",
    ]


def test_every_key_of_a_config_a_card_and_a_recipe_has_a_meaning() -> None:
    config = reference.config_page()
    for name in Config.model_fields:
        assert f"| `{name}` |" in config
    for part, place in ((ArmSpec, "arms"), (TaskSpec, "tasks")):
        section = config.partition(f"## `{place}` ")[2].partition("\n## ")[0]
        rows = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
        assert rows == list(part.model_fields)
    assert "| `layer` | integer, at least 0 | required |" in config
    assert "### `backend: server` {" in config and "| `api_key_env` |" in config
    assert "| `seed` | integer, at least 0 | `17` | Seed for every random draw. |" in config
    # Each raises a LookupError for a key without a meaning.
    assert "## `chunking` {" in reference.corpora_page()
    assert "| `nprobe` |" in reference.indexes_page()


def test_every_command_is_on_the_page_with_its_options() -> None:
    page = reference.commands_page()
    assert [line for line in page.splitlines() if line.startswith("## ragbench ")] == [
        f"## {' '.join(path)}" for path in paths(cli, ("ragbench",))
    ]
    printed = CliRunner().invoke(cli, ["index", "search", "--help"]).output
    section = page.partition("## ragbench index search\n")[2].partition("\n## ")[0]
    options = [word.strip(",") for word in printed.split() if word.startswith("--")]
    assert "--queries" in options
    assert [option for option in options if option != "--help" and option not in section] == []


def paths(command: click.Command, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the words of every command below a group, depth first."""
    if not isinstance(command, click.Group):
        return []
    found = []
    names = COMMANDS if path == ("ragbench",) else sorted(command.commands)
    for name in names:
        inner = command.get_command(click.Context(command), name)
        assert inner is not None
        found += [(*path, name), *paths(inner, (*path, name))]
    return found
