"""Facts that a server reports about its model, and whether it serves the named one."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import (
    BackendError,
    PrerequisiteError,
    RagbenchError,
    UnavailableError,
    near,
)
from ragbench.models.served.http import UNAUTHORISED, Client, Refused, excerpt

Probe = Callable[[str, Endpoint, int | None], object]
MODELS, VERSION = "/models", "/version"
DEPLOYMENTS = "/deployments/"
NO_SUCH = "ragbench-no-such-model"
CONTEXT = ("max_model_len", "context_length", "context_window", "n_ctx")
ALSO_AWAY = (404, 408, 429)
TRAITS = ("n_params", "n_vocab", "n_embd", "size")  # llama.cpp's, which tell number formats apart


@dataclass(frozen=True, slots=True)
class Served:
    """Facts that a server reports about a model; empty or None if it does not.

    Attributes:
        id: Id in the server's list.
        root: Name or folder that the server loaded it from.
        context: Maximum number of tokens.
        server: Name and version of the server.
        traits: Sizes that differ between models and between number formats.
    """

    id: str
    root: str
    context: int | None
    server: str
    traits: Mapping[str, int] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, object]:
        """Facts that two servers of the same model have in common.

        The context is not one of them: a prompt that fits has the same reply in any.
        """
        return {"id": self.id, "root": self.root, **self.traits}

    @property
    def told(self) -> dict[str, object]:
        """Everything that the server reports of the model."""
        return {"id": self.id, "root": self.root, "max_model_len": self.context, **self.traits}


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
    contexts = [report.context for report in reports if report.context is not None]
    return replace(reports[0], context=min(contexts, default=None))


def check_same(
    endpoint: Endpoint,
    tokens: bool,
    *,
    client: Client,
    model: str,
    before: Served,
    where: str,
    probe: Probe,
) -> None:
    """Check that a server answers, and with the same model as before.

    Args:
        endpoint: The server.
        tokens: Whether it has to generate a token as well: some servers and gateways list a model
            that is not loaded yet.
        client: Client of the servers.
        model: Name of the model.
        before: The facts that the servers have reported.
        where: Place in the config, for messages.
        probe: Requests one token, as for ``ask_served``.

    Raises:
        BackendError: The server does not answer, or not with the model yet.
        PrerequisiteError: It serves another model, or refuses the key.
    """
    try:
        if before.id:
            listed, _ = _list(client, endpoint)
            if model not in listed:
                names = ", ".join(excerpt(name.encode()) for name in listed) or "no model"
                raise BackendError(f"the server does not list {model!r}, but {names}")
            _check_identity(_report(model, listed[model], ""), before, endpoint, model, where)
        if tokens or not before.id:
            _generate(probe, model, endpoint, is_listed=bool(before.id))
    except Refused as error:
        if error.status in UNAUTHORISED:
            raise unusable(error, where) from None
        raise
    if not before.id and DEPLOYMENTS not in endpoint.path and _answers(probe, NO_SUCH, endpoint):
        raise PrerequisiteError(
            f"{endpoint.url} answers to any name since its outage, and before it did not",
            where=where,
            fix=f"serve {model!r} there as before, and run the same command again",
        )


def _check_identity(
    found: Served, before: Served, endpoint: Endpoint, model: str, where: str
) -> None:
    old, new = before.identity, found.identity
    changed = [
        f"{name}: {_shown(old.get(name))} before, {_shown(new.get(name))} now"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    if changed:
        raise PrerequisiteError(
            f"{endpoint.url} serves another model as {model!r} since its outage "
            f"({'; '.join(changed)})",
            where=where,
            fix="serve the model of before there, and run the same command again; answers of "
            "before are kept",
        )


def _shown(fact: object) -> str:
    return "(absent)" if fact is None else repr(fact)


def _generate(probe: Probe, model: str, endpoint: Endpoint, *, is_listed: bool) -> None:
    """Ask for a token; a refusal of the request itself is a sign of life of a listed model."""
    try:
        probe(model, endpoint, 0)
    except Refused as error:
        if not is_listed or error.status in ALSO_AWAY or error.status >= 500:
            raise


def _answers(probe: Probe, model: str, endpoint: Endpoint) -> bool:
    try:
        probe(model, endpoint, 0)
    except BackendError:
        return False
    return True


def _list(client: Client, endpoint: Endpoint) -> tuple[dict[str, Mapping[str, Any]], str]:
    """Return the entries of a server's list of models by their ids, and the server's name."""
    answer = client.ask(MODELS, endpoint=endpoint)
    members = answer.value.get("data")
    found: dict[str, Mapping[str, Any]] = {}
    for member in members if isinstance(members, list) else ():
        if isinstance(member, dict) and isinstance(member.get("id"), str):
            found[member["id"]] = member
    return found, answer.server


def _report(model: str, about: Mapping[str, Any], server: str) -> Served:
    """Return what an entry of the list says; an empty one is that of a model that is not listed."""
    root, meta = about.get("root"), about.get("meta")
    sizes = meta if isinstance(meta, dict) else {}
    return Served(
        model if about else "",
        _spelled(root) if isinstance(root, str) else "",
        _context(about),
        server,
        {name: sizes[name] for name in TRAITS if type(sizes.get(name)) is int},
    )


def _spelled(root: str) -> str:
    """Return a path without what makes no difference, such as a slash at its end."""
    return posixpath.normpath(root) if root and "://" not in root else root


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
        listed, name = _list(client, endpoint)
    except Refused as error:
        if error.status in UNAUTHORISED:
            raise unusable(error, where) from None
    except (BackendError, UnavailableError) as error:
        raise unusable(error, where) from None
    if model not in listed:
        _check_unlisted(model, listed, endpoint, where, probe)
    server = " ".join([name, _version(client, endpoint)]).strip()
    return _report(model, listed.get(model, {}), server)


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
    except (BackendError, UnavailableError) as error:
        raise unusable(error, where) from None
    if DEPLOYMENTS in endpoint.path:  # Azure's address names the model
        return
    if not _answers(probe, NO_SUCH, endpoint):
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


def unusable(error: RagbenchError, where: str) -> PrerequisiteError:
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
