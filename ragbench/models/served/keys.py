"""Headers and a proxy that let a request in; secrets are read from the environment each time."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from ragbench.base.endpoint import Endpoint, parse
from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.models.served.wire import Proxy
from ragbench.models.spec import BackendOptions

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


def check_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return headers, none of which ragbench sets, cannot be sent, or holds a secret itself.

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
    return headers


def check_proxy(address: str) -> str:
    """Return the plain address of an HTTP proxy.

    Raises:
        PydanticCustomError: The address is refused. The message does not repeat it.
    """
    try:
        whole = not parse(address).path
    except ValueError:
        whole = False
    if not whole:
        raise _refused(
            "a proxy is http://HOST:PORT or https://HOST:PORT, without path, user and password",
            "put USER:PASSWORD into an environment variable such as PROXY_LOGIN, and write "
            '`proxy_auth: "env:PROXY_LOGIN"`',
        )
    return address


def check_proxy_auth(value: str) -> str:
    """Return the ``env:NAME`` of a proxy's login.

    Raises:
        PydanticCustomError: It is refused. The message does not repeat it.
    """
    name = value.removeprefix(FROM_ENVIRONMENT)
    if name == value or VARIABLE.fullmatch(name) is None:
        raise _refused(
            "`proxy_auth` does not name an environment variable",
            "put USER:PASSWORD into an environment variable such as PROXY_LOGIN, and write "
            '`proxy_auth: "env:PROXY_LOGIN"`',
        )
    return value


def _refused(
    what: str, fix: str = 'write `NAME: VALUE`, or `NAME: "env:VARIABLE"`'
) -> PydanticCustomError:
    # The message is a parameter because a name may contain braces.
    return PydanticCustomError("header", "{what}", {"what": what, "fix": fix})


class AccessKeys(BackendOptions):
    """Keys of an entry of ``models`` that let its requests in.

    Attributes:
        api_key_env: Name of the environment variable with the key.
        headers: Further headers of every request; ``env:NAME`` is an environment variable's value.
        api_version: Azure's ``api-version``, for the query of every request.
        proxy: Address of an HTTP proxy that every request takes.
        proxy_auth: ``env:NAME`` of the environment variable with the proxy's ``USER:PASSWORD``.
    """

    api_key_env: str | None = None
    headers: Annotated[dict[str, str], AfterValidator(check_headers)] = Field(default_factory=dict)
    api_version: str | None = Field(None, pattern=r"^[A-Za-z0-9.-]+$")
    proxy: Annotated[str, AfterValidator(check_proxy)] | None = None
    proxy_auth: Annotated[str, AfterValidator(check_proxy_auth)] | None = None

    @property
    def proxies(self) -> tuple[Endpoint, ...]:
        """The proxy, which sees every prompt that is sent over ``http``."""
        return () if self.proxy is None else (parse(self.proxy),)


class Keys:
    """The key and the headers of a model's servers, and the proxy before them.

    Args:
        name: The model's name, for messages.
        key_env: Environment variable of the key, which is sent as a bearer.
        headers: Further headers; ``env:NAME`` is the value of a variable.
        proxy: Address of the proxy, if there is one.
        proxy_auth: ``env:NAME`` of the variable with its user and password, if it wants them.

    Raises:
        UsageError: ``key_env`` is not the name of a variable. It may be a key, and is not repeated.
    """

    def __init__(
        self,
        name: str,
        key_env: str | None,
        headers: Mapping[str, str],
        *,
        proxy: str | None = None,
        proxy_auth: str | None = None,
    ) -> None:
        if key_env is not None and VARIABLE.fullmatch(key_env) is None:
            raise UsageError(
                "`api_key_env` is not the name of an environment variable",
                where=f"models: {name}: api_key_env",
                fix="put the key into a variable such as SERVER_KEY, and write that name",
            )
        self._name = name
        self._key_env = key_env
        self._headers = {header.lower(): value for header, value in headers.items()}
        self._proxy = proxy
        self._proxy_auth = proxy_auth

    def read(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return the headers of a request, and the secrets among their values and of the proxy.

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
        if proxy := self.proxy():
            secrets += proxy.secrets
        return headers, tuple(secrets)

    def proxy(self) -> Proxy | None:
        """Return the proxy of a request; None if there is none.

        Raises:
            PrerequisiteError: Its variable is not set, or is not ``USER:PASSWORD``.
        """
        if self._proxy is None:
            return None
        if self._proxy_auth is None:
            return Proxy(self._proxy, None)
        name = self._proxy_auth.removeprefix(FROM_ENVIRONMENT)
        user, colon, password = self._variable(name, "proxy_auth").partition(":")
        if not user or not colon:
            raise PrerequisiteError(
                f"the environment variable {name} is not USER:PASSWORD",
                where=f"models: {self._name}: proxy_auth",
                fix=f"export {name}=USER:PASSWORD before the command",
            )
        return Proxy(self._proxy, (user, password))

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
