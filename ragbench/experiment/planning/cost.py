"""What each model of a run costs: prompts, tokens, memory, time and money."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ragbench.base.records import Scoring
from ragbench.experiment.planning.devices import GEMM_SHARE, StatedDevice, products_per_s
from ragbench.experiment.planning.fitting import Spread, fit, fits_here, weight_bytes
from ragbench.experiment.planning.rates import Rate
from ragbench.models.model import Model
from ragbench.runfolder.config import Billing

PLAIN = ("float32", "bfloat16", "float16")
ANY = Spread()


@dataclass(frozen=True)
class CostEstimate:
    """Cost of a model in this run; None where it is unknown.

    Attributes:
        prompts: Number of prompts; of tasks of unknown size, none.
        prompt_tokens: Approximate tokens of all prompts; a full budget where passages are unknown.
        reply_tokens: Maximum tokens generated.
        weight_bytes: Bytes of the weights in their number format.
        seconds: Time on the device: prompts at 40 % of the peak speed of a matrix product; replies
            at half the memory bandwidth of a stated device, as many at a time as the backend
            writes. Of a server, the time of its questions at a stated or measured rate.
        device: Device of the time estimate.
        devices: Number of devices that hold the weights and the longest prompt.
        unfit: Why the model cannot run so; empty if it can.
        money: Cost at most, in the config's currency; 0 on the own machine.
        own_machine: Whether the cost is 0 because prompts stay in this process.
        requests: Requests to a server; None for a model in this process.
        sent_tokens: Tokens of all texts of these requests; None for a model in this process.
        rate: Questions a second of a server, and where the figure is from.
    """

    model: str
    prompts: int
    prompt_tokens: int
    reply_tokens: int
    weight_bytes: int | None
    seconds: float | None
    device: str = ""
    devices: int | None = None
    unfit: str = ""
    money: float | None = None
    own_machine: bool = False
    requests: int | None = None
    sent_tokens: int | None = None
    rate: str = ""


@dataclass(frozen=True, slots=True)
class Asking:
    """Means per question.

    Attributes:
        requests: Requests to a server.
        texts: Texts that they hold.
        added: Tokens that these have besides those of the prompt.
    """

    requests: float
    texts: float
    added: float = 0.0


@dataclass(slots=True)
class Load:
    """Sums over the prompts of a model.

    Attributes:
        prompts: Number of prompts.
        tokens: Their tokens.
        sent: Tokens that are paid: of all requests, which may be one per option.
        written: Maximum tokens of replies.
        requests: Requests to a server.
        by_scoring: Prompts by how their answers are taken.
        longest: Tokens of the longest prompt with its reply.
    """

    prompts: int = 0
    tokens: int = 0
    sent: int = 0
    written: int = 0
    requests: int = 0
    by_scoring: dict[Scoring, int] = field(default_factory=dict)
    longest: int = 0

    def add(self, prompts: int, tokens: int, asked: Asking, reply: int, scoring: Scoring) -> None:
        """Add prompts and their tokens, with the requests and reply tokens that they take."""
        self.prompts += prompts
        self.by_scoring[scoring] = self.by_scoring.get(scoring, 0) + prompts
        self.tokens += tokens
        self.requests += round(prompts * asked.requests)
        self.sent += round(tokens * asked.texts + prompts * asked.added)
        self.written += prompts * reply


def estimate(
    name: str,
    model: Model,
    load: Load,
    stated: StatedDevice | None,
    billing: Billing,
    rates: Mapping[Scoring, Rate] | None = None,
    spread: Spread = ANY,
) -> CostEstimate:
    """Return the cost of a model.

    Args:
        name: The model.
        model: The model itself.
        load: Its prompts.
        stated: The device of times; None for this machine.
        billing: What it costs.
        rates: Questions a second that a server answers, by how answers are taken.
        spread: How the backend uses several devices.
    """
    found = _time(name, model, load, stated, spread)
    if rates and all(scoring in rates for scoring in load.by_scoring):
        sources = dict.fromkeys(
            f"{rates[scoring].per_s:.3g} questions/s, {rates[scoring].source}"
            for scoring in load.by_scoring
        )
        seconds = sum(n / rates[scoring].per_s for scoring, n in load.by_scoring.items())
        found = replace(found, seconds=seconds, device="its server", rate="; ".join(sources))
    if billing.per_hour is not None and found.seconds is None:
        return found
    money = replace(billing, in_flight=1).cost(
        sent=load.sent, cached=0, written=load.written, seconds=found.seconds or 0.0
    )
    priced = billing.input is not None or billing.per_hour is not None
    return replace(found, money=money, own_machine=billing.own_machine and not priced)


def _time(
    name: str, model: Model, load: Load, stated: StatedDevice | None, spread: Spread
) -> CostEstimate:
    facts = model.facts()
    parameters, dtype = facts.parameters, str(facts.dtype)
    found = CostEstimate(name, load.prompts, load.tokens, load.written, None, None)
    found = (
        found
        if facts.served is None
        else replace(found, requests=load.requests, sent_tokens=load.sent)
    )
    if parameters is None:
        return found
    if parameters == 0:
        return replace(found, weight_bytes=0, seconds=0.0, device="no weights")
    held = weight_bytes(facts) or 0
    found = replace(found, weight_bytes=held)
    active = parameters if facts.footprint is None else facts.footprint.active_parameters
    if stated is not None:
        fitting = fit(name, facts, load.longest, stated, spread)
        if fitting.cards is None:
            return replace(found, device="does not fit", unfit=fitting.refusal)
        at_once = fitting.cards if spread.is_split else 1
        reading = 2.0 * active * load.tokens / (stated.products_per_s * GEMM_SHARE * at_once)
        passes = load.written / fitting.together
        writing = passes * held / (stated.bytes_per_s * 0.5 * at_once)
        seconds = reading + writing
        return replace(found, seconds=seconds, device=stated.title, devices=fitting.cards)
    if facts.stands_in:
        return found
    if unfit := fits_here(name, facts, load.longest):
        return replace(found, device="does not fit", unfit=unfit)
    plain = dtype if dtype in PLAIN else "bfloat16"  # few bits are computed as such
    speed = products_per_s(str(facts.device), plain) * GEMM_SHARE
    seconds = 2.0 * active * (load.tokens + load.written) / speed
    return replace(found, seconds=seconds, device="this machine")


def asking_of(model: Model, scoring: Scoring, options: float, added: float = 0.0) -> Asking:
    """Return what a question takes from a server, on average.

    Args:
        model: The model.
        scoring: How its answers are taken.
        options: Mean number of options of a question.
        added: Mean tokens of all options of a question, as they follow the prompt.
    """
    served = model.facts().served
    texts = 1.0 if scoring == "generate" else options + 1
    texts = texts if served is None else served.texts(scoring, options)
    requests = texts if served is None else served.requests(scoring, options)
    return Asking(requests, texts, added if texts > 1 else 0.0)


def how_asked(model: Model, found: CostEstimate, scorings: Collection[str]) -> Iterator[str]:
    """Yield how a server is asked for answers taken so, as its abilities allow."""
    served = model.facts().served
    if served is None or not found.requests:
        return
    how = list(served.abilities(scorings))
    if how or found.requests != found.prompts:
        yield "; ".join([f"{found.model}: {found.requests:,} requests", *how])
    yield from (f"{found.model}: {remark}" for remark in served.remarks())
