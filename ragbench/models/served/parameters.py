"""Parameters of requests: those of the config, and those that a server refuses by name.

A server that refuses a parameter is asked without it, or with its other name, and what changed is
part of the model's identity. Only parameters that a request can do without are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticCustomError

from ragbench.base.modelfacts import PARAMETER_REMARKS
from ragbench.models.served.http import Refused

OTHER_NAMES = {"max_tokens": "max_completion_tokens"}
BAD_REQUEST = (400, 422)
REFUSAL = re.compile(
    r"not support|unsupported|unknown|unrecogni[sz]ed|unexpected|not permitted|not allowed"
    r"|extra (?:inputs|fields)|extra_forbidden|cannot find|deprecated|only the default",
    re.IGNORECASE,
)
TEMPLATE_KEYS = "chat_template_kwargs"
TRACE_ROOM = 512  # tokens of a check's reply, where a trace that is not shown may precede it
# Keys that ragbench sets, so that `extra_body` may not.
OWN = frozenset(
    {
        *("model", "messages", "prompt", "max_tokens", "max_completion_tokens", "stop", "stream"),
        *("n", "temperature", "seed", "frequency_penalty", "echo", "logprobs", "top_logprobs"),
        *("logprob_token_ids", "return_tokens_as_token_ids"),
        *("add_generation_prompt", "continue_final_message"),
    }
)


def check_extra(extra: Mapping[str, Any]) -> None:
    """Refuse keys of the config that ragbench sets itself.

    Raises:
        PydanticCustomError: There is one.
    """
    if ours := sorted(extra.keys() & OWN):
        what = f"ragbench sets {', '.join(ours)} itself"
        said = {"what": what, "fix": "leave it out of `extra_body`"}
        raise PydanticCustomError("extra_body", "{what}", said)


class Parameters:
    """Changes requests as the config and the servers want them.

    Args:
        extra: Keys of every request besides ragbench's own.
    """

    def __init__(self, extra: Mapping[str, Any]) -> None:
        self._extra = dict(extra)
        self._without: set[str] = set()
        self._renamed: dict[str, str] = {}
        self._fixed = False

    @property
    def changes(self) -> tuple[str, ...]:
        """What was changed, as ``ServedFacts.changed_parameters`` records it."""
        renamed = {f"{old} as {new}" for old, new in self._renamed.items()}
        return tuple(sorted({f"no {name}" for name in self._without} | renamed))

    def fix(self) -> None:
        """End the checks: a parameter that is refused from now on is an error."""
        self._fixed = True

    def applied(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request with the config's keys, and without what a server refuses."""
        found = {self._renamed.get(k, k): v for k, v in body.items() if k not in self._without}
        for name in self._renamed.values():
            if not self._fixed and found.get(name) == 1:
                found[name] = TRACE_ROOM
        whole = self._extra | found
        mine, given = self._extra.get(TEMPLATE_KEYS), found.get(TEMPLATE_KEYS)
        if isinstance(mine, dict) and isinstance(given, dict):
            whole[TEMPLATE_KEYS] = mine | given
        return whole

    def learn(self, error: Refused, body: Mapping[str, Any]) -> bool:
        """Change what an error names, and say whether another request may succeed."""
        if self._fixed or error.status not in BAD_REQUEST or not REFUSAL.search(error.what):
            return False
        sent = [name for name in PARAMETER_REMARKS if name in body and name not in self._changed]
        places = {name: _place(name, error.what) for name in sent}
        named = sorted((place, name) for name, place in places.items() if place is not None)
        if not named:
            return False
        name = named[0][1]
        if name in OTHER_NAMES:
            self._renamed[name] = OTHER_NAMES[name]
        else:
            self._without.add(name)
        return True

    @property
    def _changed(self) -> set[str]:
        return self._without | set(self._renamed)


def _place(name: str, text: str) -> int | None:
    found = re.search(rf"(?<![A-Za-z_]){name}(?![A-Za-z_])", text)
    return found.start() if found else None
