"""Whether servers continue plain prompts as they are."""

from __future__ import annotations

from ragbench.base.errors import BackendError, PrerequisiteError
from ragbench.models.served.asking import ECHOED, Asker
from ragbench.models.served.http import Refused

LETTER = "a"
MOST_TOKENS = 4  # of one letter: special tokens may be at both ends
NOT_FOUND = 404


def check_plain(asker: Asker, where: str) -> None:
    """Check that every server continues a plain prompt as it is.

    Ollama writes it into its model's chat template: a prompt of one letter then has many tokens. A
    server that does not count the tokens of its prompts cannot be checked for that. Other checks
    find what else is wrong.

    Raises:
        PrerequisiteError: A server has no plain prompts, or adds to them.
    """
    for endpoint in asker.endpoints:
        why = ""
        try:
            size, longer = (asker.text(t, 1, endpoint).prompt_tokens for t in (LETTER, ECHOED))
            if size is not None and size != longer and size > MOST_TOKENS:
                why = f"it adds to the prompt {LETTER!r}, which has {size} tokens there"
        except Refused as error:
            why = error.what if error.status == NOT_FOUND else ""
        except BackendError:
            continue
        if why:
            raise PrerequisiteError(
                f"the server does not continue plain prompts: {why}",
                where=f"{where}, {endpoint.url}",
                fix="remove `format: plain`",
            )
