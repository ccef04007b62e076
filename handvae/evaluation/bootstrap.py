"""The bootstrap over test frames: blocks of frames are drawn, and a statistic is taken of many draws at once.

Both views of a moment show one pose, and the frames of a video resemble their neighbours. Their errors are alike: drawn
one by one they would count as more evidence than they are. So blocks are drawn: all rows of a moment, and in a video
all moments of a run of frames. A frame keeps all its joints and their visibility.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

RESAMPLES = 1000
CHUNK = 50  # resamples held at once: memory grows with the frames only

# how often each of R resamples holds each of B blocks (R, B) -> the statistic of each resample (R,)
Statistic = Callable[[np.ndarray], np.ndarray]


def count(block: np.ndarray) -> int:
    return len(np.unique(block))


def mean(values: np.ndarray, visible: np.ndarray, block: np.ndarray) -> Statistic:
    """`metrics.mean_over_joints` of values (N, J), visible (N, J), whose blocks are `block` (N,).

    A joint that is visible nowhere in a resample is left out of that resample's mean over joints.
    """
    sums, frames = block_sums(np.where(visible, values, 0), block), block_sums(visible.astype(np.float64), block)

    def of_draws(counts: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.nanmean((counts @ sums) / (counts @ frames), axis=1)

    return of_draws


def median(values: np.ndarray, visible: np.ndarray, block: np.ndarray) -> Statistic:
    """`metrics.median_over_joints` in the same way, with the same rule for a joint that is visible nowhere."""
    ranked = []
    for joint in range(values.shape[1]):
        rows = np.flatnonzero(visible[:, joint])
        order = rows[np.argsort(values[rows, joint], kind="stable")]
        ranked.append((block[order], values[order, joint]))

    def of_draws(counts: np.ndarray) -> np.ndarray:
        medians, counts = np.full((len(counts), len(ranked)), np.nan), counts.astype(np.int32)
        for joint, (block_of, value) in enumerate(ranked):
            cumulative = counts[:, block_of].cumsum(axis=1, dtype=np.int32)  # (R, n): copies of the rows up to here
            total = cumulative[:, -1:]
            # an even number of copies has two middle ones, whose mean is the median
            lower, upper = ((cumulative > middle).argmax(axis=1) for middle in ((total - 1) // 2, total // 2))
            drawn = total[:, 0] > 0
            medians[drawn, joint] = (value[lower[drawn]] + value[upper[drawn]]) / 2
        return np.nanmean(medians, axis=1)

    return of_draws


def block_sums(values: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Sums (B, J) of the rows of values (N, J) in each block, as float64."""
    sums = np.zeros((block.max() + 1, values.shape[1]))
    np.add.at(sums, block, values)
    return sums


def measured(statistics: Sequence[Statistic], block: np.ndarray) -> np.ndarray:
    """Each statistic of the frames as they are (M,)."""
    once = np.ones((1, count(block)), int)
    return np.array([statistic(once)[0] for statistic in statistics])


def resampled(statistics: Sequence[Statistic], block: np.ndarray, seed: int, resamples: int = RESAMPLES) -> np.ndarray:
    """Each statistic (M, R) of the same resamples of whole blocks."""
    chunks = _resampled_counts(count(block), seed, resamples)
    return np.concatenate([[statistic(counts) for statistic in statistics] for counts in chunks], axis=1)


def _resampled_counts(blocks: int, seed: int, resamples: int) -> Iterator[np.ndarray]:
    """Chunks (<= CHUNK, B) of how often each of `resamples` draws of B from B blocks holds each block."""
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, CHUNK):
        rows = min(CHUNK, resamples - start)
        drawn = generator.integers(0, blocks, size=(rows, blocks)) + blocks * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * blocks).reshape(rows, blocks)
