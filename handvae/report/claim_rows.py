"""A claim as a row of a table: what was measured, its criterion, and the verdict that follows from the two by rule."""

from dataclasses import dataclass

import numpy as np

from handvae.evaluation import bootstrap, uncertainty
from handvae.evaluation.uncertainty import OPEN, Number

HOLDS, FAILS, ABSENT = "holds", "does not hold", "not in this grid"
SEED = 0

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


def side_of(low: float, high: float, criterion: Criterion) -> str:
    """Holds: the whole interval lies on the claim's side; does not hold: all of it on the other; else cannot be told.

    An interval that is not a number tells nothing.
    """
    if criterion.low < low and high < criterion.high:
        return HOLDS
    return FAILS if high <= criterion.low or low >= criterion.high else OPEN


def verdict(number: Number, criterion: Criterion) -> str:
    """`side_of` its interval, if there are enough seeds to speak of trained models; else what is lacking."""
    found = side_of(*number.interval(), criterion)
    if found == OPEN or number.seeds < uncertainty.LEAST_SEEDS:
        ends = np.abs(np.array([criterion.low, criterion.high]) - number.value)
        return uncertainty.untold(number, ends.min())  # to the nearest end, wherever the number lies
    return found


def row(claim: Claim, statistic: str, number: Number, criterion: Criterion, data: str, told: str = "") -> Row:
    """A row of a number of trained models; `told`: its verdict where another table has come to it already."""
    interval = (number.value, *number.interval())
    return _row(claim, statistic, interval, number.seeds, criterion, told or verdict(number, criterion), data)


def exact_row(claim: Claim, statistic: str, value: int, criterion: Criterion, data: str) -> Row:
    """A row of a number that is known exactly, and needs no seed."""
    return _row(claim, statistic, 3 * (value,), None, criterion, side_of(value, value, criterion), data)


def _row(
    claim: Claim,
    statistic: str,
    interval: tuple[float, float, float],
    seeds: int | None,
    criterion: Criterion,
    told: str,
    data: str,
) -> Row:
    value, low, high = map(float, interval)
    return {
        "claim": claim.text,
        "place": claim.place,
        "statistic": f"{statistic} ({criterion.unit})",
        "value": value,
        "low": low,
        "high": high,
        "seeds": seeds,
        "criterion": str(criterion),
        "verdict": told,
        "data": data,
    }


def absent(claim: Claim, needs: str) -> Row:
    """The row of a claim whose experiments are not in the grid; `needs` names them."""
    blank = {"statistic": "", "value": np.nan, "low": np.nan, "high": np.nan, "seeds": None, "criterion": ""}
    return {"claim": claim.text, "place": claim.place, **blank, "verdict": ABSENT, "data": f"needs {needs}"}


def mean_number(values: list[np.ndarray], block: np.ndarray) -> Number:
    """The mean of values (N,) of each seed's model, of frames or walks of which those of one `block` (N,) belong
    together."""
    return ratio_number(values, [np.ones_like(of_seed) for of_seed in values], block)


def ratio_number(a: list[np.ndarray], b: list[np.ndarray], block: np.ndarray) -> Number:
    """The mean of a (N,) over that of b (N,) of each seed's model, drawn together: see `mean_number`."""

    def ratio(over: np.ndarray, under: np.ndarray) -> bootstrap.Statistic:
        sums = bootstrap.block_sums(np.stack([over, under], axis=1).astype(np.float64), block)
        return lambda counts: np.divide(*(counts @ sums).T)

    made = [ratio(*of_seed) for of_seed in zip(a, b, strict=True)]
    values, draws = bootstrap.measured(made, block), bootstrap.resampled(made, block, SEED)
    return uncertainty.number(uncertainty.itself, [values], [draws], bootstrap.count(block))
