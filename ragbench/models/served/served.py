"""Facts that a server reports about its model, and whether it serves the named one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import BackendError, PrerequisiteError, near
from ragbench.models.served.http import UNAUTHORISED, Client, Refused, excerpt

Probe = Callable[[str, Endpoint, int | None], object]
MODELS, VERSION = "/models", "/version"
DEPLOYMENTS = "/deployments/"
NO_SUCH = "ragbench-no-such-model"
CONTEXT = ("max_model_len", "context_length", "context_window", "n_ctx")


@dataclass(frozen=True, slots=True)
class Served:
    """Facts that a server reports about a model; empty or None if it does not.

    Attributes:
        id: Id in the server's list.
        root: Name or folder that the server loaded it from.
        context: Maximum number of tokens.
        server: Name and version of the server.
    """

    id: str
    root: str
    context: int | None
    server: str

    @property
    def identity(self) -> dict[str, object]:
        """Facts that two servers of the same model have in common."""
        return {"id": self.id, "root": self.root, "max_model_len": self.context}


def ask_served(client: Client, model: str, *, where: str, probe: Probe) -> Served:
    """Return the facts that the servers of a model report, which must agree.

    A name that a server does not list is accepted only if the server answers to it and refuses an
    impossible one: some servers list the models in a folder and serve another, some answer to any
    name.

    Args:
        client: Client of the servers.
        model: Name of the model.
        where: Place in the config, for messages.
        probe: Requests one token of a named model from an endpoint, with a number of retries (None
            for the default).

    Raises:
        PrerequisiteError: A server cannot be reached, or does not know the name.
    """
    reports = [_ask(client, model, endpoint, where, probe) for endpoint in client.endpoints]
    for endpoint, other in zip(client.endpoints, reports, strict=True):
        if other.identity != reports[0].identity:
            raise PrerequisiteError(
                f"{endpoint.url} reports {other.identity} for {model!r}, and "
                f"{client.endpoints[0].url} {reports[0].identity}",
                where=where,
                fix="give each its own entry in `models`",
            )
    return reports[0]


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
    if DEPLOYMENTS in endpoint.path:  # Azure's address names the model
        return
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
    """Return the error for a server that cannot be used at all."""
    place = f"{where}, {error.where}" if error.where else where
    return PrerequisiteError(error.what, where=place, fix=error.fix or "check the server")


def _context(about: Mapping[str, Any]) -> int | None:
    """Return the context that vLLM and SGLang report, and llama.cpp under ``meta``."""
    meta = about.get("meta")
    for facts in (about, meta if isinstance(meta, dict) else {}):
        for name in CONTEXT:
            if type(facts.get(name)) is int and facts[name] > 0:
                return int(facts[name])
    return None


def _version(client: Client, endpoint: Endpoint) -> str:
    """Return the version that vLLM reports outside its API; empty if there is none."""
    try:
        found = client.ask(VERSION, endpoint=endpoint.above, retries=0).value.get("version")
    except BackendError:
        return ""
    return excerpt(found.encode()) if isinstance(found, str) else ""
