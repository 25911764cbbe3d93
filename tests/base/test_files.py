"""Files: nothing half-written, torn lines, locks between processes, digests."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragbench.base import files
from ragbench.base.errors import DataError
from ragbench.base.files import (
    JsonlAppender,
    atomic_file,
    atomic_folder,
    drop_torn_line,
    locked,
    plain_file,
    read_json,
    read_jsonl,
    remove_halves,
    sha256_file,
    sha256_json,
    sha256_text,
    strict_json,
    write_bytes,
    write_json,
    write_jsonl,
    write_text,
)

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
MILLION_A = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"  # FIPS 180-2, B.3
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


# -- atomic files and folders ---------------------------------------------------------------


def test_atomic_file_shows_new_content_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.txt"
    with atomic_file(path) as handle:
        handle.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_a_loop_of_links_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with atomic_file(tmp_path / "a") as handle:
        handle.write(b"x")
    assert b"x" in {(tmp_path / name).read_bytes() for name in "ab"}


def test_a_pipe_is_written_to_and_a_link_stays_one(tmp_path: Path) -> None:
    pipe, link, file = tmp_path / "pipe", tmp_path / "link", tmp_path / "file"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_bytes(pipe, b"run")
    assert os.read(reader, 9) == b"run"
    os.close(reader)
    assert pipe.is_fifo()
    file.write_bytes(b"old")
    link.symlink_to(file)
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert file.read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 3


def test_atomic_file_keeps_the_old_content_when_the_block_raises(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="boom"), atomic_file(path) as handle:
        handle.write(b"half of the n")
        handle.flush()
        raise RuntimeError("boom")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_atomic_file_keeps_the_old_content_when_the_writer_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    done = run_python(
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from ragbench.base.files import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as handle:\n"
        "    handle.write(b'half'); handle.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n",
        str(path),
    )
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


def test_writers_write_utf8_and_keep_the_order_of_keys(tmp_path: Path) -> None:
    write_bytes(tmp_path / "b", b"\x00\xff")
    write_text(tmp_path / "t", "Ménière\n")
    write_json(tmp_path / "j", {"z": "µg", "a": [1, None]})
    assert (tmp_path / "b").read_bytes() == b"\x00\xff"
    assert (tmp_path / "t").read_bytes() == b"M\xc3\xa9ni\xc3\xa8re\n"
    assert (tmp_path / "j").read_text(encoding="utf-8") == (
        '{\n  "z": "µg",\n  "a": [\n    1,\n    null\n  ]\n}\n'
    )


def test_lines_are_written_compact_and_all_or_none(tmp_path: Path) -> None:
    path = tmp_path / "packed.jsonl"
    write_jsonl(path, [{"id": "q1", "tokens": [1, 2]}, {"id": "µ", "text": None}])
    expected = '{"id":"q1","tokens":[1,2]}\n{"id":"µ","text":null}\n'.encode()
    assert path.read_bytes() == expected

    def failing() -> Iterator[dict[str, object]]:
        yield {"id": "new"}
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_jsonl(path, failing())
    assert path.read_bytes() == expected


def test_atomic_folder_replaces_all_of_the_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "index"
    path.mkdir()
    (path / "old.bin").write_bytes(b"old")
    with atomic_folder(path) as work:
        (work / "new.bin").write_bytes(b"new")
        assert (path / "old.bin").exists()
    assert [p.name for p in path.iterdir()] == ["new.bin"]
    assert [p.name for p in tmp_path.iterdir()] == ["index"]


def test_atomic_folder_keeps_the_old_folder_when_the_block_raises(tmp_path: Path) -> None:
    path = tmp_path / "index"
    path.mkdir()
    (path / "old.bin").write_bytes(b"old")
    with pytest.raises(RuntimeError, match="boom"), atomic_folder(path) as work:
        (work / "new.bin").write_bytes(b"half")
        raise RuntimeError("boom")
    assert [p.name for p in path.iterdir()] == ["old.bin"]
    assert [p.name for p in tmp_path.iterdir()] == ["index"]


def test_fixed_staging_is_kept_on_failure_and_gone_on_success(tmp_path: Path) -> None:
    path, staging = tmp_path / "index", tmp_path / ".index.building"
    with pytest.raises(RuntimeError), atomic_folder(path, staging=staging) as work:
        (work / "shard-0").write_bytes(b"done")
        raise RuntimeError("killed")
    assert not path.exists()
    with atomic_folder(path, staging=staging) as work:
        assert (work / "shard-0").read_bytes() == b"done"
        (work / "shard-1").write_bytes(b"done")
    assert sorted(p.name for p in path.iterdir()) == ["shard-0", "shard-1"]
    assert not staging.exists()


def test_half_files_go_when_their_process_has(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = [f".a.json.{gone.pid}.tmp", f"deep/.b.{gone.pid}.tmp", f".{'9' * 30}.{'9' * 30}.tmp"]
    kept = [f".c.json.{os.getpid()}.tmp", f".d.{os.getppid()}.tmp", ".e.tmp", f"f.{gone.pid}.tmp"]
    (tmp_path / "deep").mkdir()
    for name in names + kept:
        (tmp_path / name).write_text("half")
    remove_halves(tmp_path)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == set(kept)


def test_half_files_of_a_killed_process_are_no_part_of_the_folder(tmp_path: Path) -> None:
    path, staging = tmp_path / "index", tmp_path / ".index.building"
    (staging / "part-0").mkdir(parents=True)
    for name in (".rows.i32.41.tmp", "part-0/.a.42.tmp", "rows.43.tmp", ".rows.tmp", "whole"):
        (staging / name).write_bytes(b"x")
    with atomic_folder(path, staging=staging):
        pass
    left = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
    assert left == [".rows.tmp", "rows.43.tmp", "whole"]


def test_what_killed_processes_left_is_removed_and_no_more(tmp_path: Path) -> None:
    for name in (".index.41.tmp", ".index.42.old", ".index.abc.building", ".index2.41.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part").touch()
    (tmp_path / ".index.lock").touch()
    (tmp_path / ".indexX41.tmp").mkdir()
    with atomic_folder(tmp_path / "index"):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        ".index.abc.building",
        ".index.lock",
        ".index2.41.tmp",
        ".indexX41.tmp",
        "index",
    ]


# -- locks ----------------------------------------------------------------------------------

TRY_LOCK = """
import sys
from pathlib import Path
from ragbench.base.errors import DataError
from ragbench.base.files import JsonlAppender, locked
path = Path(sys.argv[1])
try:
    if path.suffix == ".jsonl":
        with JsonlAppender(path) as out:
            out.append({"by": "second"})
    else:
        with locked(path, what="the corpus 'x'"):
            pass
