"""The DVC graph, run in a clone at profile `tiny`: what it leaves, what experiments on top of it rerun and show."""

import json
import re
import shutil
import sys
from pathlib import Path

import h5py
import pytest

from handvae.base.errors import InputError
from stages import snapshot
from tests.tiny_clone import ROWS, files, run

FIGURES = ("01", "03", "04a", "04b", "05a", "05b", "05c", "06", "08a", "08b", "09", "10a", "10b", "11", "12")


def test_the_whole_graph_leaves_every_table_figure_and_page(clone):
    reports = {name.removeprefix("reports/") for name in files(clone) if name.startswith("reports/")}
    read = ("table1", "table2", "table5", "table6", "depth", "parameters", "semi_supervised", "beyond")
    assert reports == {
        *("metrics.json", "metrics_pck.csv", "training.csv", "own_experiment.html", "index.html", "reproduction.md"),
        *(f"metrics/{name}{end}" for name in ROWS for end in (".json", "_pck.csv")),
        *(f"training/{name}.csv" for name in ROWS),
        *(f"tables/{name}.{suffix}" for name in read for suffix in ("csv", "tex")),
        *(f"tables/{name}.csv" for name in ("paired", "parameters_layers", "claims")),
        *(f"tables/tsne_{name}.csv" for name in ("fig01", "fig08a", "fig08b")),
        *(f"tables/{name}.md" for name in ("tables", "claims", "paired", "summary")),
        *("tables/captions.json", ".gitignore"),
        *(f"figures/fig{name}.png" for name in FIGURES),
        *(f"notebooks/{name}.ipynb" for name in ("claims", "tables", "curves", "latent_space", "predictions", "lists")),
    }
    assert "synthetic" in (clone / "reports/tables/table1.csv").read_text()
    assert "rhd-rgb-v1" in (clone / "reports/own_experiment.html").read_text()  # after the grid, beside its row


def test_raw_images_are_not_in_the_cache(clone):
    assert len(list((clone / "data/raw/rhd").rglob("*.png"))) > 20
    listings = [path.read_text() for path in (clone / ".dvc/cache").rglob("*.dir")]
    assert any("weights.pt" in listing for listing in listings)
    assert not any(".png" in listing for listing in listings)


def test_a_depth_row_leaves_one_subject_out_and_is_scored_in_absolute_millimetres(clone):
    metrics = json.loads((clone / "reports/metrics/msra-resnet18-p8.json").read_text())
    assert metrics["frames"] == 17 and {"epe_mean_mm", "pcf_20", "pcf_80"} <= set(metrics)
    with h5py.File(clone / "data/predictions/msra-resnet18-p8.h5") as file:
        assert file["joints_true_mm"][:, :, 2].min() > 150  # absolute: in front of the camera, not around the palm
        assert all(name.startswith("P8/") for name in file["name"].asstr()[:])
    assert (clone / "reports/metrics/msra-resnet18-p8_pck.csv").read_text().startswith("threshold_mm,pcf\n0.0,")


def test_a_second_repro_runs_nothing(clone):
    assert "Running stage" not in run("dvc", "repro", cwd=clone).stdout
    assert run("git", "status", "--porcelain", cwd=clone).stdout == ""


def test_a_snapshot_is_taken_of_a_whole_run_and_of_no_other(clone, monkeypatch):
    monkeypatch.chdir(clone)
    snapshot.main("results/tiny")
    page = Path("results/tiny/README.md").read_text()
    assert f"| models | {len(ROWS)}: {len(ROWS)} rows of 1 seed |" in page and "| MSRA15, 1 folds, ResNet-18 |" in page
    pages = [Path(folder, "index.html").read_text() for folder in ("reports", "results/tiny")]
    assert ["own_experiment.html" in page for page in pages] == [True, False]
    params = Path("params.yaml").read_text()
    Path("params.yaml").write_text(params.replace("\nseeds: 1", "\nseeds: 2"))
    with pytest.raises(InputError, match=r"^reports: expected the results of params\.yaml .* train_paper@"):
        snapshot.main("results/tiny")
    assert Path("results/tiny/README.md").read_text() == page
    Path("params.yaml").write_text(params)
    shutil.rmtree("results")


@pytest.fixture
def back(clone):
    """Afterwards the clone is as it was."""
    yield
    run("git", "checkout", "-q", "--", ".", cwd=clone)
    run("dvc", "checkout", "-q", cwd=clone)


