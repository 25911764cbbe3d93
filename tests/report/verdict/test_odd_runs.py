"""Verdicts of odd results as golden texts, and their figures by other means than ragbench's own.

Every text in ``tests/data/verdicts`` was read against its figures before it was kept. After a
change of wording, read the difference before you write it down.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import binom, norm
from scipy.stats import t as student
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests

from ragbench.analysis.effects import effects
from ragbench.analysis.load import Run
from ragbench.report.verdict.verdict import verdict
from tests.report.verdict.odd_runs import RUNS

TEXTS = Path(__file__).parents[2] / "data" / "verdicts"
ALPHA = 0.05
DETECTABLE = re.compile(
    r"\(with n = ([\d,]+)(?: and [\d.]+ % discordant)?, a true difference of ([\d.]+) points would "
    r"be found four times in five( if every change went the same way)?\)"
)


Made = tuple[Run, pd.DataFrame, list[str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """Return the function that makes a run once: the run, its effects and its verdict."""
    folder = tmp_path_factory.mktemp("odd")

    @cache
    def make(name: str) -> Made:
        run = RUNS[name](folder / name.replace(" ", "-"))
        table = effects(run)
        return run, table, list(verdict(run, table))

    return make


@pytest.mark.parametrize("name", RUNS)
def test_the_verdict_is_the_golden_text(made: Callable[[str], Made], name: str) -> None:
    lines = (TEXTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    for said, wanted in zip(made(name)[2], lines, strict=True):
        assert said == wanted


def test_every_text_has_its_run() -> None:
    assert {path.stem for path in TEXTS.iterdir()} == set(RUNS)


def shift(run: Run, row: pd.Series[Any]) -> tuple[np.ndarray, pd.Series[Any]]:
    """Return the differences of an effect by question, from the scores, and the clusters."""
    model, base, task, arm, other = (
        str(row[key]) for key in ("model", "base", "task", "arm", "baseline")
    )
    metric = run.metrics(task)[0]

    def cell(name: str, where: str) -> pd.Series[float]:
        return run.cell(name, task, where).set_index("question_id")[metric]

    if row.effect == "interaction":
        found = (cell(model, arm) - cell(model, other)) - (cell(base, arm) - cell(base, other))
    elif row.effect == "retrieval less fine-tuning":
        found = cell(base, arm) - cell(model, other)
    elif row.effect in ("fine-tuning gain", "fine-tuning gain with retrieval"):
        found = cell(model, arm) - cell(base, arm)
    elif row.effect.startswith("headroom"):
        mine = run.cell(model, task, arm).set_index("question_id")
        delivered = mine.gold_delivered > 0
        counted = mine.has_gold & (delivered if "delivered" in row.effect else ~delivered)
        found = (cell(model, other) - cell(model, arm))[counted]
    else:
        found = cell(model, arm) - cell(model, other)
    named = {question.id: question.cluster for question in run.questions(task)}
    clusters = pd.Series([named[str(name)] for name in found.index], dtype=object)
    return found.to_numpy(dtype=float), clusters


def tango(helped: int, hurt: int, n: int) -> tuple[float, float]:
    """Return the ends where the score is at its quantile, the likelihood maximised by search."""

    def score(value: float) -> float:
        def lost(q: float) -> float:
            terms = ((helped, q + value), (hurt, q), (n - helped - hurt, 1 - value - 2 * q))
            return -sum(count * math.log(max(share, 1e-300)) for count, share in terms if count)

        low, high = max(0.0, -value), (1 - value) / 2
        q = float(minimize_scalar(lost, bounds=(low, high), options={"xatol": 1e-13}).x)
        ends = [end for end in (low, high) if lost(end) <= lost(q)]
        q = min([q, *ends], key=lost)
        variance = n * (2 * q + value - value**2)
        return (helped - hurt - n * value) / math.sqrt(max(variance, 1e-300))

    quantile, estimate = float(norm.ppf(1 - ALPHA / 2)), (helped - hurt) / n
    ends = []
    for side, wanted in ((-1, quantile), (1, -quantile)):
        end = side * (1 - 1e-7)
        beyond = (score(end) - wanted) * wanted <= 0 or (abs(estimate) == 1 and estimate == side)
        ends.append(side if beyond else brentq(lambda v, w=wanted: score(v) - w, end, estimate))
    return ends[0], ends[1]


def mid_p(helped: int, hurt: int) -> float:
    """Return half the chance of the table that was seen, and all of the more extreme ones."""
    m, fewer = helped + hurt, min(helped, hurt)
    tail = sum(math.comb(m, k) for k in range(fewer)) + math.comb(m, fewer) / 2
    return 1.0 if helped == hurt else 2 * tail / 2**m


def robust(values: np.ndarray, clusters: pd.Series[Any]) -> tuple[float, float]:
    """Return a cluster-robust interval of statsmodels; of Student's t without clusters."""
    fit = OLS(values, np.ones_like(values))
    alone = clusters.isna().all()
    codes = np.arange(values.size) if alone else pd.factorize(clusters)[0]
    error = float(fit.fit(cov_type="cluster", cov_kwds={"groups": codes}).bse[0])
    half = float(student.ppf(1 - ALPHA / 2, np.unique(codes).size - 1)) * error
    return float(values.mean()) - half, float(values.mean()) + half