except DataError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def test_a_lock_is_refused_to_another_process_until_it_is_freed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x"
    with locked(path, what="the corpus 'x'"):
        refused = run_python(TRY_LOCK, str(path))
    assert refused.returncode == 3
    assert "the corpus 'x' is being written by another process" in refused.stdout
    assert f"where: {path}" in refused.stdout
    assert run_python(TRY_LOCK, str(path)).returncode == 0


def test_a_lock_is_freed_when_the_block_raises(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), locked(tmp_path / "x", what="x"):
        raise RuntimeError
    with locked(tmp_path / "x", what="x"):
        pass


def test_a_second_appender_is_refused_in_another_process(tmp_path: Path) -> None:
    path = tmp_path / "cell.jsonl"
    with JsonlAppender(path) as out:
        out.append({"by": "first"})
        refused = run_python(TRY_LOCK, str(path))
        out.append({"by": "first again"})
    assert refused.returncode == 3
    assert "the file cell.jsonl is being written by another process" in refused.stdout
    assert run_python(TRY_LOCK, str(path)).returncode == 0
    assert [line["by"] for _, line in read_jsonl(path)] == ["first", "first again", "second"]


WRITE_FOR_EVER = """
import itertools, sys
from pathlib import Path
from ragbench.base.files import JsonlAppender
with JsonlAppender(Path(sys.argv[1])) as out:
    for number in itertools.count():
        out.append({"number": number, "pad": "x" * 50_000})
"""


def test_kill_of_a_writer_leaves_whole_lines_and_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "cell.jsonl"
    child = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(path)])
    try:
        deadline = time.monotonic() + 300
        while not path.exists() or path.stat().st_size < 2_000_000:
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    with JsonlAppender(path) as out:
        out.append({"number": -1, "pad": "x" * 50_000})
    lines = [line for _, line in read_jsonl(path)]
    assert [line["number"] for line in lines] == [*range(len(lines) - 1), -1]
    assert len(lines) >= 40
    assert {len(line["pad"]) for line in lines} == {50_000}


# -- JSON lines -----------------------------------------------------------------------------

objects = st.lists(
    st.dictionaries(st.text(max_size=3), st.text(max_size=8) | st.integers(), max_size=3),
    max_size=8,
)


