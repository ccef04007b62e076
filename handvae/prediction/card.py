"""The model card of a trained model to take along: what it was trained on, its errors, what it is not good for."""

from pathlib import Path
from string import Template

import pandas as pd

from handvae.model.settings import Settings

INPUTS = {
    "rgb": "an RGB crop of {px} x {px} pixels around one hand",
    "joints_2d": "the 21 2D joints of one hand, in a crop around it",
    "depth": "a depth crop of {px} x {px} pixels, a cube around one hand",
}
SYNTHETIC = (
    "**Real photographs**: it has seen synthetic hands only. On real ones its errors are much larger than those above."
)
REAL = "Images that differ from those of the dataset: other cameras, other views, other people."


def text(settings: Settings, size_bytes: int, facts: dict[str, str], metrics: dict[str, float], data: str) -> str:
    """Markdown. `facts`: how the run was made, by name, as in the snapshot's README; `metrics`: those of the row;
    `data`: the preprocessed set's description of its images."""
    experiment = settings.experiment
    low, high = metrics["epe_mean_mm_low"], metrics["epe_mean_mm_high"]
    seeds = f", mean of {metrics['seeds']} seeds, of which this is the first" if "seeds" in metrics else ""
    without = f"; trained on all but {experiment.test_subject}, tested on it" if experiment.test_subject else ""
    rows = {
        "trained on": data + without,
        "mean error (EPE) on the test split": f"{metrics['epe_mean_mm']:.1f} mm [{low:.1f}, {high:.1f}]{seeds}",
        "median error": f"{metrics['epe_median_mm']:.1f} mm",
        "error of the mean pose": f"{metrics['mean_pose_epe_mm']:.1f} mm",
        "invariances": experiment.invariances,
        "steps": f"{settings.training.steps:,} of {settings.training.batch_size} samples",
        **{key: facts[key] for key in ("made by", "commit", "versions")},
    }
    return _filled(
        "card.md",
        name=settings.name,
        task=task(settings),
        variant=experiment.variant,
        input=INPUTS[experiment.input].format(px=settings.crop_px),
        joints=len(settings.skeleton),
        origin="the middle of the crop's cube" if experiment.input == "depth" else "the palm",
        size=f"{size_bytes / 1e6:.1f} MB",
        facts="\n".join(f"| {key} | {value} |" for key, value in rows.items()),
        limit=SYNTHETIC if "synthetic" in data else REAL,
    )


def detector_text(size_bytes: int, facts: dict[str, str], scores: pd.DataFrame, picture_px: int) -> str:
    """Markdown. `facts`: how it was made, by name; `scores`: the table of stages.evaluate_detector."""
    header = [column.replace("_", " ").replace(" percent", ", %").replace(" mm", ", mm") for column in scores]
    lines = [header, ["---"] * len(header), *scores.astype(object).fillna("–").astype(str).to_numpy().tolist()]
    return _filled(
        "detector_card.md",
        px=picture_px,
        size=f"{size_bytes / 1e6:.1f} MB",
        facts="\n".join(f"| {key} | {value} |" for key, value in facts.items()),
        table="\n".join(f"| {' | '.join(line)} |" for line in lines),
    )


def task(settings: Settings) -> str:
    """What a model does, and on which sets: "RGB -> 3D hand pose, RHD"."""
    direction = {"rgb": "RGB", "joints_2d": "2D", "depth": "depth"}[settings.experiment.input]
    return f"{direction} -> 3D hand pose, {' and '.join(name.upper() for name in settings.experiment.datasets)}"


def list_text(lines: list[str]) -> str:
    """README.md of the folder of models, from the lines of its table."""
    return _filled("list.md", lines="\n".join(lines))


def _filled(template: str, **values: object) -> str:
    """The text of a template beside this file."""
    return Template(Path(__file__).with_name(template).read_text("utf-8")).substitute(values)
