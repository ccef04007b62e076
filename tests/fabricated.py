"""What the tests of the report stand on: results, predictions files and preprocessed sets with hands of no model."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from handvae.base.joints import SKELETON_OF, SKELETONS
from handvae.preprocessing import store
from handvae.report.hands import PredictedHand
from handvae.report.results import Result

DEPTH = ("icvl", "nyu", "msra")
CENTRE_MM = np.array([30.0, -20, 700])
FRAMES, CROP_PX, CONTEXT_PX = 21, 32, 48
MODALITIES = ("rgb", "joints_2d", "joints_3d")
SAMPLED, WALKED, STEPS = np.array([2, 5, 9]), np.array([[0, 4], [7, 3]]), 9  # rows whose samples and walks are kept


def numbers(epe_mean_mm):
    """The metrics of a model, with intervals of 0.5 mm to either side."""
    values = {"epe_mean_mm": epe_mean_mm, "epe_median_mm": epe_mean_mm - 3}
    values |= {"epe_mean_all_joints_mm": epe_mean_mm + 2, "epe_median_all_joints_mm": epe_mean_mm - 2}
    ends = {f"{name}{end}": mm + far for name, mm in values.items() for end, far in (("_low", -0.5), ("_high", 0.5))}
    areas = {"auc_20_50": 0.5, "auc_21_50": 0.5, "auc_0_50": 0.3}
    return values | ends | areas | {"mean_pose_epe_mm": 41.25, "frames": 2728, "blocks": 2728}


def seeds(count=3):
    """What the metrics of a row of several models say besides."""
    deviations = {"epe_mean_mm": 1.246, "epe_median_mm": 0.746}
    deviations |= {"epe_mean_all_joints_mm": 1.5, "epe_median_all_joints_mm": 0.5}
    return {"seeds": count} | {f"{name}_sd": value for name, value in deviations.items()}


def result(experiment, input="rgb", variant=1, epe_mean_mm=25.0, **changes):
    plain = Result(
        *(experiment, "rhd", input, variant, "T+S+H", "resnet18", "", 1.0),
        *("small", "synthetic hands, 2,000 training images"),
        *(True, False, numbers(epe_mean_mm), Path("none.h5")),
    )
    return replace(plain, **changes)


def published(experiment, **changes):
    return result(experiment, **({"source": "RHD", "synthetic": False, "published": True} | changes))


def seeded(*words):
    return np.random.default_rng(list("".join(map(str, words)).encode()))


def hands_mm(dataset, group="test"):
    """FRAMES hands (N, J, 3) spread like fans: about the palm, or from depth about CENTRE_MM."""
    skeleton, random = SKELETONS[SKELETON_OF[dataset]], seeded(dataset, group)
    flat_mm = np.zeros((len(skeleton), 3))
    for joint in range(len(skeleton)):
        finger, along = divmod(max(joint - 1, 0), 4)
        angle = np.deg2rad(-60 + 27 * finger)
        flat_mm[joint] = (40 + 22 * along) * np.array([np.sin(angle), -np.cos(angle), 0.1]) * (joint > 0)
    turns = np.linalg.qr(np.eye(3) + 0.4 * random.normal(size=(FRAMES, 3, 3)))[0]
    turns *= np.sign(np.einsum("nii->ni", turns))[:, None, :]
    return flat_mm @ turns.transpose(0, 2, 1) + CENTRE_MM * (dataset in DEPTH)


def names(group="test"):
    return [f"{group}/{frame:05d}" for frame in range(FRAMES)]


def row(dataset, group, frame):
    joints_mm, random = hands_mm(dataset, group)[frame], seeded(dataset, group, frame)
    uv_px = (joints_mm[:, :2] - joints_mm[0, :2]) * 0.15 + CONTEXT_PX / 2
    common = {"joints_mm": joints_mm, "uv_px": uv_px, "camera": np.eye(3), "side": 0, "name": names(group)[frame]}
    common |= {"subject": "", "sequence": "", "frame": 0, "moment": names(group)[frame], "trainable": True}
    if dataset in DEPTH:
        depth = random.uniform(-1, 1, (CONTEXT_PX, CONTEXT_PX))
        return dict(depth_f16=depth, centre_mm=CENTRE_MM, cube_mm=250, **common)
    image = random.integers(0, 255, (CONTEXT_PX, CONTEXT_PX, 3), dtype=np.uint8)
    return dict(image_u8=image, visible=np.ones(len(joints_mm), bool), scale_bone_mm=44, **common)


def write_processed(folder, *datasets, source="synthetic"):
    for dataset in datasets:
        groups = ("P0", "P1") if dataset == "msra" else ("test",)
        rows = {group: [row(dataset, group, frame) for frame in range(FRAMES)] for group in groups}
        store.write(folder / f"{dataset}.h5", rows, {"source": source, "crop_px": CROP_PX, "context_px": CONTEXT_PX})
    return folder


def write_predictions(path, seeds_mm, true_mm, attributes=None, latent=({},), **columns):
    """A predictions file: joints (N, J, 3) of each seed, and its latent columns; other columns where they matter."""
    frames = len(true_mm)
    written = {"joints_true_mm": true_mm, "mean_pose_mm": np.broadcast_to(true_mm.mean(axis=0), true_mm.shape)}
    written |= {"visible": np.ones(true_mm.shape[:2], bool), "row": np.arange(frames), "block": np.arange(frames)}
    written |= {"name": [f"frame {number}" for number in range(frames)], **columns}
    written["name"] = np.array(written["name"], dtype=h5py.string_dtype())
    with h5py.File(path, "w") as file:
        for key, values in written.items():
            file[key] = values
        for number, pred_mm in enumerate(seeds_mm):
            group = f"seed-{number}/" if number else ""
            file[f"{group}joints_pred_mm"] = pred_mm
            for key, values in latent[min(number, len(latent) - 1)].items():
                file[f"{group}latent/{key}"] = values
        file.attrs.update(attributes or {})
    return path


def write_errors(path, errors_mm, visible=None, **columns):
    """Predictions off by `errors_mm` (N, J) along z, or of several seeds by those of each; hidden joints by a mile."""
    seeds_mm = errors_mm if isinstance(errors_mm, list) else [errors_mm]
    visible = np.ones(seeds_mm[0].shape, bool) if visible is None else visible
    true_mm = np.random.default_rng(9).normal(size=(*visible.shape, 3)) * 40
    seeds_mm = [true_mm + np.where(visible, of_seed, 99_999)[..., None] * [0, 0, 1] for of_seed in seeds_mm]
    return write_predictions(path, seeds_mm, true_mm, visible=visible, **columns)


def hard_frames(seed=0, joints=21, frames=40):
    """Errors (N, J) in mm: some frames are much harder than others, for every model."""
    generator = np.random.default_rng(seed)
    return generator.gamma(2, 15, (frames, 1)) + generator.gamma(4, 1, (frames, joints))


def trained(errors_mm, count=3, deviation_mm=0.1, seed=5):
    """Errors (N, J) of some seeds of one way of training, whose means have exactly that standard deviation."""
    off_mm = np.random.default_rng(seed).normal(size=count)
    off_mm = (off_mm - off_mm.mean()) / off_mm.std(ddof=1)
    return [errors_mm + deviation_mm * off for off in off_mm]


def predicted(folder, dataset, input_, error_mm, *, variant=1, subject="", hidden=True, latent=({},), **changes):
    """Predictions off by about `error_mm`, in the colour sets' with hidden joints far off, and their result."""
    group = subject or "test"
    made = result("", input_, variant, float(error_mm), dataset=dataset, test_subject=subject)
    made = replace(made, **({"invariances": "T+H"} if dataset in DEPTH else {}) | changes)
    true_mm, random = hands_mm(dataset, group), seeded(dataset, variant, made.encoder, group)
    scale = random.permutation(np.linspace(0.5, 1.5, FRAMES))[:, None, None]
    pred_mm = true_mm + random.normal(size=true_mm.shape) * error_mm / 1.6 * scale
    visible = np.ones(true_mm.shape[:2], bool)
    if hidden and dataset not in DEPTH:
        visible[:11, 3], visible[2] = False, False
        pred_mm[~visible] = 9999
    name = f"{dataset}-{input_}-{variant}-{group}-{made.encoder}-{made.label_fraction}-{made.invariances}"
    path, joints_mm = folder / f"{name}.h5", (pred_mm.astype(np.float32), true_mm.astype(np.float32))
    write_predictions(path, [joints_mm[0]], joints_mm[1], None, latent, visible=visible, name=names(group))
    return replace(made, experiment=name, predictions=path, metrics=made.metrics | {"frames": FRAMES})