@given(values=objects, data=st.data(), chunk=st.integers(1, 9))
def test_any_cut_keeps_exactly_the_whole_lines(
    values: list[dict[str, object]], data: st.DataObject, chunk: int
) -> None:
    lines = [json.dumps(v, ensure_ascii=False).encode("utf-8") + b"\n" for v in values]
    whole = b"".join(lines)
    cut = data.draw(st.integers(0, len(whole)))
    kept = sum(1 for end in range(1, len(lines) + 1) if len(b"".join(lines[:end])) <= cut)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "CHUNK_BYTES", chunk)
        path = Path(folder) / "cell.jsonl"
        path.write_bytes(whole[:cut])
        drop_torn_line(path)
        assert path.read_bytes() == b"".join(lines[:kept])
        with JsonlAppender(path) as out:
            out.append({"last": True})
        assert [line for _, line in read_jsonl(path)] == [*values[:kept], {"last": True}]


def test_a_torn_line_of_many_chunks_is_dropped_whole(tmp_path: Path) -> None:
    path = tmp_path / "cell.jsonl"
    path.write_bytes(b'{"a":1}\n' + b"x" * (2 * files.CHUNK_BYTES + 17))
    drop_torn_line(path)
    assert path.read_bytes() == b'{"a":1}\n'


def test_drop_torn_line_makes_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "records" / "cell.jsonl"
    drop_torn_line(path)
    assert path.read_bytes() == b""


