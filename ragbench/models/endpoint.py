"""Addresses of servers: one strict parser, and whether data may be sent there."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>(?:/[A-Za-z0-9._~-]+)*)/?",
    re.IGNORECASE,
)
PORTS = {"http": 80, "https": 443}
LOOPBACK_V4 = ipaddress.IPv4Network("127.0.0.0/8")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a server in normal form.

    Attributes:
        scheme: ``http`` or ``https``.
        host: In lower case; an IPv6 address without brackets.
        port: The scheme's port if none was written.
        path: Without a trailing slash.
    """

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def origin(self) -> str:
        """Scheme, host and port, without the scheme's own port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if PORTS[self.scheme] == self.port else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def url(self) -> str:
        """Base address of every request."""
        return self.origin + self.path

    @property
    def is_loopback(self) -> bool:
        """Whether the address as written is this machine: 127.0.0.0/8, ::1 or ``localhost``.

        No name is looked up: a look-up would contact a name server, and its result could change
        before the request.
        """
        if self.host == "localhost":
            return True
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return str(address) == "::1" or address in LOOPBACK_V4

    def is_trusted(self, origins: Iterable[str]) -> bool:
        """Say whether restricted data may go there: to loopback or a listed origin."""
        return self.is_loopback or self.origin in {parse(origin).origin for origin in origins}


def parse(address: str) -> Endpoint:
    """Return the endpoint at an address such as ``http://HOST:PORT/v1``.

    A user name, a query or an unusual character is refused, so that no two parsers can see
    different hosts in the address.

    Raises:
        ValueError: It is not such an address. The message does not repeat it, as it may contain a
            password.
    """
    found = ADDRESS.fullmatch(address)
    if found is None:
        raise ValueError(
            "an address is http://HOST:PORT/PATH or https://..., without user name, password "
            "or query; a key goes into the environment variable that `api_key_env` names"
        )
    scheme, host = found["scheme"].lower(), found["host"].lower()
    if host.startswith("["):
        try:
            host = str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise ValueError("the host in brackets is not an IPv6 address") from None
    port = int(found["port"]) if found["port"] else PORTS[scheme]
    if not 0 < port < 65536:
        raise ValueError(f"there is no port {port}")
    return Endpoint(scheme, host, port, found["path"])


def parse_origin(address: str) -> Endpoint:
    """Return the endpoint at an address without a path, such as ``https://HOST``.

    Raises:
        ValueError: It is not an address, or has a path.
    """
    endpoint = parse(address)
    if endpoint.path:
        raise ValueError(f"a trusted endpoint has no path: write {endpoint.origin}")
    return endpoint
