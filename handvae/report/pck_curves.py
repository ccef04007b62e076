"""Curves of Figures 4 and 5: of our errors, and of the paper and other methods, for where the data is the same set."""

from collections.abc import Sequence

import numpy as np

from handvae.evaluation import metrics
from handvae.report import figures, paper

THRESHOLDS_MM = np.linspace(0, 80, 161)

# a label, thresholds (T,) in mm and shares (T,), 0 to 1
Reference = tuple[str, np.ndarray, np.ndarray]
References = dict[str, list[Reference]]  # by dataset

OTHERS = (
    *((figures.GREEN, "--"), (figures.PURPLE, "-."), (figures.ORANGE, "--"), (figures.SKY, "-.")),
    *((figures.GREEN, ":"), (figures.PURPLE, ":"), (figures.ORANGE, ":"), (figures.SKY, ":")),
)


def area_text(area: float, thresholds_mm: np.ndarray) -> str:
    """The area under a PCK curve with the range it was taken over: the reference's "20-50 mm" begins at 21.05 mm."""
    return f"AUC {thresholds_mm[0]:.4g}–{thresholds_mm[-1]:.4g} mm {area:.3f}"


def pck_curve(
    label: str, errors_mm: Sequence[np.ndarray], visible: np.ndarray, colour: str, line: str = "-"
) -> figures.Curve:
    """PCK of each seed's errors (N, J) over visible joints, the mean over seeds."""
    shares = np.mean([metrics.pck(of_seed, visible, THRESHOLDS_MM) for of_seed in errors_mm], axis=0)
    return figures.Curve(label, THRESHOLDS_MM, shares, colour, line)


def pcf_curve(label: str, errors_mm: Sequence[np.ndarray], colour: str, line: str = "-") -> figures.Curve:
    """PCF of each seed's errors (N, E) of the evaluated joints, the mean over seeds."""
    shares = np.mean([metrics.pcf(of_seed, THRESHOLDS_MM) for of_seed in errors_mm], axis=0)
    return figures.Curve(label, THRESHOLDS_MM, shares, colour, line)


def printed(dataset: str) -> list[figures.Curve]:
    """The curves of the paper's Figure 4 on a colour set, its own first."""
    looks = ((figures.BLACK, "--"), *OTHERS)
    curves = []
    for curve, look in zip(paper.FIGURE_4[dataset], looks, strict=False):
        thresholds_mm, shares = np.array(curve.points).T
        curves.append(
            figures.Curve(f"{curve.name}: {area_text(curve.auc, thresholds_mm)}", thresholds_mm, shares, *look)
        )
    return curves


def of_methods(references: list[Reference]) -> list[figures.Curve]:
    """Other methods' curves; after eight the looks begin again."""
    return [figures.Curve(*one, *OTHERS[place % len(OTHERS)]) for place, one in enumerate(references)]
