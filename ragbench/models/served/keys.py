"""Headers that let a request in, whose secrets are read from the environment for each request."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from pydantic_core import PydanticCustomError

from ragbench.base.errors import PrerequisiteError, UsageError

VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
KEY = re.compile(r"[\x21-\x7e]+")
NAME = re.compile(r"[A-Za-z0-9-]+")
PLAIN = re.compile(r"[\x20-\x7e]*")
FROM_ENVIRONMENT = "env:"
SECRET = re.compile(r"authorization|key|token|secret|password|cookie", re.IGNORECASE)
OWN = (
    *("host", "user-agent", "accept", "accept-encoding", "connection", "content-type"),
    *("content-length", "transfer-encoding", "expect", "upgrade", "te", "trailer"),
)


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse headers that ragbench sets, that cannot be sent, or that hold a secret themselves.

    Raises:
        PydanticCustomError: A header is refused. The message does not repeat its value.
    """
    for name, value in headers.items():
        if NAME.fullmatch(name) is None or PLAIN.fullmatch(value) is None:
            raise _refused(f"the header {name!r} cannot be sent")
        if name.lower() in OWN:
            raise _refused(f"ragbench sets the header {name!r} itself", "leave it out")
        variable = value.startswith(FROM_ENVIRONMENT)
        if variable and VARIABLE.fullmatch(value.removeprefix(FROM_ENVIRONMENT)) is None:
            raise _refused(f"the header {name!r} names no environment variable after `env:`")
        if SECRET.search(name) and not variable:
            raise _refused(
                f"the header {name!r} may hold a secret, which does not belong into a config",
                "put it into an environment variable such as SERVER_KEY, and write "
                f'`{name}: "env:SERVER_KEY"`',
            )


def _refused(
    what: str, fix: str = 'write `NAME: VALUE`, or `NAME: "env:VARIABLE"`'
) -> PydanticCustomError:
    # The message is a parameter because a name may contain braces.
    return PydanticCustomError("header", "{what}", {"what": what, "fix": fix})


class Keys:
    """The key and the headers of a model's servers.

    Args:
        name: The model's name, for messages.
        key_env: Environment variable of the key, which is sent as a bearer.
        headers: Further headers; ``env:NAME`` is the value of a variable.

    Raises:
        UsageError: ``key_env`` is not the name of a variable. It may be a key, and is not repeated.
    """

    def __init__(self, name: str, key_env: str | None, headers: Mapping[str, str]) -> None:
        if key_env is not None and VARIABLE.fullmatch(key_env) is None:
            raise UsageError(
                "`api_key_env` is not the name of an environment variable",
                where=f"models: {name}: api_key_env",
                fix="put the key into a variable such as SERVER_KEY, and write that name",
            )
        self._name = name
        self._key_env = key_env
        self._headers = {header.lower(): value for header, value in headers.items()}

    def read(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return the headers of a request, and the secrets among their values.

        Raises:
            PrerequisiteError: A variable is not set, or cannot be a key.
        """
        headers, secrets = {}, []
        if self._key_env is not None:
            secrets.append(self._variable(self._key_env, "api_key_env"))
            headers["authorization"] = f"Bearer {secrets[0]}"
        for header, value in self._headers.items():
            headers[header] = value
            if value.startswith(FROM_ENVIRONMENT):
                variable = value.removeprefix(FROM_ENVIRONMENT)
                headers[header] = self._variable(variable, f"headers: {header}")
                secrets.append(headers[header])
        return headers, tuple(secrets)

    def _variable(self, name: str, where: str) -> str:
        key = os.environ.get(name, "").strip()
        if KEY.fullmatch(key) is None:
            state = "cannot be a key" if key else "is not set"
            raise PrerequisiteError(
                f"the environment variable {name} {state}",
                where=f"models: {self._name}: {where}",
                fix=f"export {name}=... before the command",
            )
        return key
