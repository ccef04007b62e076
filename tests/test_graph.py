"""The DVC graph in a clone at profile `tiny`: what it leaves, what experiments rerun, and a killed grid."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from itertools import chain
from pathlib import Path

import h5py
import psutil
import pytest
import yaml
from ray.cluster_utils import Cluster

from handvae.base.errors import InputError
from stages import snapshot
from stages.parallel import clones, processes
from tests.conftest import REPOSITORY
from tests.tiny_clone import (
    ENVIRONMENT,
    ROWS,
    TOGETHER,
    at_work,
    clone_at_tiny,
    commit_all,
    files,
    lines,
    paths_of,
    run,
    started,
    wait_for,
)

FIGURES = ("01", "03", "04a", "04b", "05a", "05b", "05c", "06", "08a", "08b", "09", "10a", "10b", "11", "12")


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A clone at profile `tiny` in which `dvc repro` has run to the end. Tests leave it as it was."""
    folder = clone_at_tiny(tmp_path_factory.mktemp("clone"))
    run("dvc", "repro", cwd=folder)
    commit_all(folder, "results")
    return folder


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


@pytest.fixture(scope="module")
def again(tmp_path_factory) -> Path:
    """A second clone, without a cache to take anything from, where data were made by a `dvc repro` that was killed."""
    folder = clone_at_tiny(tmp_path_factory.mktemp("again"), with_report=False)
    (folder / ".grid").mkdir()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    for seconds in (5.0, 8.0):
        process = subprocess.Popen(["dvc", "repro"], cwd=folder, env=ENVIRONMENT, start_new_session=True, **quiet)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        clones.mend(folder)  # DVC's locks, which a kill may cut
    run("dvc", "repro", "preprocess@rhd", "preprocess@stb", cwd=folder)
    return folder


def test_the_job_of_the_array_in_the_docs_trains_a_row_for_the_workspace(again, clone):
    page = (REPOSITORY / "docs/grid.md").read_text()
    job = next(block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "SLURM_ARRAY_TASK_ID" in block)
    (again / ".git/rows.sh").write_text(job.replace("rhd-2d-v1", "rhd-rgb-v1"))
    slurm = {"SLURM_SUBMIT_DIR": str(again), "SLURM_ARRAY_TASK_ID": "0"}
    environment = processes.environment(again) | slurm
    ran = subprocess.run(["bash", ".git/rows.sh"], cwd=again, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    brought = run("dvc", "repro", "evaluate_paper@rhd-rgb-v1", cwd=again).stdout
    assert brought.count("is cached - skipping run") == 2 and "Running stage" not in brought
    assert files(again, paths_of("rhd-rgb-v1")) == files(clone, paths_of("rhd-rgb-v1")) != {}


def test_a_killed_grid_and_a_killed_worker_on_two_ray_nodes_end_in_the_bytes_of_a_serial_run(again, clone):
    # killed, itself alone: what it started ends with it
    process = started(again)
    wait_for((again / f"checkpoints/{TOGETHER[0]}/seed-0.pt").exists, process, again)
    busy = at_work(again)
    process.kill()
    assert len(busy) >= 4 and not psutil.wait_procs(busy, timeout=20)[1]
    # DVC's locks are cut; Ctrl-C
    (again / ".dvc/tmp/rwlock").write_text('{"write": {"/a": {"pid": 1, "cm')
    (again / "dvc.lock").write_bytes((again / "dvc.lock").read_bytes()[:-40] + b"\n  - {")
    process = started(again)
    wait_for(lambda: "rows, 2 at a time" in lines(again) and len(at_work(again)) >= 4, process, again)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 1
    assert lines(again).splitlines()[-1] == "interrupted; the same command goes on from here"
    assert at_work(again) == []
    # on two nodes, of which one loses its worker
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        nodes.add_node(num_cpus=1)
        process = started(again, RAY_ADDRESS=nodes.address)

        def of_both_rows():
            first = at_work(again, "stages.train", TOGETHER[0])
            second = at_work(again, f"train_paper@{TOGETHER[1]}")
            return first and second and (first[0], second[0])

        training, other = wait_for(of_both_rows, process, again)
        nodes_of = [[parent for parent in row.parents() if parent.name() == "raylet"] for row in (training, other)]
        assert nodes_of[0] and nodes_of[1] and nodes_of[0] != nodes_of[1]  # a row a node
        next(parent for parent in training.parents() if parent.name().startswith("ray::")).kill()
        assert process.wait(180) == 0, lines(again)
    finally:
        nodes.shutdown()
    assert "a worker was lost; its row goes on in another (3 retries left)" in lines(again)
    assert "3 of 3 rows, " in lines(again)
    assert "goes on from step" in (again / f".grid/logs/{TOGETHER[0]}.log").read_text()
    assert not (again / ".grid/workers").exists() and not list(again.glob("checkpoints/*/seed-0.pt"))
    ended = [json.loads(line)["ended"] for line in (again / ".grid/runs.jsonl").read_text().splitlines()]
    assert ended == [None, "KeyboardInterrupt", "finished"]
    words = ("processed/rhd.h5", "processed/stb.h5", *chain.from_iterable(map(paths_of, TOGETHER)))
    serial, parallel = files(clone, words), files(again, words)
    assert list(serial) == list(parallel) and len(serial) == 2 + 7 * len(TOGETHER)
    assert [name for name in serial if serial[name] != parallel[name]] == []
    of_clone, of_again = (
        yaml.load((folder / "dvc.lock").read_text(), yaml.CSafeLoader)["stages"] for folder in (clone, again)
    )
    for stage in (f"{step}_paper@{row}" for row in TOGETHER for step in ("train", "evaluate")):
        assert of_again[stage] == of_clone[stage]
