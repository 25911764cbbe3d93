"""Ways to damage a file: its bytes, its lines, its JSON or YAML values, or the file as such.

Every function takes a ``random.Random``, so that a seed and a number give the same damage again.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import random
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, -(10**30), 10**5000, 1.5, -0.0, 1e308),
    *(float("nan"), float("inf"), float("-inf"), "", " ", "x", "A", "1", "nan", "\0", "\ud800"),
    *("../x", "/", ".", "a/b", "~", "\u202e", "\ufeff", "a\nb", "=1+1", "\x1b[2J", "x" * 100_000),
    *([], {}, [[]], [None], [1, "a"], {"a": 1}, {"": ""}, [{}], ["A", "A"], [0.5] * 300),
)
TOKENS = (
    *(
        b"\0",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xc3",
        b"\r",
        b"\n\n",
        b"\t",
        b'"',
        b"'",
        b",",
        b":",
        b"{",
    ),
    *(
        b"}",
        b"[",
        b"]",
        b"<",
        b">",
        b"</",
        b"&",
        b"&#x110000;",
        b"&lol;",
        b"<!--",
        b"<![CDATA[",
        b"---",
    ),
    *(
        b"NaN",
        b"Infinity",
        b"1e999",
        b"9" * 5000,
        b"\\ud800",
        b"\\u0000",
        b"-",
        b"*a",
        b"&a ",
        b"!!python/x",
    ),
    *(
        b"null",
        b"true",
        b"\xe2\x80\xa8",
        b"\x1b[2J",
        b"%s",
        b"{0}",
        b"..",
        b"[[" * 2000,
        b"<b>" * 2000,
    ),
)
WHOLE = (
    *(b"", b"\n", b" ", b"null", b"[]", b"{}", b"0", b'"x"', b"[1]", b"[null]", b"{}\n{}\n"),
    *(b"\0" * 64, b"[" * 100_000, b'{"a":' * 5000, b"\x1f\x8b", b"PK\x03\x04", b"%PDF-1.4"),
    *(b"PAR1", b"- x\n", b"a: &a [*a]\n", b"\xff\xfe"),
)
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
PACKED = (".gz", ".xlsx", ".docx")


def _flip(data: bytes, draw: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 3, 20))):
        if out:
            out[draw.randrange(len(out))] ^= 1 << draw.randrange(8)
    return bytes(out)


def _truncate(data: bytes, draw: random.Random) -> bytes:
    cut = draw.randrange(len(data) + 1)
    return data[:cut] if draw.random() < 0.7 else data[cut:]


def _insert(data: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(data) + 1)
    return data[:place] + draw.choice(TOKENS) + data[place:]


def _remove(data: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(data) + 1)
    return data[:start] + data[start + draw.choice((1, 2, 10, 200)) :]


def _repeat(data: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(data) + 1)
    part = data[start : start + draw.choice((1, 10, 200))]
    return data[:start] + part * draw.choice((2, 2, 50)) + data[start:]


def _lines(data: bytes, draw: random.Random) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    kind, n = draw.randrange(6), draw.randrange(len(lines))
    if kind == 0:
        lines.insert(n, lines[n])
    elif kind == 1:
        del lines[n]
    elif kind == 2:
        draw.shuffle(lines)
    elif kind == 3:
        lines.insert(n, b"\n")
    elif kind == 4:
        lines[n] = lines[n].rstrip(b"\n") + lines[draw.randrange(len(lines))]
    else:
        lines.insert(n, draw.choice((b"x", b"a" * 3_000_000, b"[" * 100_000)) + b"\n")
    return b"".join(lines)


def _number(data: bytes, draw: random.Random) -> bytes:
    found = list(NUMBER.finditer(data))
    if not found:
        return _insert(data, draw)
    place = draw.choice(found)
    new = draw.choice((b"0", b"-1", b"1e999", b"9" * 30, b"9" * 5000, b"NaN", b"", b"0x1", b"1_0"))
    return data[: place.start()] + new + data[place.end() :]


def _encode(data: bytes, draw: random.Random) -> bytes:
    kind = draw.randrange(5)
    text = data.decode("utf-8", "replace")
    if kind == 0:
        return text.encode(draw.choice(("utf-16", "utf-16-le", "utf-32", "utf-7")))
    if kind == 1:
        return b"\xef\xbb\xbf" + data
    if kind == 2:
        return text.encode("latin-1", "replace").replace(b"e", b"\xe9")
    if kind == 3:
        return data.replace(b"\n", draw.choice((b"\r\n", b"\r", b"\x0b", b"\xe2\x80\xa8")))
    return data.replace(b" ", draw.choice((b"\xc2\xa0", b"\xe2\x80\x8b", b"\0", b"\t")))


def _whole(data: bytes, draw: random.Random) -> bytes:
    return draw.choice((*WHOLE, gzip.compress(data), data * 2))


def _places(value: Any, *above: str | int) -> list[tuple[str | int, ...]]:
    found = [above] if above else []
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            found += _places(value[key], *above, key)
    return found


def swap(value: Any, draw: random.Random) -> Any:
    """Return a JSON value with a part that is gone, renamed, doubled, nested or of another type."""
    try:
        places = _places(value)
    except RecursionError:
        places = []
    if not places:
        return draw.choice(VALUES)
    *above, last = draw.choice(places)
    inner = value
    for key in above:
        inner = inner[key]
    kind = draw.randrange(8)
    if kind == 0:
        del inner[last]
    elif kind == 1 and isinstance(inner, dict):
        inner[draw.choice(("x", "", str(last) * 2, "id", str(last).upper()))] = inner.pop(last)
    elif kind == 2 and isinstance(inner, list):
        inner.insert(0, inner[last])
    elif kind == 3:
        inner[last] = [inner[last]]
    elif kind == 4:
        inner[last] = str(inner[last]) if draw.random() < 0.5 else {"a": inner[last]}
    elif kind == 5:
        *_, other = draw.choice(places)
        inner[last] = other
    else:
        inner[last] = draw.choice(VALUES)
    return value


def _json(data: bytes, draw: random.Random) -> bytes:
    """Swap a value of a JSON document, or of one line of JSON lines; else insert bytes."""
    try:
        return _dumped(swap(json.loads(data), draw))
    except (ValueError, RecursionError):
        pass
    lines = data.splitlines()
    if not lines:
        return _insert(data, draw)
    n = draw.randrange(len(lines))
    try:
        lines[n] = _dumped(swap(json.loads(lines[n]), draw))
    except (ValueError, RecursionError):
        return _yaml(data, draw)
    return b"\n".join(lines) + b"\n"


def _dumped(value: Any) -> bytes:
    try:
        return json.dumps(value).encode()
    except ValueError:  # an int of more digits than Python writes
        return b"9" * 5000


def _yaml(data: bytes, draw: random.Random) -> bytes:
    """Swap a value of a YAML mapping; else insert bytes."""
    import yaml

    if b": " not in data or data.lstrip().startswith((b"<", b"{", b"PK")):
        return _insert(data, draw)
    try:
        value = yaml.safe_load(data.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError):
        return _insert(data, draw)
    return _dumped(swap(value, draw)) if isinstance(value, dict | list) else _insert(data, draw)


BYTES = (_flip, _truncate, _insert, _remove, _repeat, _lines, _number, _encode, _whole)
KINDS: tuple[Callable[[bytes, random.Random], bytes], ...] = (*BYTES, _json, _json, _json, _json)


def damage(data: bytes, draw: random.Random, name: str = "") -> tuple[str, bytes]:
    """Return the kind of damage, and the data with it; half of it inside of a packed file."""
    if name.endswith(PACKED) and draw.random() < 0.7:
        with contextlib.suppress(OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile):
            kind, inner = _inside(data, draw)  # a second damage may find no archive
            return f"inside: {kind}", inner
    change = draw.choice(KINDS)
    try:
        return change.__name__.strip("_"), change(data, draw)
    except RecursionError:  # an earlier damage nested the value too deeply
        return "flip", _flip(data, draw)


def _inside(data: bytes, draw: random.Random) -> tuple[str, bytes]:
    if data[:2] == b"\x1f\x8b":
        kind, inner = damage(gzip.decompress(data), draw)
        return kind, gzip.compress(inner, 1)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        names = old.namelist()
        chosen = draw.choice([n for n in names if "sheet" in n or "document" in n] or names)
        chosen = draw.choice((chosen, chosen, draw.choice(names)))
        kind = "none"
        for name in names:
            content = old.read(name)
            if name == chosen:
                kind, content = damage(content, draw)
            new.writestr(name, content)
    return kind, out.getvalue()


def replace(path: Path, draw: random.Random) -> str:
    """Put something else where a file was, and return what."""
    kind = draw.choice(("none", "folder", "pipe", "loop", "away", "unreadable", "device"))
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "away":
        path.symlink_to("/etc/hostname")
    elif kind == "device":
        path.symlink_to(draw.choice(("/dev/zero", "/dev/null")))
    elif kind == "unreadable":
        path.write_bytes(b"\xff\xfe")
        path.chmod(0)
    return f"as such: {kind}"
