"""Depth results (section 7.3) by the public evaluation: MSRA's folds pooled, ICVL on both sequences and on one."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from handvae.base.errors import InputError
from handvae.base.joints import SKELETON_OF, SKELETONS
from handvae.evaluation import statistics
from handvae.report import paper
from handvae.report.results import STATISTICS, Result
from handvae.report.table_text import cell, over_seeds
from handvae.report.tables import frame_of, verdict

TESTS = {  # what is tested, by set; DeepPrior++ reports ICVL's first sequence alone, which is the harder one
    "icvl": {"ICVL": "", "ICVL, sequence 1": "test_seq_1/"},
    "nyu": {"NYU": ""},
    "msra": {"MSRA15": ""},
}
ARRAYS = ("joints_true_mm", "mean_pose_mm")
COLUMNS = (
    *("test", "encoder", "variant", "invariances", "epe_mean_mm", "epe_mean_mm_low", "epe_mean_mm_high"),
    *("epe_median_mm", *(f"pcf_{threshold}" for threshold in statistics.PCF_MM), "mean_pose_epe_mm", "frames"),
    *("blocks", "seeds", "paper_epe_mean_mm", "difference_mm", "verdict", "kind", "data"),
)


@dataclass(frozen=True)
class Pooled:
    """The N test frames of all folds of a model: joints (N, J, 3) of the evaluated joints in absolute mm."""

    joints_pred_mm: list[np.ndarray]  # of each seed
    joints_true_mm: np.ndarray
    mean_pose_mm: np.ndarray
    block: np.ndarray  # (N,)
    names: np.ndarray  # (N,)

    def part(self, kept: np.ndarray) -> "Pooled":
        """Some of the frames, (N,) bool."""
        predicted_mm = [one[kept] for one in self.joints_pred_mm]
        _, block = np.unique(self.block[kept], return_inverse=True)
        return Pooled(predicted_mm, self.joints_true_mm[kept], self.mean_pose_mm[kept], block, self.names[kept])


def depth_table(results: list[Result]) -> pd.DataFrame:
    """One row a test and model; the folds of a set are pooled frame by frame.

    InputError where two experiments are the same fold of the same model: pooled, its frames would count twice.
    """
    rows = []
    for dataset, tests in TESTS.items():
        for folds in _models([result for result in results if result.compared and result.task == (dataset, "depth")]):
            frames = pooled(folds)
            for test, prefix in tests.items():
                kept = np.char.startswith(frames.names, prefix)
                if kept.any():
                    rows.append(_row(test, folds, frames.part(kept)))
    return frame_of(rows, COLUMNS)


def _models(results: list[Result]) -> list[list[Result]]:
    """The folds of each model, in the order of the grid."""
    models: dict[tuple, dict[str, Result]] = {}
    for result in results:
        folds = models.setdefault((result.encoder, result.variant, result.invariances), {})
        if other := folds.get(result.test_subject):
            raise InputError(
                f"params.yaml: experiments: expected one experiment a depth model and fold, "
                f"found {other.experiment} and {result.experiment}"
            )
        folds[result.test_subject] = result
    return [list(folds.values()) for folds in models.values()]


def pooled(folds: list[Result]) -> Pooled:
    """The frames of all folds, one after the other; of each seed that every fold has."""
    seeds = ["", *(f"seed-{number}/" for number in range(1, min(fold.seeds for fold in folds)))]
    predicted = [f"{seed}joints_pred_mm" for seed in seeds]
    joints, blocks, names, count = {key: [] for key in (*predicted, *ARRAYS)}, [], [], 0
    for fold in folds:
        evaluated = list(SKELETONS[SKELETON_OF[fold.dataset]].evaluated)
        with fold.opened() as file:
            for key, parts in joints.items():
                parts.append(file[key][:][:, evaluated])
            blocks.append(count + file["block"][:])
            names.append(file["name"].asstr()[:].astype(str))
        count = blocks[-1].max() + 1
    joined = {key: np.concatenate(parts) for key, parts in joints.items()}
    others = (joined[key] for key in ARRAYS)
    return Pooled([joined[key] for key in predicted], *others, np.concatenate(blocks), np.concatenate(names))


def _row(test: str, folds: list[Result], frames: Pooled) -> dict[str, object]:
    arrays = (frames.joints_pred_mm, frames.joints_true_mm, frames.mean_pose_mm, frames.block)
    numbers = statistics.summarise_depth(*arrays, seed=0)
    numbers = {key: np.nan if value is None else value for key, value in numbers.items()}
    first, interval = folds[0], tuple(numbers[f"epe_mean_mm{end}"] for end in ("", "_low", "_high"))
    # the paper gives one number an encoder and does not say on which set
    printed = paper.DEPTH_MM.get(first.encoder) if first.dataset == "icvl" else None
    return {
        "test": test + (f", {len(folds)} folds" if first.test_subject else ""),
        "encoder": first.encoder.replace("resnet", "ResNet-"),
        "variant": first.variant,
        "invariances": first.invariances,
        **{key: value for key, value in numbers.items() if key != "epe_share_of_mean_pose"},
        "seeds": len(frames.joints_pred_mm),
        "paper_epe_mean_mm": np.nan if printed is None else printed,
        "difference_mm": np.nan if printed is None else interval[0] - printed,
        "verdict": verdict(first, interval, printed),
        "kind": first.kind,
        "data": first.data,
    }


def as_text(frame: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the depth table."""
    mean, median = STATISTICS
    rows = [
        [
            f"{row['test']}, {row['encoder']}",
            cell(row, mean, digits=1),
            "\n".join([f"{row[median]:.2f}", *over_seeds(row, median)]),
            f"{100 * row['pcf_20']:.1f}",
            f"{100 * row['pcf_40']:.1f}",
            f"{row['mean_pose_epe_mm']:.2f}",
        ]
        for row in frame.to_dict("records")
    ]
    return ["", "mean EPE", "median EPE", "PCF 20 mm, %", "PCF 40 mm, %", "mean pose"], rows
