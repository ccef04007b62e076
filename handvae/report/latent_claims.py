"""The paper's claims on its latent space: cross-training mixes the modalities; what walks and samples are like.

How well a space mixes M modalities is measured on the encodings (M, N, D) of the same N samples by each.
"""

from collections.abc import Iterator

import numpy as np
from scipy.spatial.distance import cdist

from handvae.base.errors import InputError
from handvae.evaluation import bootstrap
from handvae.report.claims import Row, above, absent, below, mean_number, row, seeds_number
from handvae.report.comparison import SEED
from handvae.report.predictions import Frames, read_arrays, read_encodings, read_frames
from handvae.report.results import Result, best, of_variant

NEIGHBOURS = 10
PERMUTATIONS = 200
LITTLE = below(10, "%")  # the paper gives no numbers
NEARER = below(50, "%")  # to the one than to the other
LESS = below(0, "percentage points")
SMOOTH = below(2, "times the mean step")
APART = "10-NN purity, 0 as if modalities were shuffled, 100 if each lies apart"


def mixing_rows(results: list[Result]) -> Iterator[Row]:
    """Purity of the nearest neighbours, cross-trained and trained separately, and where a sample's own 3D pose lies."""
    cross, separate = of_variant(results, "cross"), of_variant(results, "separate")
    if cross is None:
        yield from (absent(claim, "an experiment of variant cross") for claim in ("mixes", "close"))
    else:
        mus, log_vars, block = _encodings(cross)
        noise = np.random.default_rng(SEED).standard_normal(mus[0].shape)
        means = mean_number([_apart(mu) for mu in mus], block)
        drawn = (mu + np.exp(log_var / 2) * noise for mu, log_var in zip(mus, log_vars, strict=True))
        samples = mean_number([_apart(encodings) for encodings in drawn], block)
        yield row("mixes", f"posterior means: {APART}", means, NEARER, cross.data)
        yield row("mixes", f"posterior means: {APART}", means, LITTLE, cross.data)
        yield row("mixes", f"a sample of each posterior: {APART}", samples, NEARER, cross.data)
        for modality, name in enumerate(("RGB", "2D")):
            nearer = mean_number([100 * nearer_than_own(mu[modality], mu[2]) for mu in mus], block)
            statistic = f"{name}: share of other samples' 3D joints that lie nearer than its own; 50 by chance"
            yield row("close", statistic, nearer, LITTLE, cross.data)
    if separate is None:
        yield absent("separates", "an experiment of variant separate")
    else:
        mus, _, block = _encodings(separate)
        apart = mean_number([_apart(mu) for mu in mus], block)
        yield row("separates", f"posterior means: {APART}", apart, above(50, "%"), separate.data)


def walk_rows(results: list[Result]) -> Iterator[Row]:
    """Of random walks between two test images: steps, agreement of 2D and 3D, lengths of bones."""
    cross = of_variant(results, "cross")
    if cross is None:
        claims = ("smooth_walk", "consistent", "plausible")
        yield from (absent(claim, "an experiment of variant cross") for claim in claims)
        return
    names = [f"latent/random_walk_{name}" for name in ("joints_mm", "uv_px", "projected_px")]
    of_seeds = [read_arrays(cross, *names, seed=seed) for seed in range(cross.seeds)]
    count = min(len(joints_mm) for joints_mm, _, _ in of_seeds)  # of each seed; no hand is in two of its walks
    joints_mm, uv_px, projected_px = zip(*([array[:count] for array in arrays] for arrays in of_seeds), strict=True)
    block, bones = np.arange(count), cross.skeleton.bones
    data = f"{cross.data}; {count} walks of {joints_mm[0].shape[1]} steps between random pairs"
    uneven = mean_number([unevenness(walks_mm) for walks_mm in joints_mm], block)
    yield row("smooth_walk", "decoded 3D: largest step; 1 on a straight line of poses", uneven, SMOOTH, data)
    # of each walk the joints' mean distance in the two pictures, and the longer side of their bounding box
    off_px = [np.linalg.norm(a - b, axis=3).mean(axis=(1, 2)) for a, b in zip(uv_px, projected_px, strict=True)]
    size_px = [np.ptp(walks_px, axis=2).max(axis=2).mean(axis=1) for walks_px in uv_px]
    statistic = "decoded 2D against decoded 3D projected into the crop: mean distance of joints, of the hand's size"
    in_px = f"{data}; {np.mean(off_px):.2f} px of {np.mean(size_px):.1f} px"
    percent = mean_number([100 * distances_px for distances_px in off_px], block, over=size_px)
    yield row("consistent", statistic, percent, LITTLE, in_px)
    walked = [100 * bone_deviations(walks_mm, bones) for walks_mm in joints_mm]
    straight = [100 * bone_deviations(straightened(walks_mm), bones) for walks_mm in joints_mm]
    statistic = "mean deviation of bone lengths from lengths linear between the decoded ends"
    yield row("plausible", statistic, mean_number(walked, block), LITTLE, data)
    statistic += ", minus the same for a straight line of poses"
    less = [ours - theirs for ours, theirs in zip(walked, straight, strict=True)]
    yield row("plausible", statistic, mean_number(less, block), LESS, data)