def test_an_experiment_of_ones_own_reruns_nothing_of_the_grid_and_its_page_metrics_and_plots_are_its_own(clone, back):
    page, metrics = clone / "reports/own_experiment.html", clone / "reports/metrics.json"
    before, page_before = json.loads(metrics.read_text()), page.read_text()
    output = run("dvc", "exp", "run", "-S", "variant=4", cwd=clone).stdout
    ran = {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}
    assert ran == {"train", "evaluate"}
    after = json.loads(metrics.read_text())
    assert before["epe_mean_mm"] != after["epe_mean_mm"]
    written = page.read_text()
    run(sys.executable, "-m", "stages.own_experiment", cwd=clone)
    assert written == page.read_text() != page_before and f"{after['epe_mean_mm']:.3f}" in written
    difference = json.loads(run("dvc", "metrics", "diff", "--json", cwd=clone).stdout)
    assert set(difference) == {"reports/metrics.json"} and "epe_mean_mm" in difference["reports/metrics.json"]
    run("dvc", "plots", "diff", "HEAD", "workspace", "-o", "dvc_plots", cwd=clone)
    drawn = (clone / "dvc_plots/index.html").read_text()
    plots = dict(re.findall(r'<div id = "([^"]+)">(.*?)</div>', drawn, re.DOTALL))
    curves = ["reports_metrics_pck_csv", "reports_training_csv"]
    assert list(plots)[:2] == curves and len(plots) == 3
    assert all(f'"rev": "{revision}"' in plots[curve] for curve in curves for revision in ("HEAD", "workspace"))


def test_what_dvc_shows_is_ones_own_and_a_rows_numbers_and_curves_can_be_asked_for(clone):
    """By the commands in README."""
    own, row = "reports/metrics.json", "reports/metrics/rhd-2d-v1"
    texts = [run("dvc", "metrics", "show", "--json", *names, cwd=clone).stdout for names in ([], [f"{row}.json"])]
    files_of = [set(json.loads(text)[""]["data"]) for text in texts]
    assert files_of == [{own}, {f"{row}.json"}]
    run("dvc", "plots", "show", "-x", "threshold_mm", f"{row}_pck.csv", "-o", "dvc_plots", cwd=clone)
    page = (clone / "dvc_plots/index.html").read_text()
    assert page.count("<div id") == 1 and '"field": "pck"' in page
    change = ("dvc", "metrics", "diff", "HEAD~1", "--json", "--targets", f"{row}.json")
    assert list(json.loads(run(*change, cwd=clone).stdout)) == [f"{row}.json"]
    table = run("dvc", "exp", "show", "--csv", "--drop", ".*", "--keep", "Experiment|epe_mean_mm$|variant$", cwd=clone)
    assert "rhd" not in table.stdout and "epe_mean_mm" in table.stdout.splitlines()[0]


def test_experiments_outside_the_workspace_read_its_raw_images_and_a_source_beside_it(clone, back):
    """With another protocol in a temporary folder, with pictures of one's own, by a relative path, in DVC's queue."""
    shutil.copytree(clone / "data/raw/rhd", clone / "mine")  # ignored by git
    try:
        protocol = ("-S", "data.rhd.protocol.hands=both", "train", "evaluate")
        temporary = run("dvc", "exp", "run", "--temp", "-n", "protocol", *protocol, cwd=clone).stdout
        assert "Running stage 'preprocess@rhd'" in temporary and "bringing the raw data again" not in temporary
        source = ("-S", "data.rhd.source=mine", "-S", "variant=2", "train", "evaluate")
        run("dvc", "exp", "run", "--queue", "-n", "source", *source, cwd=clone)
        run("dvc", "exp", "run", "--run-all", cwd=clone)
        assert run("git", "status", "--porcelain", cwd=clone).stdout == ""
        run("dvc", "exp", "apply", "source", cwd=clone)
        manifest = json.loads((clone / "data/raw/rhd.json").read_text())
        assert manifest["root"] == "mine" and manifest["kind"] == "folder"
        assert "mine (RHD's layout)" in (clone / "reports/own_experiment.html").read_text()
        assert json.loads((clone / "reports/metrics.json").read_text())["frames"] == 12
        assert "Running stage" not in run("dvc", "repro", "evaluate", cwd=clone).stdout
    finally:
        shutil.rmtree(clone / "mine")
