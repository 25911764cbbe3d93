"""Options scored as echoed texts: one for the prompt alone, and one per option."""

from __future__ import annotations

from collections.abc import Sequence

from ragbench.base.errors import BackendError
from ragbench.base.records import OptionScores
from ragbench.models.rendering import start_of_options
from ragbench.models.served.asking import Asker
from ragbench.models.served.completions import Echoes
from ragbench.models.served.counting import TokenCounter
from ragbench.models.served.http import Refused

JOINED = 4  # characters
BATCHES = 0.25  # by which a log-probability may differ between batches of half precision
PROBES = (
    *("One, two, three, four, five.", "One, two, three,", "Red and blue make"),
    "A list of texts, one of which is longer.",
)


def score_by_echo(
    asker: Asker, counter: TokenCounter, head: str, blank: str, options: Sequence[str]
) -> OptionScores:
    """Return the log-likelihood of each option after a text, without the seconds.

    Prompt and option are sent as one text, which the server tokenises together. The options' tokens
    start as those of a local model do, by the tokens that the server or else ``tokenizer`` gives. A
    server without both has lm-eval's rule: the tokens beyond the number of tokens of the prompt
    alone. Text offsets are not used, because servers count special and partial characters
    differently.

    Raises:
        BackendError: A server failed, or does not report every number.
    """
    texts = [head, *(head + blank + option for option in options)]
    echoes = _echoes(asker, texts)
    numbers = [echo.numbers for echo in echoes.texts]
    for option, found in zip(options, numbers[1:], strict=True):
        if len(found) < 2:
            raise BackendError(f"the server counts no token of the option {option!r}")
        # An option that adds no token was cut off with the list, or is so short that it is one
        # token with the end of the prompt.
        alone = len(numbers[0])
        if len(found) < alone or (len(found) == alone and not _may_join(blank + option)):
            raise BackendError(
                f"the server counts {len(found)} tokens of the prompt with the option "
                f"{option!r}, and {alone} of the prompt alone"
            )
    start = _start(counter, texts, options, numbers, [echo.tokens for echo in echoes.texts])
    own = [found[start:] for found in numbers[1:]]
    return OptionScores(
        tuple(sum(number or 0.0 for number in found) for found in own),
        tuple(map(len, own)),
        len(numbers[0]),
        0.0,
        requests=None if echoes.requests == len(texts) else echoes.requests,
        texts=None if echoes.requests == len(texts) else len(texts),
        cached_tokens=echoes.cached_tokens,
        by=echoes.by,
    )


def _echoes(asker: Asker, texts: Sequence[str]) -> Echoes:
    """Return the echoes of texts, in one request where the servers take lists.

    A list that a server refuses in the run, because of its length for instance, is sent text by
    text.
    """
    if asker.takes_lists:
        try:
            return asker.echoes(texts)
        except Refused as error:
            if error.status >= 500:
                raise
    found = [asker.echoes(text) for text in texts]
    cached = [each.cached_tokens for each in found if each.cached_tokens is not None]
    every = tuple(text for each in found for text in each.texts)
    return Echoes(every, len(found), sum(cached) if cached else None, found[-1].by)


def takes_lists(asker: Asker) -> bool:
    """Say whether every server echoes a list of texts as it echoes each alone, in its order.

    The numbers may differ by the rounding of batches, but not as those of different texts do.
    """
    try:
        return all(
            _are_alike(
                [echo.numbers for echo in asker.echoes(PROBES, endpoint).texts],
                [asker.echo(text, endpoint) for text in PROBES],
            )
            for endpoint in asker.endpoints
        )
    except BackendError:
        return False


def _are_alike(
    some: Sequence[Sequence[float | None]], others: Sequence[Sequence[float | None]]
) -> bool:
    """Say whether lists of log-probabilities are those of the same texts in the same order."""
    return all(
        len(one) == len(other)
        and all(abs((x or 0.0) - (y or 0.0)) <= BATCHES for x, y in zip(one, other, strict=True))
        for one, other in zip(some, others, strict=True)
    )


def _start(
    counter: TokenCounter,
    texts: Sequence[str],
    options: Sequence[str],
    numbers: Sequence[Sequence[float | None]],
    spelt: Sequence[Sequence[str] | None],
) -> int:
    """Return where the options' tokens start in a prompt alone (the first) and with options."""
    known = [tokens for tokens in spelt if tokens is not None]
    if len(known) == len(texts):
        return start_of_options(known[0], known[1:], options)
    ids = counter.ids(texts)
    if [len(found) for found in ids] == [len(found) for found in numbers]:
        return start_of_options(ids[0], ids[1:], options)
    return max(1, min(len(numbers[0]), *(len(found) - 1 for found in numbers[1:])))


def _may_join(added: str) -> bool:
    """Say whether a text may be part of the last token before it."""
    return len(added) <= JOINED and not added[:1].isspace()
