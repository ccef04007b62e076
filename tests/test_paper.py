import numpy as np
import pytest

from handvae.evaluation import metrics
from handvae.report import paper

CURVES = [(dataset, curve) for dataset, curves in paper.PCK.items() for curve in curves]


@pytest.mark.parametrize(("dataset", "curve"), CURVES, ids=[f"{dataset}-{curve['name']}" for dataset, curve in CURVES])
def test_a_curve_of_figure_4_has_the_area_that_the_literature_quotes(dataset, curve):
    thresholds_mm = curve.get("thresholds_mm", metrics.THRESHOLDS_21_50_MM)
    area = np.trapezoid(curve["shares"], thresholds_mm) / np.ptp(thresholds_mm)
    # read off a picture to three digits, or the numbers of the evaluation
    assert area == pytest.approx(curve["auc"], abs=2e-3 if "digitised" in curve["name"] else 1e-3)


@pytest.mark.parametrize("curves", paper.PCK.values(), ids=paper.PCK)
def test_pck_curves_rise(curves):
    assert all(np.all(np.diff(curve["shares"]) > 0) for curve in curves)
