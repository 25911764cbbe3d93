"""A file with the addresses of servers, one per line."""

from __future__ import annotations

from pathlib import Path

from ragbench.base import home
from ragbench.base.endpoint import Endpoint, parse
from ragbench.base.errors import DataError, UsageError
from ragbench.base.files import plain_file

COMMENT = "#"
MOST_BYTES = 1 << 20


def path_of(name: str) -> Path:
    """Return where a file of addresses is: relative to RAGBENCH_HOME."""
    return home.home() / home.expand(name)


def read_text(path: Path) -> str:
    """Return the text of a file of addresses.

    Raises:
        UsageError: The file is missing, cannot be read or is too long.
    """
    fix = "write one address per line, such as http://HOST:8000/v1"
    try:
        with plain_file(path).open("rb") as handle:
            data = handle.read(MOST_BYTES + 1)
        if len(data) <= MOST_BYTES:
            return data.decode("utf-8-sig")
        what = f"the file of addresses has more than {MOST_BYTES:,} bytes"
    except FileNotFoundError:
        what, fix = "the file of addresses does not exist", "give it relative to RAGBENCH_HOME"
    except (OSError, UnicodeDecodeError) as error:
        what = f"the file of addresses cannot be read: {error}"
    raise UsageError(what, where=str(path), fix=fix)


def endpoints_in(text: str, path: Path) -> tuple[Endpoint, ...]:
    """Return the endpoints in the text of a file, each once; blank lines and ``#`` are skipped.

    Raises:
        DataError: A line is not an address, or there is none. The message has the line's number
            and not its text, which may have a password.
    """
    found: dict[Endpoint, None] = {}
    for number, line in enumerate(text.splitlines(), 1):
        address = line.strip()
        if not address or address.startswith(COMMENT):
            continue
        try:
            found[parse(address)] = None
        except ValueError as error:
            raise DataError(
                f"this line is not the address of a server: {error}",
                where=f"{path}:{number}",
                fix="write one address per line, such as http://HOST:8000/v1",
            ) from None
    if not found:
        raise DataError(
            "the file of addresses has none",
            where=str(path),
            fix="write one address per line, such as http://HOST:8000/v1",
        )
    return tuple(found)