@given(st.lists(st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False), max_size=3)))
@settings(max_examples=50)
def test_what_is_appended_is_read_again(values: list[dict[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cell.jsonl"
        with JsonlAppender(path) as out:
            for value in values:
                out.append(value)
                assert path.read_bytes().endswith(b"\n")  # handed over at once
        assert list(read_jsonl(path)) == list(enumerate(values, 1))


def test_a_value_that_is_no_text_leaves_the_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "cell.jsonl"
    with JsonlAppender(path) as out:
        out.append({"a": 1})
        with pytest.raises(UnicodeEncodeError):
            out.append({"a": "\ud800"})
        out.append({"a": 2})
    assert [line["a"] for _, line in read_jsonl(path)] == [1, 2]


def test_blank_lines_bom_and_windows_line_ends_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n   \n{"a": "x\xe2\x80\xa8y"}')
    assert list(read_jsonl(path)) == [(1, {"a": 1}), (4, {"a": "x\u2028y"})]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "A.JSONL.GZ"])
def test_a_gzip_of_no_bytes_is_a_torn_one(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(DataError, match="cannot be read after line 0: it is empty"):
        list(read_jsonl(tmp_path / name))


def test_gzip_is_read_by_its_ending(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n') + gzip.compress(b'{"a": 2}\n'))
    assert list(read_jsonl(path)) == [(1, {"a": 1}), (2, {"a": 2})]


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_a_long_line_is_read_and_one_too_long_is_named(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a{ending}"
    pack = gzip.compress if ending.endswith(".gz") else bytes
    long = json.dumps({"a": "x" * 10_000_000}).encode()
    path.write_bytes(pack(b'{"a": 1}\n\n' + long + b'\n{"a": 2}'))
    assert [number for number, _ in read_jsonl(path)] == [1, 3, 4]
    monkeypatch.setattr(files, "MAX_LINE_BYTES", len(long) + 1)  # with its end
    assert [len(str(line["a"])) for _, line in read_jsonl(path)] == [1, 10_000_000, 1]
    monkeypatch.setattr(files, "MAX_LINE_BYTES", len(long))
    with pytest.raises(DataError) as caught:
        list(read_jsonl(path))
    assert caught.value.what == "this line has more than 9 MiB"
    assert caught.value.where == f"{path}:3"


def test_a_gzip_bomb_is_read_no_further_than_a_line_may_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.jsonl.gz"
    blanks = gzip.compress(b" " * (1 << 24), 1)
    path.write_bytes(blanks * 1000)  # 16 GB
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 1 << 25)
    with pytest.raises(DataError, match="this line has more than 32 MiB"):
        list(read_jsonl(path))


GOOD = b'{"a": 1}\n'


@pytest.mark.parametrize(
    ("third", "what"),
    [
        (b'{"a": 1', "this line is not JSON: Expecting ',' delimiter"),
        (b'{"a": "\0"}', "this line has NUL bytes, which JSON does not allow"),
        (b"\0" * 4096, "this line has NUL bytes, which JSON does not allow"),
        (b"[1, 2]", "this line is a JSON list, not an object"),
        (b"null", "this line is a JSON NoneType, not an object"),
        (b'"text"', "this line is a JSON str, not an object"),
        (b'{"a": 1} {"a": 2}', "this line is not JSON: Extra data"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' is repeated in one object"),
        (b'{"m": {"a": 1, "a": 1}}', "the key 'a' is repeated in one object"),
        (b"[" * 100_000, "this line is not JSON: RecursionError"),
        (b'{"a": ' + b"9" * 5000 + b"}", "this line is not JSON: ValueError"),
        (b'{"a": "\xff"}', "this line is not UTF-8: invalid start byte at byte 8"),
        ('{"a": "é"}'.encode("latin-1"), "this line is not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "this line is not UTF-8: invalid start byte at byte 1"),
    ],
)
@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_a_bad_line_is_named(tmp_path: Path, third: bytes, what: str, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    data = GOOD + b"\n" + third + b"\n" + GOOD
    path.write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    reading = read_jsonl(path)
    assert next(reading) == (1, {"a": 1})
    with pytest.raises(DataError) as caught:
        next(reading)
    assert caught.value.what.startswith(what)
    assert caught.value.where == f"{path}:3"
    assert caught.value.fix


def damaged_in_the_middle() -> bytes:
    """Return a gzip whose deflate stream is broken (zlib.error, not OSError, when it is read)."""
    noise = random.Random(0)
    lines = b"".join(b'{"a": "%x"}\n' % noise.getrandbits(400) for _ in range(500))
    whole = gzip.compress(lines)
    for position in range(len(whole) // 2, len(whole)):
        broken = bytearray(whole)
        broken[position] ^= 0xFF
        try:
            gzip.decompress(bytes(broken))
        except zlib.error:
            return bytes(broken)
        except (OSError, EOFError):
            continue
    raise AssertionError("no byte breaks the stream")


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: GOOD, id="not gzip at all"),
        pytest.param(lambda: gzip.compress(GOOD * 5000)[:-50], id="cut"),
        pytest.param(lambda: gzip.compress(GOOD)[:-8] + b"\0" * 8, id="wrong checksum"),
    ],
)
def test_a_bad_gzip_is_an_error(tmp_path: Path, make: Callable[[], bytes]) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(make())
    with pytest.raises(DataError) as caught:
        list(read_jsonl(path))
    assert caught.value.what.startswith("the file cannot be read after line")
    assert caught.value.where == str(path)


def test_a_gzip_broken_inside_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(damaged_in_the_middle())
    with pytest.raises(DataError):
        list(read_jsonl(path))


def test_a_missing_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the file does not exist"):
        list(read_jsonl(tmp_path / "none.jsonl"))
    with pytest.raises(DataError, match="cannot be read after line 0"):
        list(read_jsonl(tmp_path))


# -- JSON and digests -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "the manifest is missing"),
        (b"{", "the manifest cannot be read"),
        (b"\xff", "the manifest cannot be read"),
        (b"[]", "the manifest is not a JSON object"),
    ],
)
def test_read_json_names_what_and_where(tmp_path: Path, content: bytes | None, what: str) -> None:
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_json(path, what="the manifest")
    assert caught.value.what.startswith(what)
    assert caught.value.where == str(path)


def test_digests_are_those_of_the_standard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "CHUNK_BYTES", 1000)
    path = tmp_path / "x"
    for content, digest in ((b"abc", ABC), (b"a" * 1_000_000, MILLION_A), (b"", EMPTY)):
        path.write_bytes(content)
        assert sha256_file(path) == digest
    assert sha256_text("abc") == ABC


def test_json_digest_does_not_depend_on_the_order_of_keys() -> None:
    expected = hashlib.sha256('{"a":[1,"é"],"b":null}'.encode()).hexdigest()
    assert sha256_json({"b": None, "a": [1, "é"]}) == expected
    assert sha256_json({"a": [1, "é"], "b": None}) == expected
    assert sha256_json({"a": ["é", 1], "b": None}) != expected


def test_a_pipe_is_no_file_and_reading_it_waits_for_nobody(tmp_path: Path) -> None:
    """Without a writer, opening a pipe waits for ever; ``/dev/stdin`` is the shell's own."""
    os.mkfifo(tmp_path / "rows.jsonl")
    (tmp_path / "zero").symlink_to("/dev/zero")
    with pytest.raises(DataError, match="a pipe or a device, not a file"):
        next(read_jsonl(tmp_path / "rows.jsonl"))
    for name in ("rows.jsonl", "zero"):
        with pytest.raises(DataError, match="a pipe or a device, not a file"):
            read_json(tmp_path / name, what="the manifest")
        with pytest.raises(OSError, match="a pipe or a device, not a file"):
            sha256_file(tmp_path / name)
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path, tmp_path / "missing", Path("/dev/null")):
        assert plain_file(path) == path


def test_a_repeated_key_of_a_large_object_is_found_fast() -> None:
    text = "{" + ",".join(f'"{n}":0' for n in range(200_000)) + ',"7":1}'
    started = time.monotonic()
    with pytest.raises(ValueError, match="the key '7' is repeated"):
        strict_json.decode(text)
    assert time.monotonic() - started < 5
