"""What the report quotes of the paper agrees with itself."""

import numpy as np
import pytest

from handvae.evaluation import metrics
from handvae.report import paper

CURVES = {f"{dataset}-{curve['name']}": curve for dataset, curves in paper.PCK.items() for curve in curves}


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_a_curve_of_figure_4_rises_to_50_mm_with_the_area_that_the_literature_quotes(curve):
    thresholds_mm = np.array(curve.get("thresholds_mm", metrics.THRESHOLDS_21_50_MM))
    area = np.trapezoid(curve["shares"], thresholds_mm) / np.ptp(thresholds_mm)
    # what was read off a picture is right to about two thousandths
    assert area == pytest.approx(curve["auc"], abs=2e-3 if "digitised" in curve["name"] else 5e-4)
    assert np.all(np.diff(curve["shares"]) > 0)
    assert thresholds_mm[0] in (20, 21.05, metrics.THRESHOLDS_MM[8]) and thresholds_mm[-1] == 50


@pytest.mark.parametrize(("variants", "invariances"), [("table1", "table2"), ("table5", "table6")])
def test_the_table_of_invariances_repeats_the_best_variant_of_each_task(variants, invariances):
    for task, lowest in zip(paper.TASKS, (3, 1, 3), strict=True):
        best_mm = paper.TABLES[variants].cell_mm(lowest, task)
        assert best_mm == paper.TABLES[invariances].cell_mm("T+S+H", task)
        assert best_mm == min(paper.TABLES[variants].cell_mm(variant, task) for variant in (1, 2, 3, 4))
