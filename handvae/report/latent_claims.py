"""The paper's claims on its latent space: cross-training mixes the modalities; what walks and samples are like."""

from collections.abc import Iterator

import numpy as np

from handvae.evaluation import bootstrap
from handvae.report import mixing
from handvae.report.predictions import Frames, read_arrays, read_encodings, read_frames
from handvae.report.results import Result, best, of_variant
from handvae.report.verdicts import SEED, Row, above, absent, below, mean_number, row, seeds_number

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
            nearer = mean_number([100 * mixing.nearer_than_own(mu[modality], mu[2]) for mu in mus], block)
            what = f"{name}: share of other samples' 3D joints that lie nearer than its own; 50 by chance"
            yield row("close", what, nearer, LITTLE, cross.data)
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
        yield from (
            absent(claim, "an experiment of variant cross") for claim in ("smooth_walk", "consistent", "plausible")
        )
        return
    names = [f"latent/random_walk_{name}" for name in ("joints_mm", "uv_px", "projected_px")]
    of_seeds = [read_arrays(cross, *names, seed=seed) for seed in range(cross.seeds)]
    count = min(len(joints_mm) for joints_mm, _, _ in of_seeds)  # of every seed so many; no hand is in two of them
    joints_mm, uv_px, projected_px = zip(*([array[:count] for array in arrays] for arrays in of_seeds), strict=True)
    each, bones = np.arange(count), cross.skeleton.bones
    data = f"{cross.data}; {count} walks of {joints_mm[0].shape[1]} steps between random pairs"
    uneven = mean_number([unevenness(walks_mm) for walks_mm in joints_mm], each)
    yield row("smooth_walk", "decoded 3D: largest step; 1 on a straight line of poses", uneven, SMOOTH, data)
    off_px = [disagreement_px(*pair) for pair in zip(uv_px, projected_px, strict=True)]
    size_px = [sizes_px(walks_px) for walks_px in uv_px]
    what = "decoded 2D against decoded 3D projected into the crop: mean distance of joints, of the hand's size"
    in_px = f"{data}; {np.mean(off_px):.2f} px of {np.mean(size_px):.1f} px"
    percent = mean_number([100 * distances_px for distances_px in off_px], each, over=size_px)
    yield row("consistent", what, percent, LITTLE, in_px)
    walked = [100 * bone_deviations(walks_mm, bones) for walks_mm in joints_mm]
    straight = [100 * bone_deviations(straightened(walks_mm), bones) for walks_mm in joints_mm]
    what = "mean deviation of bone lengths from lengths linear between the decoded ends"
    yield row("plausible", what, mean_number(walked, each), LITTLE, data)
    what += ", minus that of a straight line of poses"
    less = [ours - theirs for ours, theirs in zip(walked, straight, strict=True)]
    yield row("plausible", what, mean_number(less, each), LESS, data)


def samples_rows(results: list[Result]) -> Iterator[Row]:
    """Spread of the posterior's samples against the model's error and against the error of the mean pose."""
    models = [model for dataset in ("rhd", "stb") if (model := best(results, (dataset, "rgb")))]
    for model in models:
        frames = read_frames([model])
        seeds = range(model.seeds)
        spread_mm = [read_arrays(model, "latent/posterior_spread_mm", seed=seed)[0] for seed in seeds]
        what = f"RGB->3D {model.dataset.upper()}, {model.experiment}: mean distance of samples to their mean"
        references_mm = {"the model's mean EPE": frames.errors_mm}
        references_mm["that of the mean pose"] = model.seeds * [frames.mean_pose_errors_mm]
        for (name, errors_mm), criterion in zip(references_mm.items(), (NEARER, LITTLE), strict=True):
            made = [_percent(*of_seed, frames) for of_seed in zip(spread_mm, errors_mm, strict=True)]
            percent = seeds_number(made, frames.block)
            yield row("confident", f"{what}, over {name}", percent, criterion, model.data)
    if not models:
        yield absent("confident", "an experiment of RGB->3D with T+S+H")


def unevenness(joints_mm: np.ndarray) -> np.ndarray:
    """Largest step of each walk over its mean step (P,); walks (P, T, J, 3), a step is its joints' mean way."""
    steps_mm = np.linalg.norm(np.diff(joints_mm, axis=1), axis=3).mean(axis=2)
    with np.errstate(invalid="ignore"):  # a walk that never moves is neither smooth nor rough
        return steps_mm.max(axis=1) / steps_mm.mean(axis=1)


def straightened(joints_mm: np.ndarray) -> np.ndarray:
    """The straight line of poses between the ends of each walk (P, T, J, 3)."""
    return np.moveaxis(np.linspace(joints_mm[:, 0], joints_mm[:, -1], joints_mm.shape[1]), 0, 1)


def disagreement_px(uv_px: np.ndarray, projected_px: np.ndarray) -> np.ndarray:
    """Mean distance (P,) of the joints in two pictures of each walk (P, T, J, 2)."""
    return np.linalg.norm(uv_px - projected_px, axis=3).mean(axis=(1, 2))


def sizes_px(uv_px: np.ndarray) -> np.ndarray:
    """The hand's size in each walk (P, T, J, 2), (P,): the longer side of the joints' bounding box, mean over steps."""
    return np.ptp(uv_px, axis=2).max(axis=2).mean(axis=1)


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


def _apart(encodings: np.ndarray) -> np.ndarray:
    """The number of APART (N,) of each sample; encodings (M, N, D)."""
    return mixing.apart_percent(mixing.purities(encodings), mixing.purity_of_shuffled(encodings, SEED)[0]).mean(axis=0)


def _percent(a_mm: np.ndarray, b_mm: np.ndarray, frames: Frames) -> bootstrap.Statistic:
    """The mean over joints of a (N, J) in percent of that of b (N, J)."""
    a, b = (bootstrap.mean(values_mm, frames.counted, frames.block) for values_mm in (a_mm, b_mm))
    return lambda counts: 100 * (a(counts) / b(counts))
