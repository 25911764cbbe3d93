"""The installed FAISS: imported, or refused with what to install."""

from __future__ import annotations

from typing import Any

from ragbench.base.errors import PrerequisiteError, first_line
from ragbench.base.provenance import version

# All of them write the folder ``faiss``.
PACKAGES = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cu11", "faiss-gpu-cu12", "faiss-gpu-cuvs")


def import_faiss() -> Any:
    """Return the module of faiss-cpu or faiss-gpu.

    Raises:
        PrerequisiteError: Neither is installed, or it cannot be loaded.
    """
    try:
        import faiss
    except (ImportError, RuntimeError, OSError) as error:  # faiss-gpu without CUDA's libraries
        raise PrerequisiteError(
            f"FAISS cannot be imported: {first_line(error)}", fix=remedy()
        ) from None
    except SystemExit:  # FAISS's loader, where its compiled part is missing
        raise PrerequisiteError("FAISS has no compiled part", fix=remedy()) from None
    if not hasattr(faiss, "IndexFlat"):  # a folder that an uninstalled package left
        raise PrerequisiteError("the folder of FAISS has no FAISS in it", fix=remedy())
    return faiss


def installed() -> dict[str, str]:
    """Return the versions of the installed FAISS packages."""
    found = {name: version(name) for name in PACKAGES}
    return {name: number for name, number in found.items() if number}


def clash() -> str | None:
    """Return what is wrong where several FAISS packages are installed; None where it is one."""
    found = installed()
    if len(found) < 2:
        return None
    names = " and ".join(f"{name} {number}" for name, number in found.items())
    return f"{names} are installed over each other, in one folder"


def remedy() -> str:
    """Return the commands that install a FAISS which can be imported."""
    found = installed()
    if not found:
        return "pip install faiss-cpu, or 'ragbench[gpu]' on a machine with an NVIDIA GPU"
    uninstall = f"pip uninstall -y {' '.join(found)}"
    if set(found) == {"faiss-cpu"}:
        return f"{uninstall}; pip install faiss-cpu"
    return (
        f"{uninstall}; pip install faiss-cpu, or on a machine with an NVIDIA GPU "
        "pip install 'ragbench[gpu]', which has the CUDA libraries that faiss-gpu loads"
    )


def faiss_reason(error: RuntimeError) -> str:
    """Return what a FAISS error says, without its C++ signature."""
    return first_line(error).rpartition("Error: ")[2]
