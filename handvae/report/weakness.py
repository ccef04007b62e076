"""Models that have learned little or nothing, beside the mean pose of the training set, which looks at no input."""

import numpy as np

from handvae.report.results import Model

WEAK, COLLAPSED = 2 / 3, 0.95  # errors in shares of the mean pose's from which a model has learned little, or nothing


def share_of_mean_pose(model: Model) -> float:
    """A model's mean EPE over that of the training set's mean pose, which looks at no input."""
    epe_mm, mean_pose_mm = (
        np.mean([result.metrics[key] for result in model]) for key in ("epe_mean_mm", "mean_pose_epe_mm")
    )
    return float(epe_mm / mean_pose_mm)


def weakness(model: Model) -> str:
    """A sentence on a model that has learned little or nothing; "" of all others."""
    first, share = model[0], share_of_mean_pose(model)
    if share < WEAK:
        return ""
    few = f", {100 * first.label_fraction:g} % of the labels" if first.label_fraction < 1 else ""
    name = f"{first.task_name}, variant {first.variant}{few}"
    word, learned = ("Collapsed", "nothing") if share >= COLLAPSED else ("Weak", "little")
    return f"{word}: {name} has learned {learned}. Its error is {100 * share:.0f} % of the mean pose's."
