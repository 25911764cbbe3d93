"""Devices: what torch computes in, and an honest error without a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ragbench.base.devices import (
    Dtype,
    has_fast_bfloat16,
    hide_loading_bars,
    pick_device,
    pick_dtype,
    torch_dtype,
)
from ragbench.base.errors import PrerequisiteError

SUM = """
from ragbench.base.devices import compiled

@compiled
def total(values):
    found = 0
    for value in values:
        found += value
    return found
"""
CALL = "import numpy, loops; print(loops.total(numpy.arange(5)), loops.total.stats.cache_misses)"

# Prints the variable as it is at the moment when something imports torch.
WATCH = """
import os, sys
class Watch:
    def find_spec(self, name, *_):
        if name == "torch":
            print(os.environ.get("GOMP_SPINCOUNT"))
sys.meta_path.insert(0, Watch())
"""
WAYS = {
    "api": "import ragbench.api",
    "function": "from ragbench import open_index",
    "backend": "import ragbench.models.local.hf",
    "command line": "import ragbench.cli.main",
}


def alone(program: str, **environment: str) -> str:
    kept = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=kept | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("way", WAYS)
def test_threads_spin_briefly_by_every_way_in(way: str) -> None:
    program = f"{WATCH}{WAYS[way]}\nimport importlib.util\nimportlib.util.find_spec('torch')"
    assert alone(program) == "10000\n"


@pytest.mark.parametrize("name", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
def test_a_users_own_setting_of_threads_stays(name: str) -> None:
    program = f"import ragbench, os; print(os.environ.get({name!r}), os.environ.get('OTHER'))"
    (other,) = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} - {name}
    assert alone(program.replace("OTHER", other), **{name: "7"}) == "7 None\n"


@pytest.mark.slow
def test_torch_before_ragbench_is_remarked_once() -> None:
    program = (
        "import torch; torch.set_num_threads(2); import ragbench\n"
        "from ragbench.base.devices import threads_remark as said\n"
        "print(said()); print(repr(said()))"
    )
    first, second = alone(program).splitlines()
    assert "torch was imported before ragbench" in first
    assert "GOMP_SPINCOUNT=10000" in first
    assert second == "''"
    after = program.replace(
        "import torch; torch.set_num_threads(2); import ragbench", "import ragbench, torch"
    )
    assert alone(after) == "\n''\n"


def test_cpu_is_always_to_be_had() -> None:
    assert pick_device("cpu") == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_an_error() -> None:
    assert pick_device("auto") == "cpu"
    with pytest.raises(PrerequisiteError) as caught:
        pick_device("cuda")
    assert caught.value.what == f"torch {torch.__version__} sees no CUDA device"
    assert "--device cpu" in caught.value.fix


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_with_a_gpu_auto_is_cuda() -> None:
    assert pick_device("auto") == pick_device("cuda") == "cuda"
    major, _ = torch.cuda.get_device_capability()
    assert has_fast_bfloat16("cuda") == (major >= 8)  # since Ampere


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="needs /proc/cpuinfo")
def test_bfloat16_on_the_cpu_is_what_the_kernel_says() -> None:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "")
    if not flags:
        pytest.skip("not an x86 processor")
    expected = bool({"avx512_bf16", "amx_bf16"} & set(flags.partition(":")[2].split()))
    assert has_fast_bfloat16("cpu") is expected
    assert pick_dtype("auto", "cpu") == ("bfloat16" if expected else "float32")


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("float32", torch.float32), ("bfloat16", torch.bfloat16), ("float16", torch.float16)],
)
def test_a_named_format_is_taken_as_it_is(name: Dtype, dtype: torch.dtype) -> None:
    assert pick_dtype(name, "cpu") == name
    assert torch_dtype(name) is dtype


def test_loading_bars_are_hidden() -> None:
    from transformers.utils import logging

    was = logging.is_progress_bar_enabled()
    try:
        logging.enable_progress_bar()  # type: ignore[no-untyped-call]
        hide_loading_bars()
        assert not logging.is_progress_bar_enabled()
    finally:
        if was:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("is_writable", [True, False])
def test_a_loop_runs_also_where_its_code_cannot_be_kept(tmp_path: Path, is_writable: bool) -> None:
    (tmp_path / "loops.py").write_text(SUM, encoding="utf-8")
    if not is_writable:
        (tmp_path / "__pycache__").touch()  # no folder: also the superuser cannot write into it
    nowhere = {"HOME": "/dev/null/none", "XDG_CACHE_HOME": "/dev/null/none"}
    environment = {key: text for key, text in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", CALL],
        env={**environment, **nowhere, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "10"
    kept = list(tmp_path.glob("__pycache__/loops.total*.nbc"))
    assert len(kept) == is_writable
