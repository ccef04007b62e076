"""Depth results (section 7.3) by the public evaluation: MSRA's folds pooled, ICVL on both sequences and on one."""

import h5py
import numpy as np
import pandas as pd

from handvae import paper, statistics
from handvae.errors import InputError
from handvae.joints import SKELETON_OF, SKELETONS
from handvae.tables import Result

TESTS = {  # what is tested, by set; DeepPrior++ reports ICVL's first sequence alone, which is the harder one
    "icvl": {"ICVL": "", "ICVL, sequence 1": "test_seq_1/"},
    "nyu": {"NYU": ""},
    "msra": {"MSRA15": ""},
}
ARRAYS = ("joints_pred_mm", "joints_true_mm", "mean_pose_mm")


def depth_table(results: list[Result]) -> pd.DataFrame:
    """One row a test and model; the folds of a set are pooled frame by frame.

    InputError where two experiments are the same fold of the same model: pooled, its frames would count twice.
    """
    rows = []
    for dataset, tests in TESTS.items():
        for folds in _models([result for result in results if result.task == (dataset, "depth")]):
            arrays, names = pooled(folds)
            for test, prefix in tests.items():
                kept = np.char.startswith(names, prefix)
                if kept.any():
                    rows.append(_row(test, folds, [array[kept] for array in arrays]))
    return pd.DataFrame(rows)


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


def pooled(folds: list[Result]) -> tuple[list[np.ndarray], np.ndarray]:
    """Predicted, true and mean-pose joints (N, J, 3) of the evaluated joints, absolute mm, and the frames' names."""
    columns: dict[str, list[np.ndarray]] = {name: [] for name in (*ARRAYS, "name")}
    for fold in folds:
        evaluated = list(SKELETONS[SKELETON_OF[fold.dataset]].evaluated)
        with h5py.File(fold.predictions) as file:
            for name in ARRAYS:
                columns[name].append(file[name][:][:, evaluated])
            columns["name"].append(file["name"].asstr()[:].astype(str))
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return [joined[name] for name in ARRAYS], joined["name"]


def _row(test: str, folds: list[Result], arrays: list[np.ndarray]) -> dict[str, object]:
    numbers = statistics.summarise_depth(*arrays, seed=0)
    first = folds[0]
    return {
        "test": test + (f", {len(folds)} folds" if first.test_subject else ""),
        "encoder": first.encoder.replace("resnet", "ResNet-"),
        "variant": first.variant,
        "invariances": first.invariances,
        **{key: value for key, value in numbers.items() if key != "epe_share_of_mean_pose"},
        # the paper gives one number an encoder and does not say on which set
        "paper_epe_mean_mm": paper.DEPTH_MM.get(first.encoder, np.nan) if first.dataset == "icvl" else np.nan,
        "kind": first.kind,
        "data": first.data,
    }
