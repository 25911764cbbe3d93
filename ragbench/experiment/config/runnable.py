"""Arms whose passages a LangChain runnable of the user's returns."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import field_validator, model_validator

from ragbench.base import home
from ragbench.base.endpoint import WayOut
from ragbench.base.files import sha256_file, sha256_json
from ragbench.experiment.config.samples import refusal
from ragbench.models.runnable.call import CallSpec, PipelineKeys

HOW_CALLED = ("factory", "options", "input", "passages", "show_options")


class RunnableSpec(PipelineKeys):
    """The key ``runnable`` of an arm: a pipeline that returns passages for a question.

    Attributes:
        name: Name of its ranking in files and tables; by default that of the arm.
        passages: Key of the passages in what it returns; by default the only list of documents.
        show_options: Whether the question comes with its options. The report says so.
    """

    who: ClassVar[str] = "this arm"
    place: ClassVar[str] = "arms: runnable: factory"

    name: str = ""
    passages: str = ""
    show_options: bool = False

    @model_validator(mode="before")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise refusal(
                "a runnable is code of yours, which an arm may run only if the config says so",
                f"write `runnable: {{factory: {value}, trust_code: true}}`",
            )
        return value

    @field_validator("name")
    @classmethod
    def _legal(cls, value: str) -> str:
        return home.legal_name(value) if value else value

    def named(self, name: str) -> RunnableSpec:
        """Return the runnable with a name of its ranking, unless it has one."""
        return self if self.name else self.model_copy(update={"name": name})

    def call_spec(self) -> CallSpec:
        """Return what its process is started with."""
        return self.call("passages", self.passages)

    def digest(self) -> str:
        """Return the digest of what decides a call: its keys and the file of its module.

        Raises:
            UsageError: The module has no file.
        """
        keys = self.model_dump(mode="json", include=set(HOW_CALLED))
        return sha256_json([keys, sha256_file(self.source())])

    def way(self, arm: str) -> WayOut:
        """Return where the runnable of an arm sends what it is given."""
        who = f"the runnable of the arm {arm!r}"
        return WayOut(who, self.sends_to(), f"arms: {arm}", self.declare_reach)