def samples_rows(results: list[Result]) -> Iterator[Row]:
    """Spread of the posterior's samples against the model's error and against the error of the mean pose."""
    models = [model for dataset in ("rhd", "stb") if (model := best(results, (dataset, "rgb")))]
    for model in models:
        frames = read_frames([model])
        seeds = range(model.seeds)
        spread_mm = [read_arrays(model, "latent/posterior_spread_mm", seed=seed)[0] for seed in seeds]
        statistic = f"RGB->3D {model.dataset.upper()}, {model.experiment}: mean distance of samples to their mean"
        mean_pose_mm = model.seeds * [frames.mean_pose_errors_mm]
        for name, errors_mm, criterion in (
            ("the model's mean EPE", frames.errors_mm, NEARER),
            ("the mean pose's mean EPE", mean_pose_mm, LITTLE),
        ):
            shares = [_percent(*of_seed, frames) for of_seed in zip(spread_mm, errors_mm, strict=True)]
            percent = seeds_number(shares, frames.block)
            yield row("confident", f"{statistic}, over {name}", percent, criterion, model.data)
    if not models:
        yield absent("confident", "an experiment of RGB->3D with T+S+H")


def _percent(part_mm: np.ndarray, whole_mm: np.ndarray, frames: Frames) -> bootstrap.Statistic:
    """The mean over joints of `part_mm` (N, J) in percent of that of `whole_mm` (N, J)."""
    part, whole = (bootstrap.mean(values_mm, frames.counted, frames.block) for values_mm in (part_mm, whole_mm))
    return lambda counts: 100 * (part(counts) / whole(counts))


def unevenness(joints_mm: np.ndarray) -> np.ndarray:
    """Largest step over mean step (P,) of walks (P, T, J, 3); a step is the mean distance that the joints move."""
    steps_mm = np.linalg.norm(np.diff(joints_mm, axis=1), axis=3).mean(axis=2)
    with np.errstate(invalid="ignore"):  # a walk that never moves is neither smooth nor rough
        return steps_mm.max(axis=1) / steps_mm.mean(axis=1)


def straightened(joints_mm: np.ndarray) -> np.ndarray:
    """The straight line of poses between the ends of each walk (P, T, J, 3)."""
    return np.moveaxis(np.linspace(joints_mm[:, 0], joints_mm[:, -1], joints_mm.shape[1]), 0, 1)


def bone_deviations(joints_mm: np.ndarray, bones: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Mean relative deviation (P,) of bone lengths within walks (P, T, J, 3) from lengths linear between their ends."""
    parents, children = np.array(bones).T
    lengths_mm = np.linalg.norm(joints_mm[:, :, children] - joints_mm[:, :, parents], axis=3)  # (P, T, B)
    return np.abs(lengths_mm / straightened(lengths_mm) - 1)[:, 1:-1].mean(axis=(1, 2))


def _encodings(result: Result) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Posterior means and log-variances (M, N, D) of each seed, and the blocks (N,), numbered without gaps."""
    rows, mus, log_vars = zip(*(read_encodings(result, seed=seed) for seed in range(result.seeds)), strict=True)
    (block,) = read_arrays(result, "block")
    return list(mus), list(log_vars), np.unique(block[rows[0]], return_inverse=True)[1]


def mean_purity(result: Result) -> float:
    """The number of APART, of the posterior means, over samples and seeds."""
    mus, _, _ = _encodings(result)
    return float(np.mean([_apart(mu) for mu in mus]))


def _apart(encodings: np.ndarray) -> np.ndarray:
    """The number of APART (N,) of each sample; encodings (M, N, D)."""
    return apart_percent(purities(encodings), purity_of_shuffled(encodings, SEED)[0]).mean(axis=0)


def nearest(points: np.ndarray, count: int = NEIGHBOURS) -> np.ndarray:
    """Indices (P, count) of each point's nearest others, nearest first; points (P, D), of equally near ones the first.

    InputError where there are too few points for so many neighbours.
    """
    if len(points) <= count:
        raise InputError(f"latent space: expected more than {count} points for {count} neighbours, found {len(points)}")
    distances = cdist(points, points)
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1, kind="stable")[:, :count]


def purities(encodings: np.ndarray, count: int = NEIGHBOURS) -> np.ndarray:
    """Share (M, N), 0 to 1, of each encoding's `count` nearest others that are of its modality; 1: all lie apart."""
    labels = np.repeat(np.arange(len(encodings)), encodings.shape[1])
    neighbours = nearest(encodings.reshape(len(labels), -1), count)
    return (labels[neighbours] == labels[:, None]).mean(axis=1).reshape(encodings.shape[:2])


def purity_of_shuffled(encodings: np.ndarray, seed: int) -> tuple[float, float, float]:
    """Mean purity and its 95 % range (low, high) if it did not matter which of a sample's encodings is which.

    The labels of each sample's M encodings are shuffled PERMUTATIONS times. The mean is about 1/M. It is less where a
    sample's encodings lie near each other: none of them is then among neighbours of its own modality.
    """
    modalities, samples, _ = encodings.shape
    neighbours = nearest(encodings.reshape(modalities * samples, -1))
    random, purity = np.random.default_rng(seed), []
    for _ in range(PERMUTATIONS):
        labels = random.permuted(np.repeat(np.arange(modalities)[:, None], samples, axis=1), axis=0).ravel()
        purity.append((labels[neighbours] == labels[:, None]).mean())
    low, high = np.percentile(purity, (2.5, 97.5))
    return float(np.mean(purity)), float(low), float(high)


def apart_percent(purity: np.ndarray, shuffled: float) -> np.ndarray:
    """A purity on the scale from shuffled modalities (0) to modalities that lie apart (100)."""
    return 100 * (purity - shuffled) / (1 - shuffled)


def nearer_than_own(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Share (N,), 0 to 1, of the others' encodings in the gallery that lie nearer to a query than its own.

    Queries and gallery (N, D), the same N samples by two modalities. 0: its own is the nearest; 0.5 on average where
    the two have nothing in common. Equally near ones count half, so that a constant encoder does not look perfect.
    """
    distances = cdist(queries, gallery)
    own = distances.diagonal()[:, None]
    equal_others = (distances == own).sum(axis=1) - 1
    return ((distances < own).sum(axis=1) + equal_others / 2) / (len(gallery) - 1)
