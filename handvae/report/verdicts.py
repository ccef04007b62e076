"""A claim as a row of a table: what was measured, its criterion, and the verdict that follows from the two by rule."""

from dataclasses import dataclass

import numpy as np

from handvae.evaluation import bootstrap, uncertainty
from handvae.evaluation.uncertainty import OPEN, Number
from handvae.report import paper
from handvae.report.text import WORDS

HOLDS, FAILS, ABSENT = "holds", "does not hold", "not in this grid"
SEED = 0

Row = dict[str, object]


@dataclass(frozen=True)
class Criterion:
    """The claim's side: the open range from `low` to `high`, in `unit`."""

    low: float
    high: float
    unit: str

    def __str__(self) -> str:
        low, high = three_digits(self.low), three_digits(self.high)
        if np.isneginf(self.low):
            return f"below {high} {self.unit}"
        return f"above {low} {self.unit}" if np.isposinf(self.high) else f"between {low} and {high} {self.unit}"

    def side_of(self, low: float, high: float) -> str:
        """Holds: the whole interval lies on the claim's side; does not hold: all of it on the other; else cannot be
        told. An interval that is not a number tells nothing."""
        if self.low < low and high < self.high:
            return HOLDS
        return FAILS if high <= self.low or low >= self.high else OPEN

    def verdict(self, number: Number) -> str:
        """The side of its interval, if there are enough seeds to speak of trained models; else what is lacking."""
        side = self.side_of(*number.interval())
        if side != OPEN and number.seeds >= uncertainty.LEAST_SEEDS:
            return side
        distances = np.abs(np.array([self.low, self.high]) - number.value)
        return uncertainty.untold(number, distances.min())  # to the nearest end, wherever the number lies


def three_digits(number: float) -> str:
    """Three digits, or all of those before the point."""
    return f"{number:,.3g}" if abs(number) < 1000 else f"{number:,.0f}"


def above(bound: float, unit: str) -> Criterion:
    return Criterion(bound, np.inf, unit)


def below(bound: float, unit: str) -> Criterion:
    return Criterion(-np.inf, bound, unit)


def row(claim: str, statistic: str, number: Number | int, criterion: Criterion, data: str, told: str = "") -> Row:
    """A row of a number of trained models, or of one that is known exactly and needs no seed.

    `claim`: its name in words.yaml; `told`: its verdict where another table has come to it already.
    """
    if isinstance(number, Number):
        interval, seeds = (number.value, *number.interval()), number.seeds
        told = told or criterion.verdict(number)
    else:
        interval, seeds = 3 * (number,), None
        told = criterion.side_of(number, number)
    return _row(claim, f"{statistic} ({criterion.unit})", interval, seeds, str(criterion), told, data)


def absent(claim: str, needs: str) -> Row:
    """The row of a claim whose experiments are not in the grid; `needs` names them."""
    return _row(claim, "", 3 * (np.nan,), None, "", ABSENT, f"needs {needs}")


def _row(claim: str, statistic: str, interval: tuple, seeds: int | None, criterion: str, told: str, data: str) -> Row:
    words, printed = WORDS["claims"][claim], {"minor": paper.MINOR_PERCENT, "most": paper.SEMI_SUPERVISED_PERCENT}
    numbers = dict(zip(("value", "low", "high"), map(float, interval), strict=True))
    said = {"claim": words["text"].format(**printed), "place": words["where"], "statistic": statistic}
    return said | numbers | {"seeds": seeds, "criterion": criterion, "verdict": told, "data": data}


def mean_number(values: list[np.ndarray], block: np.ndarray, over: list[np.ndarray] | None = None) -> Number:
    """The mean of values (N,) of each seed's model, or its ratio to that of `over` (N,) of each.

    They are of frames or walks of which those of one `block` (N,) are drawn together.
    """
    made = []
    for place, of_seed in enumerate(values):
        pair = np.stack([of_seed, over[place] if over else np.ones_like(of_seed)], axis=1)
        sums = bootstrap.block_sums(pair.astype(np.float64), block)
        made.append(lambda counts, sums=sums: np.divide(*(counts @ sums).T))
    return seeds_number(made, block)


def seeds_number(made: list[bootstrap.Statistic], block: np.ndarray) -> Number:
    """A statistic of one model, given for each of its seeds."""
    values, draws = bootstrap.measured(made, block), bootstrap.resampled(made, block, SEED)
    return uncertainty.number(uncertainty.itself, [values], [draws], bootstrap.count(block))