def latent_columns(variant, dataset="rhd"):
    """Latent columns as the evaluate stage writes them: encodings of one cloud, or of clouds that lie apart."""
    cloud, random, columns = seeded("cloud").normal(size=(FRAMES, 30)), seeded(variant), {}
    for number, modality in enumerate(MODALITIES):
        apart = 20.0 * number if variant == "separate" else 0.0
        columns[f"mu_{modality}"] = (cloud + random.normal(size=cloud.shape) + apart).astype(np.float32)
        columns[f"log_var_{modality}"] = np.full(cloud.shape, -3, np.float32)
        columns[f"decoded_mm_{modality}"] = random.normal(size=(FRAMES, 21, 3)) * 40
    columns["posterior_row"] = SAMPLED
    columns["posterior_joints_mm"] = hands_mm(dataset)[SAMPLED, None] + random.normal(size=(3, 20, 21, 3))
    columns["posterior_spread_mm"] = np.full((FRAMES, 21), 1.5)
    if variant == "cross":
        columns["walk_row"] = WALKED
        columns["walk_rgb_u8"] = random.integers(0, 256, (len(WALKED), STEPS, CROP_PX, CROP_PX, 3), dtype=np.uint8)
        columns["walk_uv_px"] = random.uniform(0, CROP_PX, (len(WALKED), STEPS, 21, 2)).astype(np.float32)
        columns["walk_projected_px"] = columns["walk_uv_px"] + 2
        columns["walk_joints_mm"] = random.normal(size=(len(WALKED), STEPS, 21, 3)).astype(np.float32) * 40
    return columns


def predicted_hand(seed=0, dataset="rhd"):
    """A hand as the figures of predictions draw it, in a picture of 96 px."""
    true_mm, random, skeleton = hands_mm(dataset)[seed], seeded(dataset, seed), SKELETONS[SKELETON_OF[dataset]]
    pred_mm = true_mm + random.normal(size=true_mm.shape) * 6
    image_u8 = random.integers(0, 255, (96, 96, 3), dtype=np.uint8)
    uv_px = (true_mm[:, :2] - true_mm[0, :2]) * 0.3 + 48
    return PredictedHand(image_u8, uv_px, true_mm, pred_mm, 12.3 + seed, skeleton)