@pytest.mark.parametrize("name", RUNS)
def test_the_figures_by_other_means(made: Callable[[str], Made], name: str) -> None:
    run, table, said = made(name)
    mine = table[(table.stratum == "") & ~table.task.str.startswith("(")]
    text = "\n".join(said)
    for _, row in mine[mine.status == "complete"].iterrows():
        values, clusters = shift(run, row)
        helped, hurt, n = int((values > 0).sum()), int((values < 0).sum()), values.size
        assert (row.n, row.helped, row.hurt) == (n, helped, hurt)
        assert row.estimate == pytest.approx(values.mean(), abs=1e-12)
        ends = row.ci_low, row.ci_high
        if n == 1:
            continue
        if "twice" not in name and clusters.isna().all():
            assert pd.isna(row.n_clusters)
        elif "twice" in name:
            assert row.n_clusters == 40
            clusters = pd.Series(np.arange(80) // 2)
        else:
            assert row.n_clusters == clusters.nunique()
        one = set(np.abs(values)) <= {0.0, 1.0} and row.effect != "interaction"
        if pd.notna(row.n_clusters) and row.n_clusters < 8:
            assert math.isnan(row.ci_low) and math.isnan(row.p)
        elif one and pd.isna(row.n_clusters):
            low, high = tango(helped, hurt, n)
            p = mid_p(helped, hurt)
            if p >= ALPHA:  # the weaker of the two holds
                low, high = min(low, 0.0), max(high, 0.0)
            assert ends == pytest.approx((low, high), abs=1e-6)
            assert row.p == pytest.approx(p, rel=1e-9)
        elif "large and nine" not in name and n > 10 and values.std() > 0:
            # Other methods, other ends, most of all of skewed values; but none is far away.
            low, high = robust(values, clusters)
            assert ends == pytest.approx((low, high), abs=(high - low) / 3)
        figures = f"{100 * ends[0]:+.1f} to {100 * ends[1]:+.1f}"
        if row.family == "primary" and not math.isnan(row.ci_low):
            assert figures in text
    for family, how in (("primary", "holm"), ("exploratory", "fdr_bh")):
        known = table[(table.family == family) & table.p.notna()]
        untested = int((table.family == family).sum()) - len(known) if how == "holm" else 0
        if len(known):
            tests = np.append(known.p.to_numpy(dtype=float), np.ones(untested))
            wanted = multipletests(tests, method=how)[1][: len(known)]
            assert known.p_adjusted.to_numpy() == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("name", RUNS)
def test_a_detectable_difference_is_found_four_times_in_five(
    made: Callable[[str], Made], name: str
) -> None:
    """By 20,000 imagined runs of McNemar's mid-p, at the level of Holm's first step."""
    _, table, said = made(name)
    level = ALPHA / max(1, int((table.family == "primary").sum()))
    assert set(table[table.family == "primary"].level) <= {level}
    if table.n_clusters.notna().any():
        return
    draw = np.random.default_rng(5)
    for n, points, one_way in DETECTABLE.findall("\n".join(said)):
        least = float(points) / 100
        near = (table.smallest_detectable - least).abs() < 6e-4
        row = table[near & (table.family == "primary")].iloc[0]
        size, share = int(n.replace(",", "")), (row.helped + row.hurt) / row.n
        assert (share < least) == bool(one_way)
        share = least if one_way else share
        up, down = (share + least) / 2, (share - least) / 2
        seen = draw.multinomial(size, [up, down, 1 - share], size=20_000)
        m, fewer = seen[:, 0] + seen[:, 1], seen[:, :2].min(axis=1)
        p = 2 * binom.cdf(fewer, m, 0.5) - binom.pmf(fewer, m, 0.5)
        assert float(np.mean(p < level)) == pytest.approx(0.8, abs=0.02)
