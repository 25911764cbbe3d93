"""Keys that name code of the user's: what is imported, its arguments, and where it sends text.

Nothing is imported before the keys say ``trust_code: true``; the file of the module is found
without importing it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, field_validator, model_validator

from ragbench.base import home
from ragbench.base.endpoint import Reach, parse
from ragbench.base.errors import UsageError, first_line
from ragbench.base.yamlfile import Fields


class FactoryKeys(Fields):
    """Keys of a recipe or an arm that runs code of the user's.

    Attributes:
        factory: ``module:function``, on Python's path or in the home folder.
        options: Arguments of the function.
        trust_code: Whether the function may be imported and run.
        servers: Addresses that the code sends text to; none if the list is empty. Without it,
            restricted data is refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    who: ClassVar[str] = "this recipe"  # in messages
    place: ClassVar[str] = "recipe: factory"
    use: ClassVar[str]  # what the function takes and returns

    factory: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    options: dict[str, Any] = Field(default_factory=dict)
    trust_code: bool = False
    servers: tuple[str, ...] | None = None

    @field_validator("servers")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if value is None else tuple(parse(address).url for address in value)

    @model_validator(mode="after")
    def _check_trust(self) -> FactoryKeys:
        if not self.trust_code:
            raise ValueError(
                f"{self.who} imports and runs the code of {self.factory!r}; read that code, "
                "and say so with `trust_code: true` if it may run"
            )
        return self

    def sends_to(self) -> Reach:
        """Return the declared servers; None if there is no declaration."""
        return None if self.servers is None else tuple(map(parse, self.servers))

    def source(self) -> Path:
        """Return the file of the function's module, without importing that module.

        Raises:
            UsageError: There is no such module, or it has no file.
        """
        module = self.factory.partition(":")[0]
        see_home()
        try:
            spec = find_spec(module)
        except (ImportError, ValueError) as error:
            raise self.unusable(first_line(error)) from None
        if spec is None or not spec.origin or not Path(spec.origin).is_file():
            raise self.unusable(f"there is no file of a module {module!r}")
        return Path(spec.origin)

    def imported(self) -> Any:
        """Return the object that the factory names; its module is imported.

        Raises:
            UsageError: It cannot be imported.
        """
        module, _, name = self.factory.partition(":")
        see_home()
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError, SyntaxError) as error:
            raise self.unusable(first_line(error)) from None

    def unusable(self, why: str) -> UsageError:
        """Return the error of a factory that cannot be used."""
        return UsageError(
            f"the factory {self.factory!r} cannot be used: {why}",
            where=self.place,
            fix="write module:function, of a module on Python's path or in the home folder, which "
            + self.use,
        )


def see_home() -> None:
    """Let modules in the home folder be found, after all others."""
    if str(home.home()) not in sys.path:
        sys.path.append(str(home.home()))
