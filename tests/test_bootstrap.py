"""What is drawn together, on rows as the readers name them, and statistics of draws against the protocol's."""

import numpy as np
import pytest

from handvae.evaluation import bootstrap, metrics, uncertainty
from handvae.preprocessing.moments import blocks


def simulated(frames, seed, joints=21, shown=0.7):
    generator = np.random.default_rng(seed)
    hand = generator.gamma(6, 1, size=(frames, 1))  # errors of one hand go together
    return generator.gamma(4, 1, size=(frames, joints)) * hand, generator.random((frames, joints)) < shown


def strings(*words):
    return np.array(words, dtype=object)


def video(frames, block_frames, views=("left", "right"), name="B1Counting"):
    """The blocks of a stereo video, a row a view of a frame, as STB's reader names them."""
    rows = [(f"{name}/{number:04d}", f"{name} {view}", number) for number in range(frames) for view in views]
    moment, sequence, number = zip(*rows, strict=True)
    return blocks(strings(*moment), strings(*sequence), np.array(number), block_frames)


def test_both_views_of_a_run_of_frames_are_one_block():
    assert video(6, 2).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    assert video(6, 100).tolist() == 12 * [0]
    assert video(4, 1).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_view_that_is_missing_ties_nothing_together_and_tears_nothing_apart():
    moment = strings("m1", "m0", "m2", "m2", "m3", "m3")  # m0 and m1 by one view each
    sequence = strings("left", "right", "left", "right", "left", "right")
    assert blocks(moment, sequence, np.array([1, 0, 2, 2, 3, 3]), 2).tolist() == [0, 0, 1, 1, 1, 1]


def test_runs_are_of_frames_in_their_order_and_of_equal_length():
    frame = np.array([30, 10, 20, 0, 50, 40, 60])  # any numbers: one sequence after the other need not start at 0
    block = blocks(strings(*"abcdefg"), strings(*7 * ["x"]), frame, 3)
    assert block[np.argsort(frame)].tolist() == [0, 0, 0, 0, 1, 1, 1]  # two runs, no rest of one frame
    sizes = np.bincount(video(702, 100, views=("only",)))
    assert len(sizes) == 7 and set(sizes) == {100, 101}


@pytest.mark.parametrize(
    ("moment", "sequence", "frame", "expected"),
    [
        # sequences are apart, and rows without one are a block a moment
        ("a/0 b/0 t/1 t/1 t/2", ["a", "b", "", "", ""], [0, 0, 0, 0, 0], [0, 1, 2, 2, 3]),
        # turned copies lie in the block of their upright picture
        ("s/0 s/1 s/0 s/1", ["s", "s", "45/s", "45/s"], [0, 1, 0, 1], [0, 1, 0, 1]),
    ],
)
def test_moments_and_sequences_decide_what_is_drawn_together(moment, sequence, frame, expected):
    assert blocks(strings(*moment.split()), strings(*sequence), np.array(frame), 1).tolist() == expected


def autocorrelated(videos, frames, rho, generator):
    """Errors (videos * frames,) whose neighbours in a video go together: an AR(1) process of mean 0."""
    noise = generator.normal(size=(videos, frames))
    values = np.empty_like(noise)
    values[:, 0] = noise[:, 0]
    for number in range(1, frames):
        values[:, number] = rho * values[:, number - 1] + np.sqrt(1 - rho**2) * noise[:, number]
    return values.ravel()


@pytest.mark.parametrize(("block_frames", "low", "high"), [(1, 0.3, 0.65), (50, 0.9, 0.98)])
def test_along_a_video_blocks_cover_the_true_mean_and_frames_do_not(block_frames, low, high):
    """A correlation of 0.9 from frame to frame, 0.35 after ten."""
    generator, covered = np.random.default_rng(0), 0
    moment = strings(*(f"{video}/{frame}" for video in range(2) for frame in range(600)))
    sequence = strings(*("a", "b")).repeat(600)
    block = blocks(moment, sequence, np.tile(np.arange(600), 2), block_frames)
    for seed in range(300):
        values = autocorrelated(2, 600, 0.9, generator)[:, None]
        mean = bootstrap.mean(values, np.ones((1200, 1), bool), block)
        draws = bootstrap.resampled([mean], block, seed, resamples=400)[0]
        low_end, high_end = uncertainty.expanded_percentiles(draws, bootstrap.count(block))
        covered += low_end <= 0 <= high_end
    assert low < covered / 300 < high


def test_resampled_numbers_are_those_of_the_resampled_blocks():
    errors_mm, visible = simulated(25, 0)
    block = np.sort(np.arange(25) % 9)
    counts = np.random.default_rng(1).multinomial(9, [1 / 9] * 9, size=7)
    for kind in ("mean", "median"):
        protocol = getattr(metrics, f"{kind}_over_joints")
        repeats = [row[block] for row in counts]
        by_hand = [protocol(errors_mm.repeat(row, axis=0), visible.repeat(row, axis=0)) for row in repeats]
        statistic = getattr(bootstrap, kind)(errors_mm, visible, block)
        np.testing.assert_allclose(statistic(counts), by_hand, rtol=1e-12)
        assert bootstrap.measured([statistic], block)[0] == pytest.approx(protocol(errors_mm, visible))


def test_a_joint_missing_from_a_resample_is_left_out_of_that_resample():
    errors_mm = np.array([[1.0, 5], [3, np.nan]])  # what cannot be seen may be anything
    visible = np.array([[True, True], [True, False]])
    counts = np.array([[0, 2], [1, 1]])
    for kind in (bootstrap.mean, bootstrap.median):
        np.testing.assert_allclose(kind(errors_mm, visible, np.arange(2))(counts), [3, (2 + 5) / 2])


def test_the_same_seed_gives_the_same_draws_and_all_statistics_share_them():
    errors_mm, visible = simulated(60, 0)
    statistics = [bootstrap.mean(mm, visible, np.arange(60)) for mm in (errors_mm, errors_mm + 1)]
    first, again, other = (bootstrap.resampled(statistics, np.arange(60), seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other) and np.ptp(first[1] - first[0]) < 1e-9
