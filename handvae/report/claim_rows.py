"""A claim as a row of a table: what was measured, its criterion, and the verdict that follows from the two by rule."""

from dataclasses import dataclass

import numpy as np

from handvae.evaluation import statistics

HOLDS, FAILS, OPEN, ABSENT = "holds", "does not hold", "cannot be told", "not in this grid"
SEED = 0

Interval = tuple[float, float, float]  # a number and the ends of its 95 % interval
Row = dict[str, object]


@dataclass(frozen=True)
class Claim:
    """What the paper says, in our words, and where."""

    text: str
    place: str


@dataclass(frozen=True)
class Criterion:
    """The claim's side: the open range from `low` to `high`, in `unit`."""

    low: float
    high: float
    unit: str

    def __str__(self) -> str:
        low, high = as_text(self.low), as_text(self.high)
        if np.isneginf(self.low):
            return f"below {high} {self.unit}"
        return f"above {low} {self.unit}" if np.isposinf(self.high) else f"between {low} and {high} {self.unit}"


def as_text(number: float) -> str:
    """Three digits, or all of those before the point."""
    return f"{number:,.3g}" if abs(number) < 1000 else f"{number:,.0f}"


def above(bound: float, unit: str) -> Criterion:
    return Criterion(bound, np.inf, unit)


def below(bound: float, unit: str) -> Criterion:
    return Criterion(-np.inf, bound, unit)


def verdict(low: float, high: float, criterion: Criterion) -> str:
    """Holds: the whole interval lies on the claim's side; does not hold: all of it on the other; else cannot be told.

    An interval that is not a number tells nothing.
    """
    if criterion.low < low and high < criterion.high:
        return HOLDS
    return FAILS if high <= criterion.low or low >= criterion.high else OPEN


def row(claim: Claim, statistic: str, interval: Interval, criterion: Criterion, data: str) -> Row:
    value, low, high = map(float, interval)
    return {
        "claim": claim.text,
        "place": claim.place,
        "statistic": f"{statistic} ({criterion.unit})",
        "value": value,
        "low": low,
        "high": high,
        "criterion": str(criterion),
        "verdict": verdict(low, high, criterion),
        "data": data,
    }


def absent(claim: Claim, needs: str) -> Row:
    """The row of a claim whose experiments are not in the grid; `needs` names them."""
    blank = {"statistic": "", "value": np.nan, "low": np.nan, "high": np.nan, "criterion": ""}
    return {"claim": claim.text, "place": claim.place, **blank, "verdict": ABSENT, "data": f"needs {needs}"}


def interval_of_draws(value: float, draws: np.ndarray) -> Interval:
    """A number and the percentiles of its bootstrap resamples (R,)."""
    low, high = np.percentile(draws, statistics.PERCENTILES)
    return value, float(low), float(high)


def interval_of_mean(values: np.ndarray) -> Interval:
    """The mean of independent values (N,), frames or walks, by bootstrap."""
    return interval_of_ratio(values, np.ones_like(values))


def interval_of_ratio(a: np.ndarray, b: np.ndarray) -> Interval:
    """The mean of a (N,) over that of b (N,), both of the same independent frames or walks, by bootstrap."""
    drawn = np.random.default_rng(SEED).integers(0, len(a), (statistics.RESAMPLES, len(a)))
    return interval_of_draws(float(a.mean() / b.mean()), a[drawn].mean(axis=1) / b[drawn].mean(axis=1))
