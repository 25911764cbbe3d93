"""Whether the chat template of a server writes today's date, and whether it can be given another.

Llama's templates write the variable ``date_string``, which vLLM, SGLang and llama.cpp take from a
request's ``chat_template_kwargs``. Others ask for the day themselves, and no request changes that.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import BackendError
from ragbench.base.modelfacts import UNPINNED
from ragbench.models.rendering import ChatTemplate, date_string
from ragbench.models.served.asking import HELLO, Asker
from ragbench.models.served.completions import TEMPLATED, TOKENIZE, dated
from ragbench.models.served.http import Client

DETOKENIZE = "/detokenize"
FORMS = ("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y")
UNLIKE = "a day without a date " * 8  # longer than any date by more tokens than any rounding


def template_day(
    client: Client, asker: Asker, day: date, template: ChatTemplate | None
) -> str | None:
    """Return the day that the servers' chat template writes, as the run folder records it.

    ``day`` in ISO's form if every server takes it from a request, ``UNPINNED`` if a server writes
    its own, None if no date is found: neither in a prompt that the server renders (vLLM and
    llama.cpp do) nor in the template of the tokenizer, if there is one.
    """
    is_dated = template is not None and template.is_dated
    found = {_day_of(client, asker, endpoint, day, is_dated) for endpoint in client.endpoints}
    return UNPINNED if UNPINNED in found else next((one for one in found if one), None)


def _day_of(
    client: Client, asker: Asker, endpoint: Endpoint, day: date, is_dated: bool
) -> str | None:
    usual = _rendered(client, asker.model, endpoint, {})
    if usual is None:
        takes = is_dated and asker.takes_date(endpoint, UNLIKE)
        return (day.isoformat() if takes else UNPINNED) if is_dated else None
    if not _is_of_today(usual):
        return None
    given = _rendered(client, asker.model, endpoint, dated(date_string(day)))
    takes = given is not None and date_string(day) in given and not _is_of_today(given)
    return day.isoformat() if takes else UNPINNED


def _rendered(
    client: Client, model: str, endpoint: Endpoint, more: Mapping[str, Any]
) -> str | None:
    """Return a prompt as a server renders it; None if the server does not show it."""
    above = endpoint.above
    body = {"model": model, "messages": [HELLO], "add_generation_prompt": True, **more}

    def ask(path: str, asked: Mapping[str, Any], name: str) -> Any:
        try:
            return client.ask(path, asked, endpoint=above, retries=0).value.get(name)
        except BackendError:
            return None

    tokens = ask(TOKENIZE, body, "tokens")
    found = None
    if isinstance(tokens, list) and tokens:
        found = ask(DETOKENIZE, {"model": model, "tokens": tokens}, "prompt")
    if not isinstance(found, str):
        found = ask(TEMPLATED, body, "prompt")
    return found if isinstance(found, str) and HELLO["content"] in found else None


def _is_of_today(text: str) -> bool:
    """Say whether a text has today's date, in any time zone and any usual form."""
    now = datetime.now(UTC).date()
    days = [now + timedelta(days=n) for n in (-1, 0, 1)]
    forms = {day.strftime(form) for day in days for form in FORMS}
    short = {form.replace(" 0", " ").removeprefix("0") for form in forms}  # 3 Nov, Nov 3
    return any(form in text for form in forms | short)
