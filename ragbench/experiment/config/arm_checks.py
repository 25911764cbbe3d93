"""What the arms of a whole config must agree on where a runnable is among them."""

from __future__ import annotations

from collections.abc import Container, Sequence

from ragbench.base.errors import UsageError
from ragbench.base.yamlfile import Document
from ragbench.experiment.config.runnable import RunnableSpec
from ragbench.experiment.config.spec import ArmSpec

WITHOUT_CORPUS = ("shuffled",)  # controls that need only the passages of the arm they imitate


def check_runnables(arms: Sequence[ArmSpec], indexes: Container[str], document: Document) -> None:
    """Refuse two sources of one name, and controls that a runnable without a corpus cannot have.

    Raises:
        UsageError: There are some.
    """
    files = {arm.name for arm in arms if arm.run_file is not None}
    known: dict[str, tuple[RunnableSpec, str | None]] = {}
    bare: set[str] = set()
    for arm in arms:
        if arm.runnable is None:
            continue
        name = arm.runnable.name
        what = ""
        if name in indexes or name in files:
            what = "has the name of an index or of the arm of a run file"
        elif known.setdefault(name, (arm.runnable, arm.corpus)) != (arm.runnable, arm.corpus):
            what = "differs from another runnable of this name"
        if what:
            raise UsageError(
                f"the runnable {name!r} of the arm {arm.name!r} {what}",
                where=document.where(("arms",)),
                fix="give it a name of its own: `runnable: {name: ...}`",
            )
        if arm.corpus is None:
            bare.add(arm.name)
    for arm in arms:
        if arm.like in bare and arm.control not in WITHOUT_CORPUS:
            raise UsageError(
                f"the control {arm.control!r} of {arm.like!r} needs a corpus, and the runnable of "
                f"{arm.like!r} has none",
                where=document.where(("arms",)),
                fix=f"give the arm {arm.like!r} `corpus: NAME`, or remove the control",
            )
