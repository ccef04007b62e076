"""The uncertainty of a number of trained models: from other test frames, and from other training seeds.

With one seed for each model the interval is of the frames alone: percentiles of the bootstrap, widened for few blocks.
With several the number is that of the seeds' means. Its variance is a sum: that of the bootstrap over blocks of frames,
the seeds held fixed, and for each model the variance over its n seeds, divided by n, the frames held fixed. What frames
and seeds do together is in both, so that the sum is rather too large than too small. The interval is Student's t with
the degrees of freedom of Welch and Satterthwaite, in which the frames count as their blocks less one and a model as its
seeds less one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special  # scipy.stats, which gives the same numbers, takes three times as long to import

OPEN = "cannot be told"
LEVEL = 0.05
LEAST_SEEDS = 3  # of each model, below which nothing is said about trained models: two agree too easily
MOST_SEEDS = 10_000  # beyond which nobody trains


@dataclass(frozen=True)
class Number:
    """A number of one or more trained models, and its spread."""

    value: float
    draws: np.ndarray  # (R,) over resamples of the test frames
    blocks: int  # of test frames, from which the resamples are drawn
    deviations: tuple[float, ...]  # for each model the number's standard deviation over its seeds; NaN for one seed
    counts: tuple[int, ...]  # the seeds of each model

    @property
    def seeds(self) -> int:
        """The seeds of the model with the fewest."""
        return min(self.counts)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The ends of the interval at 1 - `level`; NaN where the frames are a single block."""
        if self.blocks < 2:
            return np.nan, np.nan
        if self.seeds < 2:
            return expanded_percentiles(self.draws, self.blocks, level)
        half = self._half_interval(self.counts, level)
        return float(self.value - half), float(self.value + half)

    def p_value(self) -> float:
        """Two-sided, that the number is 0; NaN without several seeds of each model and several blocks."""
        if self.seeds < 2 or self.blocks < 2:
            return np.nan
        variance, freedom = self._spread(self.counts)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.value) / np.sqrt(variance)
        return 1.0 if self.value == 0 else float(2 * special.stdtr(freedom, -t))

    def seeds_needed(self, distance: float, level: float = LEVEL) -> int | None:
        """How many seeds of each model give an interval that reaches less than `distance` to each side, were the
        spreads as measured; None where no number does, since the frames' part alone reaches as far."""
        more = np.arange(self.seeds + 1, MOST_SEEDS + 1)
        enough = np.flatnonzero(self._half_interval([more] * len(self.counts), level) < distance)
        return int(more[enough[0]]) if len(enough) else None

    def _half_interval(self, counts: Sequence, level: float) -> np.ndarray:
        variance, freedom = self._spread(counts)
        return special.stdtrit(freedom, 1 - level / 2) * np.sqrt(variance)

    def _spread(self, counts: Sequence) -> tuple[np.ndarray, np.ndarray]:
        """The variance and its degrees of freedom, had each model so many seeds (numbers or arrays)."""
        # a resample of B blocks has the variance (B - 1) / B times that of another draw of frames
        frames = self.draws.var() * self.blocks / (self.blocks - 1)
        models = zip(self.deviations, counts, strict=True)
        parts = [(frames, self.blocks - 1), *((deviation**2 / count, count - 1) for deviation, count in models)]
        variance = sum(part for part, _ in parts)
        below = sum(part**2 / freedom for part, freedom in parts)
        with np.errstate(divide="ignore", invalid="ignore"):
            return variance, np.where(below > 0, variance**2 / below, np.inf)


def untold(number: Number, distance: float, level: float = LEVEL) -> str:
    """The verdict on a number that is too uncertain to say anything, and why.

    `distance`: from the number to the nearest value at which something could be said.
    """
    seeds = f"{number.seeds} seed{'s' * (number.seeds > 1)}"
    if number.seeds < LEAST_SEEDS:
        return f"{OPEN} ({seeds}; at least {LEAST_SEEDS} are needed)"
    if not np.isfinite(number.value):
        return OPEN
    needed = number.seeds_needed(distance, level) if number.blocks > 1 else None
    if needed is None:
        return f"{OPEN} ({seeds}; more test frames would be needed)"
    return f"{OPEN} ({seeds}; about {needed:,} would be needed)"


def number(
    of: Callable[..., np.ndarray], values: Sequence[np.ndarray], draws: Sequence[np.ndarray], blocks: int
) -> Number:
    """The Number that `of` makes of one value for each model.

    `values`: for each model those of its seeds (S,); `draws`: the same over resamples of the frames (S, R), the same
    resamples for all. `of` takes numbers or arrays. The spread over one model's seeds is that of the number with the
    other models at their means: exact where `of` is a difference, else to first order.
    """
    means = [np.mean(of_model) for of_model in values]
    deviations = []
    for index, of_model in enumerate(values):
        each = of(*(of_model if index == other else np.full(len(of_model), mean) for other, mean in enumerate(means)))
        deviations.append(float(np.std(each, ddof=1)) if len(of_model) > 1 else np.nan)
    over_frames = of(*(np.mean(of_model, axis=0) for of_model in draws))
    return Number(float(of(*means)), over_frames, blocks, tuple(deviations), tuple(map(len, values)))


def itself(value: np.ndarray) -> np.ndarray:
    return value


def expanded_percentiles(draws: np.ndarray, blocks: int, level: float = LEVEL) -> tuple[float, float]:
    """The ends of a bootstrap interval from its resamples (R,) of B blocks.

    The plain percentiles of few blocks are too near each other: a resample spreads by (B - 1) / B too little and knows
    no t distribution. They are taken as far out as makes up for both (Hesterberg 2015, "expanded percentile").
    """
    far = special.stdtrit(blocks - 1, level / 2) * np.sqrt(blocks / (blocks - 1))
    tail = 100 * special.ndtr(far)
    low, high = np.percentile(draws, (tail, 100 - tail))
    return float(low), float(high)
