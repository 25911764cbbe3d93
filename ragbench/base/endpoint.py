"""Addresses of servers: one strict parser, and the guard that restricted data must pass.

Whatever can send text to another program says where: models, indexes, vector stores and LangChain
retrievers. One that does not say is refused restricted data, as is one that sends it to a server
that is neither on this machine nor trusted by the config.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ragbench.base.errors import UsageError

ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>(?:/[A-Za-z0-9._~-]+)*)/?",
    re.IGNORECASE,
)
NODE = re.compile(r"ray://(?P<host>[A-Za-z0-9._:-]+|\[[0-9A-Fa-f:.]+\])/?", re.IGNORECASE)
RAY_PORT = 6379  # the processes of a node have a port each, none of which an address names
PORTS = {"http": 80, "https": 443, "ray": RAY_PORT}
RESTRICTED = "restricted"
OURS = "ragbench."
LOOPBACK_V4 = ipaddress.IPv4Network("127.0.0.0/8")
STAR = "*."
ANY_HOST = re.compile(r"(https?://)\*\.", re.IGNORECASE)
LABEL = re.compile(r"[a-z0-9_-]+")
FEWEST_LABELS, FEWEST_OF_COUNTRY = 2, 3


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a server in normal form.

    Attributes:
        scheme: ``http`` or ``https``; ``ray`` for a machine of a Ray cluster.
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
    def address(self) -> str:
        """The base address with its port, for clients that have a default port of their own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    @property
    def above(self) -> Endpoint:
        """The address above ``/v1``, where servers answer what OpenAI's API does not have."""
        return replace(self, path=self.path.removesuffix("/v1"))

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
        """Say whether restricted data may go there: to loopback, a listed origin or a pattern."""
        return self.is_loopback or any(_covers(origin, self) for origin in origins)


def parse(address: str, *, port: int | None = None) -> Endpoint:
    """Return the endpoint at an address such as ``http://HOST:PORT/v1``.

    An address without a port has ``port``, by default that of its scheme.

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
    number = int(found["port"]) if found["port"] else port or PORTS[scheme]
    if not 0 < number < 65536:
        raise ValueError(f"there is no port {number}")
    return Endpoint(scheme, host, number, found["path"])


def node_endpoint(address: str) -> Endpoint:
    """Return the endpoint of a machine of a Ray cluster at an address in numbers.

    Raises:
        ValueError: It is not such an address.
    """
    try:
        host = str(ipaddress.ip_address(address.strip("[]")))
    except ValueError:
        raise ValueError(
            "a node of a Ray cluster is ray://ADDRESS, with the address in numbers that "
            "`ray status` and ragbench's message name"
        ) from None
    return Endpoint("ray", host, RAY_PORT)


def parse_origin(address: str) -> Endpoint:
    """Return the endpoint at an address without a path, such as ``https://HOST``.

    Raises:
        ValueError: It is not an address, or has a path.
    """
    endpoint = parse(address)
    if endpoint.path:
        raise ValueError(f"a trusted endpoint has no path: write {endpoint.origin}")
    return endpoint


def trusted_origin(address: str) -> str:
    """Return an origin, or a pattern of origins such as ``https://*.gpu.hospital.example:8000``.

    The star is the whole first label of a host and stands for exactly one label, as in a
    certificate; scheme and port are as written. A pattern that covers hosts of others is refused:
    the star alone, names directly below a top-level domain, and those two labels below a country's
    (``*.co.uk``). An address in numbers is trusted only as written.

    Raises:
        ValueError: It is neither.
    """
    if node := NODE.fullmatch(address):
        return node_endpoint(node["host"]).origin
    if "*" not in address:
        return parse_origin(address).origin
    if not ANY_HOST.match(address) or address.count("*") > 1:
        raise ValueError(
            "a star stands for the whole first label of a host, as in "
            "https://*.gpu.hospital.example, and occurs once"
        )
    below = parse_origin(ANY_HOST.sub(r"\1", address))
    labels = below.host.split(".")
    if not all(LABEL.fullmatch(label) for label in labels) or labels[-1].isdecimal():
        raise ValueError("a pattern is of names of hosts; write an address in numbers in full")
    fewest = FEWEST_OF_COUNTRY if len(labels[-1]) == 2 else FEWEST_LABELS
    if len(labels) < fewest:
        raise ValueError(
            f"the pattern {STAR}{below.host} may cover hosts of others: write at least {fewest} "
            f"labels after {STAR!r} here, or the hosts themselves"
        )
    return replace(below, host=STAR + below.host).origin


def _covers(trusted: str, endpoint: Endpoint) -> bool:
    """Say whether an origin or a pattern, as ``trusted_origin`` returns it, covers an endpoint."""
    if NODE.fullmatch(trusted) or endpoint.scheme == "ray":
        return trusted == endpoint.origin
    if "*" not in trusted:
        return parse(trusted).origin == endpoint.origin
    below = parse(ANY_HOST.sub(r"\1", trusted_origin(trusted)))
    first, _, rest = endpoint.host.partition(".")
    is_below = (endpoint.scheme, rest, endpoint.port) == (below.scheme, below.host, below.port)
    return is_below and LABEL.fullmatch(first) is not None


Reach = tuple[Endpoint, ...] | None  # servers that text is sent to; None if that is unknown


@dataclass(frozen=True, slots=True)
class WayOut:
    """A part through which text may leave this machine.

    Attributes:
        name: The part, as a message names it: ``the model 'm'``.
        reach: Servers that it sends to.
        where: Config key or recipe that names it.
        declare: How a part of unknown reach says where it sends.
    """

    name: str
    reach: Reach
    where: str
    declare: str


def is_local(reach: Reach) -> bool:
    """Say whether text stays on this machine."""
    return reach is not None and all(endpoint.is_loopback for endpoint in reach)


def refuse_restricted(
    closed: str, ways: Iterable[WayOut], trusted: Sequence[str] | None = None
) -> None:
    """Refuse to give restricted data to a part that is not trusted with it.

    Args:
        closed: The data, as a message names it: ``the task 'notes'``.
        ways: The parts that would receive it.
        trusted: Origins that are trusted besides this machine; None where no other may be.

    Raises:
        UsageError: A part does not say where it sends text, or sends it to an untrusted server.
    """
    for way in ways:
        if way.reach is None:
            raise UsageError(
                f"{closed} is restricted, and {way.name} does not say where it sends text; "
                "nothing was sent",
                where=way.where,
                fix=way.declare,
            )
        for endpoint in way.reach:
            if endpoint.is_trusted(trusted or ()):
                continue
            fix = "serve it on this machine"
            if trusted is not None:
                fix += (
                    "; or, if the terms of the data allow it, write "
                    f"`trusted_endpoints: [{endpoint.origin!r}]` at the top of the config"
                )
            raise UsageError(
                f"{closed} is restricted, and {way.name} is served by {endpoint.host}, which "
                "is not trusted; nothing was sent",
                where=way.where,
                fix=fix,
            )


def declares_reach(part: type, owner: type) -> bool:
    """Say whether ``sends_to`` of ``owner`` speaks for a part, which may be the same class.

    A class of another package that inherits the method of one of ragbench's has not said where
    it sends text itself.
    """
    found = next((kind for kind in owner.__mro__ if "sends_to" in vars(kind)), None)
    return found is not None and (_is_ours(part) or not _is_ours(found))


def _is_ours(kind: type) -> bool:
    return kind.__module__.startswith(OURS)
