import numpy as np
import pytest

from handvae.report import figures, paper, pck_curves


@pytest.mark.parametrize("dataset", paper.FIGURE_4)
def test_the_printed_curves_have_the_areas_that_the_papers_legends_give(dataset):
    for curve in paper.FIGURE_4[dataset]:
        thresholds_mm, shares = np.array(curve.points).T
        # what was read off a printed figure is right to about two thousandths
        accuracy = 2e-3 if "digitised" in curve.name else 5e-4
        area = np.trapezoid(shares, thresholds_mm) / np.ptp(thresholds_mm)
        assert area == pytest.approx(curve.auc, abs=accuracy), curve.name
        assert (np.diff(shares) > 0).all() and thresholds_mm[0] in (20, 21.05, 8 * 50 / 19) and thresholds_mm[-1] == 50


def test_printed_curves_keep_their_points_and_look_apart():
    curves = pck_curves.printed("stb")
    assert [curve.label.split(":")[0] for curve in curves] == [curve.name for curve in paper.FIGURE_4["stb"]]
    assert curves[0].label == "the paper: AUC 21.05–50 mm 0.983"
    assert curves[-1].label == "PSO, stereo depth: AUC 20–50 mm 0.709"  # measured from 20 mm
    np.testing.assert_array_equal(curves[-1].thresholds_mm, [20, 25, 30, 35, 40, 45, 50])
    assert curves[-1].shares[0] == 0.3224
    assert len({(curve.colour, curve.line) for curve in curves}) == 5
    ours = {(figures.RED, "-"), (figures.BLUE, "-"), (figures.GREY, ":")}
    assert not ours & {(curve.colour, curve.line) for curve in curves}


def test_methods_curves_keep_their_points_and_look_apart_up_to_eight():
    thresholds_mm = np.arange(5.0)
    curves = pck_curves.of_methods([(f"m{number}", thresholds_mm, thresholds_mm / number) for number in range(1, 10)])
    assert [curve.label for curve in curves] == [f"m{number}" for number in range(1, 10)]
    np.testing.assert_array_equal(curves[1].shares, thresholds_mm / 2)
    assert len({(curve.colour, curve.line) for curve in curves[:8]}) == 8
    assert pck_curves.of_methods([]) == []


def test_our_curves_are_the_metrics_at_half_millimetres():
    errors_mm = np.array([[4.0, 10.0], [20.0, 79.9]])
    pcf = pck_curves.pcf_curve("x", [errors_mm], figures.RED)
    assert pcf.thresholds_mm[[0, 1, -1]].tolist() == [0, 0.5, 80]
    assert [pcf.shares[pcf.thresholds_mm == mm].item() for mm in (9.5, 10, 80)] == [0, 0.5, 1]
    visible = np.array([[True, True], [True, False]])
    pck = pck_curves.pck_curve("x", [errors_mm], visible, figures.RED, ":")
    assert [pck.shares[pck.thresholds_mm == mm].item() for mm in (4, 10, 20)] == [0.25, 0.75, 1] and pck.line == ":"
