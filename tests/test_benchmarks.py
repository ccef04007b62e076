"""`make bench`: both sides of a comparison do the same, and the page says what was measured."""

import re
from pathlib import Path

import pytest
import torch

from benchmarks import bench, data, growth, measure, page, plain_loop, training
from handvae.base import workers
from handvae.base.errors import InputError
from handvae.model import batches
from handvae.model.draws import Draw
from handvae.model.settings import settings_of
from handvae.preprocessing import preprocess
from stages import download as download_stage
from stages import preprocess as preprocess_stage

CPU = torch.device("cpu")
RHD = {"rhd": {"training": 36, "evaluation": 12, "image_px": 64}}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    """A folder in which a small RHD at profile tiny is rendered and preprocessed, in this process."""
    folder = data.workspace(tmp_path_factory.mktemp("bench") / "plain_loop", "tiny", RHD)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(workers, "in_order", lambda function, items, processes: map(function, items))
        patch.setattr(preprocess, "_keep_freed_memory", lambda: None)
        for stage in (download_stage, preprocess_stage):
            stage.main("rhd")
    return folder


def test_ratios_are_of_one_round_each_and_sides_take_turns():
    order = []
    sides = {name: lambda name=name: order.append(name) or len(order) for name in "ab"}
    assert measure.alternating(sides, 2) == {"a": [3, 5], "b": [4, 6]} and order == list("ababab")
    assert measure.ratios([2, 9, 4], [1, 3, 4]) == (2, 1, 3)
    assert measure.Spread(2, 1, 1234.5).text() == "2.00 (1.00–1,234.50)"


@pytest.mark.parametrize("ready", [False, True])
def test_the_plain_loop_sees_the_pictures_and_joints_that_ours_does(workspace, ready):
    """The same draws, each way: pictures cut from the set's files, joints from its labels. Eight bits and the fill of
    the border (128, not 127.5) are all that differs."""
    settings = settings_of(data.loaded(workspace), "rhd-rgb-v1")
    split = plain_loop.own_split(workspace, settings, CPU)
    hands = plain_loop.Hands(workspace, settings, ready)
    assert len(hands) == len(split)
    rows = torch.arange(len(split))
    uniform = torch.rand(4, len(rows), generator=torch.Generator().manual_seed(0))
    draw = Draw(rows, uniform[0] * 2 - 1, (uniform[1:3].T - 0.5) * 0.2, 0.8 + 0.4 * uniform[3], rows % 2 == 0)
    made = batches.batch(split, draw, {"rgb", "joints_3d"})
    for row in range(len(rows)):
        drawn = draw.rotation_rad[row].item(), tuple(draw.shift[row].tolist()), draw.scale[row].item()
        flip = bool(draw.flip[row])
        picture = plain_loop.Image.open(hands.ready / f"{row}.png") if ready else hands.cut(row)
        difference = plain_loop.warped_picture(picture, *drawn, flip, settings.crop_px) - made["rgb"][row]
        assert difference.abs().mean() < 0.006 and difference.abs().quantile(0.99) < 0.02
        joints = hands.labels["joints_mm"][row] / hands.labels["scale_bone_mm"][row]
        joints = plain_loop.warped_joints(joints, drawn[0], flip)
        torch.testing.assert_close(joints, made["joints_3d"][row], atol=1e-4, rtol=1e-4)
        other = plain_loop.warped_picture(picture, *drawn, not flip, settings.crop_px) - made["rgb"][row]
        assert other.abs().mean() > 2 * difference.abs().mean()


def test_the_plain_loops_loss_is_ours(workspace):
    """One step from the same start on the same batch and noise: the squared error and the weighted KL."""
    settings = settings_of(data.loaded(workspace), "rhd-rgb-v1")
    loop = plain_loop.PlainLoop(plain_loop.Hands(workspace, settings, True), settings, 0, 1, 1, CPU)
    batch = training.random_batch(settings, CPU)
    torch.manual_seed(5)
    noise = torch.randn(4, 30)
    model = plain_loop.CrossModalVAE(settings.architecture, settings.experiment.seed).train()
    ours = training.vae.terms(model, "rgb", ("joints_3d",), batch, noise[None], settings.loss)[0]
    torch.manual_seed(5)
    theirs = loop.step(batch["rgb"].contiguous(), batch["side_onehot"], batch["joints_3d"])
    assert theirs == pytest.approx((ours[0] + settings.loss.kl_weight * ours[1]).item(), rel=1e-4)


def test_growth_tells_what_is_flat_and_what_linear():
    tiny = growth.Run(10, 2.0, 90.0, Path())
    runs = {times: growth.Run(100 * times, 2.0 + 3 * times, 100.0 + times, Path()) for times in (1, 4, 16)}
    time, memory = growth.preprocessing_rows("icvl", tiny, runs)
    assert time.measured == "3.0, 12.0, 48.0 s after 2.0 s of start-up" and time.ratio.median == 1.0
    assert memory.ratio.median == pytest.approx(116 / 101) and "10.2 KB more an image" in memory.measured
    assert growth.grown([1, 10, 40], [5, 25, 100]) == (1, 1, 1) and growth.grown([7, 7], [1, 4]).median == 0.25


def test_the_page_has_a_line_a_row_and_a_part_that_fails_says_why(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def refused(folder, profile):
        raise InputError("expected a network, found | none")

    row = measure.Row("step", "9 samples/s", "bare, 10 samples/s", measure.spread([0.9, 0.8]), "0.95", 1234.0)
    monkeypatch.setattr(bench, "PARTS", {"training": lambda folder, profile: [row], "multivae": refused})
    bench.main("training", "--quick")
    assert not list(tmp_path.iterdir()) and "| step |" in capsys.readouterr().out
    report = tmp_path / "reports/benchmarks.md"
    report.parent.mkdir()
    report.write_text("# Benchmarks\n\n## time_to\n\nearlier\n\n## training\n\nearlier\n")
    bench.main("--profile", "tiny")
    text = report.read_text()
    assert re.findall("(?m)^#.*", text) == ["# Benchmarks", "## training", "## multivae"]
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    assert [cells for cells in table if cells[0] in ("step", "multivae")] == [
        ["step", "9 samples/s", "bare, 10 samples/s", "0.85 (0.80–0.90)", "0.95", "1,234"],
        ["multivae", "not measured: expected a network, found &#124; none", *[""] * 4],
    ]
    assert re.search(r"\d{4}-\d\d-\d\d, commit [0-9a-f]{7}", text) and "torch 2" in text
    bench.main("multivae", "--profile", "tiny")
    assert page.sections(report.read_text())["training"] == page.sections(text)["training"]
    with pytest.raises(InputError, match=r"expected parts of training, multivae, found time"):
        bench.main("time")
    with pytest.raises(InputError, match=r"expected a profile of small, .*found 'huge'"):
        bench.main("--profile", "huge")
