"""What a server tells of the model that it serves, and whether it serves the one that is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ragbench.base.errors import BackendError, PrerequisiteError, near
from ragbench.models.endpoint import Endpoint
from ragbench.models.served.http import UNAUTHORISED, Client, Refused, excerpt

Probe = Callable[[str, Endpoint, int | None], object]
MODELS, VERSION = "/models", "/version"
NO_SUCH = "ragbench-no-such-model"
CONTEXT = ("max_model_len", "context_length", "context_window", "n_ctx")


@dataclass(frozen=True, slots=True)
class Served:
    """What a server tells of a model; empty or None where it does not.

    Attributes:
        id: The id under which the server lists it.
        root: The name or folder that the server loaded it from.
        context: How many tokens it takes.
        server: What the server calls itself, with its version.
    """

    id: str
    root: str
    context: int | None
    server: str

    @property
    def identity(self) -> dict[str, object]:
        """What must be the same for two servers to serve the same model."""
        return {"id": self.id, "root": self.root, "max_model_len": self.context}


def ask_served(client: Client, model: str, *, where: str, probe: Probe) -> Served:
    """Return what the servers of a model tell of it; all must tell the same.

    A name that a server does not list passes only where the server answers to it and refuses one
    that cannot be: some list what lies in a folder and serve another, some answer to any name.

    Args:
        client: Asks the servers.
        model: The name of the model.
        where: The config's place, for messages.
        probe: Asks an endpoint for one token of a named model, with so many retries (None: as
            always).

    Returns:
        What they tell.

    Raises:
        PrerequisiteError: One cannot be reached, or does not know the name.
    """
    told = [_ask(client, model, endpoint, where, probe) for endpoint in client.endpoints]
    for endpoint, other in zip(client.endpoints, told, strict=True):
        if other.identity != told[0].identity:
            raise PrerequisiteError(
                f"{endpoint.url} tells {other.identity} of {model!r}, and "
                f"{client.endpoints[0].url} {told[0].identity}",
                where=where,
                fix="make them models of their own",
            )
    return told[0]


def _ask(
    client: Client,
    model: str,
    endpoint: Endpoint,
    where: str,
    probe: Probe,
) -> Served:
    listed: dict[str, Mapping[str, Any]] = {}
    name = ""
    try:
        answer = client.ask(MODELS, endpoint=endpoint)
        members = answer.value.get("data")
        for member in members if isinstance(members, list) else ():
            if isinstance(member, dict) and isinstance(member.get("id"), str):
                listed[member["id"]] = member
        name = answer.server
    except Refused as error:
        if error.status in UNAUTHORISED:
            raise unusable(error, where) from None
    except BackendError as error:
        raise unusable(error, where) from None
    if model not in listed:
        _check_unlisted(model, listed, endpoint, where, probe)
    about = listed.get(model, {})
    root, context = about.get("root"), _context(about)
    return Served(
        model if model in listed else "",
        root if isinstance(root, str) else "",
        context,
        " ".join([name, _version(client, endpoint)]).strip(),
    )


def _check_unlisted(
    model: str,
    listed: Mapping[str, object],
    endpoint: Endpoint,
    where: str,
    probe: Probe,
) -> None:
    try:
        probe(model, endpoint, None)
    except Refused as error:
        if error.status in UNAUTHORISED:
            raise unusable(error, where) from None
        raise _unknown(model, listed, endpoint, where, f": {error.what}") from None
    except BackendError as error:
        raise unusable(error, where) from None
    try:
        probe(NO_SUCH, endpoint, 0)
    except BackendError:
        return
    raise _unknown(model, listed, endpoint, where, ", and answers to any name")


def _unknown(
    model: str, listed: Mapping[str, object], endpoint: Endpoint, where: str, why: str
) -> PrerequisiteError:
    names = [excerpt(name.encode()) for name in listed]
    return PrerequisiteError(
        f"the server at {endpoint.url} does not know the model {model!r}{why}",
        where=where,
        fix=near(model, names) if names else "check `model`, and `url`, which often ends in /v1",
    )


def unusable(error: BackendError, where: str) -> PrerequisiteError:
    """Return the error of a server that cannot be used at all."""
    place = f"{where}, {error.where}" if error.where else where
    return PrerequisiteError(error.what, where=place, fix=error.fix or "check the server")


def _context(about: Mapping[str, Any]) -> int | None:
    """Return how many tokens the model takes; vLLM and SGLang tell, llama.cpp under ``meta``."""
    meta = about.get("meta")
    for facts in (about, meta if isinstance(meta, dict) else {}):
        for name in CONTEXT:
            if type(facts.get(name)) is int and facts[name] > 0:
                return int(facts[name])
    return None


def _version(client: Client, endpoint: Endpoint) -> str:
    """Return the version that vLLM tells beside its API; empty where there is none."""
    above = Endpoint(
        endpoint.scheme, endpoint.host, endpoint.port, endpoint.path.removesuffix("/v1")
    )
    try:
        found = client.ask(VERSION, endpoint=above, retries=0).value.get("version")
    except BackendError:
        return ""
    return excerpt(found.encode()) if isinstance(found, str) else ""
