"""The helper that follows pages: files, commands, outputs, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.page import Block, blocks, follow

GOOD = """\
Text before `not/a/file`: and after.

`sub/a.txt`:
```txt
one

two
```

```sh
cat sub/a.txt
```

```text
two
```
Then it fails:
```sh exit=3
exit 3
```
"""


def page(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text, encoding="utf-8")
    return path


def test_blocks_are_found_with_their_files(tmp_path: Path) -> None:
    assert blocks(page(tmp_path, GOOD)) == [
        Block("txt", "sub/a.txt", "one\n\ntwo\n", 4),
        Block("sh", None, "cat sub/a.txt\n", 10),
        Block("text", None, "two\n", 14),
        Block("sh exit=3", None, "exit 3\n", 18),
    ]


def test_a_page_is_followed(tmp_path: Path) -> None:
    assert follow(page(tmp_path, GOOD), tmp_path) == "one\n\ntwo\n"


def test_commands_that_cannot_run_are_skipped_for_a_reason(tmp_path: Path) -> None:
    skipped = '```sh skip="needs a GPU of its own"\nfalse\n```\n'
    assert follow(page(tmp_path, skipped + GOOD), tmp_path) == "one\n\ntwo\n"


def test_commands_alone(tmp_path: Path) -> None:
    text = "`a.txt`:\n```txt\na\n```\n```yaml\npart: 1\n```\n```sh\nls\n```\n```text\nnot\n```\n"
    assert follow(page(tmp_path, text), tmp_path, commands_alone=True) == ""


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("```sh\nfalse\n```\n", "exit 1"),
        ("```sh\nfalse\ntrue\n```\n", "exit 1"),
        ("```sh exit=3\ntrue\n```\n", "exit 0"),
        ("```sh\necho one\n```\n```text\ntwo\n```\n", "'two' is not in the output"),
        ("`../a.txt`:\n```txt\nx\n```\n", "page.md:2"),
        ("```yaml\na: 1\n```\n", "neither a file nor a command"),
        ("```sh\ntrue\n", "is not closed"),
        ('```sh skip=""\nfalse\n```\n', "exit 1"),
    ],
)
def test_what_does_not_hold_is_told_with_its_line(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(AssertionError, match=what):
        follow(page(tmp_path, text), tmp_path)
