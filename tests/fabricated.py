"""What the tests of the report stand on: predictions files and preprocessed sets with hands of no model."""

import h5py
import numpy as np

from handvae.base.joints import SKELETON_OF, SKELETONS
from handvae.preprocessing import store
from handvae.report.results import Result

DEPTH = ("icvl", "nyu", "msra")
CENTRE_MM = np.array([30.0, -20, 700])
FRAMES, CROP_PX, CONTEXT_PX = 21, 32, 48


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
        return store.DepthHand(depth_f16=depth, centre_mm=CENTRE_MM, cube_mm=250, **common)
    image = random.integers(0, 255, (CONTEXT_PX, CONTEXT_PX, 3), dtype=np.uint8)
    return store.ColourHand(image_u8=image, visible=np.ones(len(joints_mm), bool), scale_bone_mm=44, **common)


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


def predicted(folder, dataset, input_, error_mm, *, variant=1, subject="", hidden=True, **changes):
    """Predictions off by about `error_mm`, in the colour sets' with hidden joints far off, and their result."""
    group = subject or "test"
    settings = {"invariances": "T+H" if dataset in DEPTH else "T+S+H", "encoder": "resnet18", "label_fraction": 1.0}
    settings |= {"source": f"synthetic {dataset}", "synthetic": True, "published": False, "profile": "small"} | changes
    true_mm, random = hands_mm(dataset, group), seeded(dataset, variant, settings["encoder"], group)
    scale = random.permutation(np.linspace(0.5, 1.5, FRAMES))[:, None, None]
    pred_mm = true_mm + random.normal(size=true_mm.shape) * error_mm / 1.6 * scale
    visible = np.ones(true_mm.shape[:2], bool)
    if hidden and dataset not in DEPTH:
        visible[:11, 3], visible[2] = False, False
        pred_mm[~visible] = 9999
    name = f"{dataset}-{input_}-{variant}-{group}-{settings['encoder']}-{settings['label_fraction']}"
    name += f"-{settings['invariances']}"
    path = folder / f"{name}.h5"
    write_predictions(
        path, [pred_mm.astype(np.float32)], true_mm.astype(np.float32), visible=visible, name=names(group)
    )
    numbers = {"epe_mean_mm": float(error_mm), "mean_pose_epe_mm": 41.25, "frames": FRAMES, "auc_21_50": 0.625}
    numbers |= {f"epe_median_mm{end}": error_mm + far for end, far in (("", -1.0), ("_low", -2.0), ("_high", 1.0))}
    facts = {"experiment": name, "dataset": dataset, "input": input_, "variant": variant, "test_subject": subject}
    return Result(**facts, **settings, metrics=numbers, predictions=path)
