"""The DVC graph: against the stages' imports, and run in a clone at profile `tiny`, serially and by killed workers."""

import ast
import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import h5py
import psutil
import pytest
import yaml
from dvc.utils.serialize import modify_yaml
from ray.cluster_utils import Cluster

from handvae.base.errors import InputError
from stages import snapshot
from stages.parallel import clones, processes
from tests.conftest import REPOSITORY

STAGES = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
OUTPUTS = ("outs", "metrics", "plots")
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def module_file(name: str) -> Path | None:
    path = REPOSITORY / name.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@functools.cache
def imported_files(path: Path) -> frozenset[Path]:
    """The files of this project that `path` imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(file for name in names if name.startswith(("handvae", "stages")) and (file := module_file(name)))


def code_of(stage_file: Path) -> set[str]:
    """Every file of this project that running the stage can execute, as dvc.yaml would name it."""
    seen, waiting = {stage_file}, [stage_file]
    while waiting:
        new = imported_files(waiting.pop()) - seen
        seen |= new
        waiting += new
    # a package's __init__ that holds nothing but its docstring cannot change a result
    return {str(file.relative_to(REPOSITORY)) for file in seen if len(ast.parse(file.read_text()).body) > 1}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stages_deps_are_the_modules_and_packages_that_it_imports(stage):
    entry = STAGES[stage].get("do", STAGES[stage])
    commands = entry["cmd"] if isinstance(entry["cmd"], list) else [entry["cmd"]]
    programs = [REPOSITORY / (command.split()[2].replace(".", "/") + ".py") for command in commands]
    listed = {dep for dep in entry["deps"] if dep.startswith(("handvae", "stages"))}
    needed = set().union(*map(code_of, programs))
    covered = {dep: {file for file in needed if file == dep or file.startswith(f"{dep}/")} for dep in listed}
    missing = needed - set().union(*covered.values())
    needless = {dep for dep, files in covered.items() if not files}
    assert not missing and not needless, f"{stage}: missing {sorted(missing)}, needless {sorted(needless)}"


def test_no_stage_runs_again_for_where_it_runs():
    params = [param for stage in STAGES.values() for param in stage.get("do", stage).get("params", [])]
    listed = {param for param in params if isinstance(param, str)}  # the others name a file
    profile = "profiles.${profile}"
    assert {f"{profile}.encoder_width", "recipes"} <= listed
    assert not listed & {"device", "resident", "profiles", profile, f"{profile}.needs_gpu"}


PACKAGES = ("base", "datasets", "synthetic", "download", "preprocessing", "model", "detection")
PACKAGES += ("evaluation", "prediction", "report", "reproduction")


def test_packages_import_only_what_stands_above_them():
    for path in sorted((REPOSITORY / "handvae").glob("*/*.py")):
        own = PACKAGES.index(path.parent.name)
        for file in imported_files(path):
            if file.parent.parent.name == "handvae":
                assert PACKAGES.index(file.parent.name) <= own, f"{path} imports {file}"


@pytest.mark.parametrize(
    "program, pillow",
    [("stages/train.py", set()), ("handvae/synthetic/scenes.py", set()), ("handvae/synthetic/generate.py", {"PIL"})],
)
def test_training_and_rendering_import_what_a_bare_gpu_machine_has(program, pillow):
    """torch, numpy, h5py, PyYAML and tqdm, and Pillow, which torchvision brings: no DVC, no scipy, no pandas."""
    imported = set()
    for name in code_of(REPOSITORY / program):
        for node in ast.parse((REPOSITORY / name).read_text()).body:  # what is imported at import, not on a rebuild
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"handvae", "stages"}
    assert "torch" in foreign and foreign <= {"torch", "numpy", "h5py", "yaml", "tqdm"} | pillow


def declared_in(folder: str) -> set[str]:
    """What the stages write into a folder for git, not for DVC's cache, by dvc.yaml, for the rows of params.yaml."""
    rows, paths = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["experiments"], set()
    for entry in STAGES.values():
        each = entry.get("foreach", [None])
        for item in rows if each == "${experiments}" else each:
            for written in chain.from_iterable(entry.get("do", entry).get(kind, []) for kind in OUTPUTS):
                path, kept = next(iter(written.items())) if isinstance(written, dict) else (written, {})
                if not kept.get("cache", True):
                    paths.add(path.replace("${item}", str(item)).replace("${key}", str(item)))
    return {path for path in paths if path.startswith(f"{folder}/")}


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="not a git checkout: nothing says what is tracked")
def test_reports_hold_what_the_stages_write_and_nothing_else():
    tracked = set(run("git", "ls-files", "reports", cwd=REPOSITORY).stdout.splitlines())
    # `make bench` writes the one, which no stage may wait for, and DVC the other
    tracked -= {"reports/benchmarks.md", "reports/.gitignore"}
    by_output = {path: {one for one in tracked if f"{one}/".startswith(f"{path}/")} for path in declared_in("reports")}
    foreign = tracked - set().union(*by_output.values())
    absent = {path for path, files in by_output.items() if not files}
    assert not foreign and not absent, f"written by no stage: {sorted(foreign)}; not there: {sorted(absent)}"


# of the grid, one row of every kind; DVC takes a name with a dot in it too
ROWS = ("rhd-2d-v1", "rhd-2d-v3-t", "rhd-rgb-v1", "stb-rgb-v1", "stb-rgb-v1-l10", "stb-rgb-v3-l10")
ROWS += ("stb-cross", "stb-separate", "icvl-resnet50", "nyu-w0.5", "msra-resnet18-p8")
# a report of nothing, where it is not what is looked at
NO_REPORT = (
    "mkdir -p reports && cd reports && mkdir -p tables figures metrics training notebooks && touch tables/a index.html"
)
NO_REPRODUCTION = "touch reports/reproduction.md"


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess:
    result = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True)
    assert result.returncode == 0, f"{command}:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return result


REPORT, REPRODUCTION = "python -m stages.report", "python -m stages.reproduction"


def clone_at_tiny(folder: Path, report: str = REPORT) -> Path:
    """The working tree's tracked and new files as a fresh repository: profile `tiny`, some rows of the grid.

    Of these the 2D ones train for seconds, and every eight steps leave a checkpoint.
    """
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=REPOSITORY).stdout.split("\n")
    for name in filter(None, listed):
        source = REPOSITORY / name
        if source.is_file() and not name.startswith("reports/") and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / name)
    with modify_yaml(folder / "params.yaml") as settings:
        rows = settings["experiments"]
        rows["nyu-w0.5"] = rows["nyu-resnet18"]
        for name in set(rows) - set(ROWS):
            del rows[name]
        settings["profile"] = "tiny"
        settings["profiles"]["tiny"]["training"]["joints_2d"] |= {"steps": 240}
    for name, old, new in (
        ("handvae/model/training.py", '"cpu": 30.0', '"cpu": 0.0'),
        ("dvc.yaml", f"cmd: {REPORT}", f"cmd: {report}"),
        ("dvc.yaml", f"cmd: {REPRODUCTION}", f"cmd: {REPRODUCTION if report == REPORT else NO_REPRODUCTION}"),
    ):
        text = (folder / name).read_text()
        assert text.count(old) == 1
        (folder / name).write_text(text.replace(old, new))
    run("git", "init", "-q", cwd=folder)
    commit_all(folder, "a clone at profile tiny")
    return folder


def commit_all(folder: Path, message: str) -> None:
    run("git", "add", "-A", cwd=folder)
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    run("git", *identity, "commit", "-q", "-m", message, cwd=folder)


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A clone in which `dvc repro` has run to the end. Tests leave it as it was."""
    folder = clone_at_tiny(tmp_path_factory.mktemp("clone"))
    run("dvc", "repro", cwd=folder)
    commit_all(folder, "results")
    return folder


def files(folder: Path, words: tuple[str, ...] = ("",)) -> dict[str, bytes]:
    """The artifacts but raw data whose paths have one of the words in them."""
    patterns = (
        "data/processed/*",
        "models/**/*",
        "data/predictions/*",
        "data/metrics/*",
        "data/training/*",
        "reports/**/*",
    )
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    names = sorted(str(path.relative_to(folder)) for path in found)
    return {name: (folder / name).read_bytes() for name in names if any(word in name for word in words)}


FIGURES = ("01", "03", "04a", "04b", "05a", "05b", "05c", "06", "08a", "08b", "09", "10a", "10b", "11", "12")


def test_the_whole_graph_leaves_every_table_figure_and_page(clone):
    reports = {name.removeprefix("reports/") for name in files(clone) if name.startswith("reports/")}
    read = ("table1", "table2", "table5", "table6", "depth", "parameters", "semi_supervised", "beyond")
    assert reports == {
        *("metrics.json", "metrics_pck.csv", "training.csv", "own_experiment.html", "index.html", "reproduction.md"),
        *(f"metrics/{name}{end}" for name in ROWS for end in (".json", "_pck.csv")),
        *(f"training/{name}.csv" for name in ROWS),
        *(f"tables/{name}.{kind}" for name in read for kind in ("csv", "tex")),
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
    pages = [Path(place, "index.html").read_text() for place in ("reports", "results/tiny")]
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
    shown = [run("dvc", "metrics", "show", "--json", *names, cwd=clone).stdout for names in ([], [f"{row}.json"])]
    files_of = [set(json.loads(text)[""]["data"]) for text in shown]
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


# the same again by workers, whatever is killed

TOGETHER = ("rhd-2d-v1", "rhd-2d-v3-t", "stb-cross")  # those of 2D joints train first, each for 240 steps
GRID = (sys.executable, "-m", "stages.grid", *TOGETHER, "--workers", "2")


@pytest.fixture(scope="module")
def again(tmp_path_factory) -> Path:
    """A second clone, without a cache to take anything from, where data were made by a `dvc repro` that was killed."""
    folder = clone_at_tiny(tmp_path_factory.mktemp("again"), report=NO_REPORT)
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


def paths_of(row: str) -> list[str]:
    """How the paths of what a row leaves begin; in reports/ it is the report that writes."""
    return [f"{folder}/{row}" for folder in ("models", "data/predictions", "data/metrics", "data/training")]


def started(folder: Path, **environment: str) -> subprocess.Popen:
    """The grid in a session of its own, with a PATH that has no Python of ours; its lines go to out.txt."""
    options = {"env": os.environ | {"PATH": "/usr/bin:/bin"} | environment, "start_new_session": True}
    with open(folder / ".git/out.txt", "w") as out:
        return subprocess.Popen(GRID, cwd=folder, stdout=out, stderr=subprocess.STDOUT, **options)


def lines(folder: Path) -> str:
    return (folder / ".git/out.txt").read_text()


def wait_for(condition, process: subprocess.Popen, folder: Path):
    end_s = time.monotonic() + 120
    while not (found := condition()):
        assert process.poll() is None and time.monotonic() < end_s, lines(folder)
        time.sleep(0.02)
    return found


def at_work(folder: Path, *words: str) -> list[psutil.Process]:
    """The processes that work in a folder's clones, with these words in their command."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            inside = Path(process.cwd()).is_relative_to(folder / ".grid") and process.status() != psutil.STATUS_ZOMBIE
            if inside and set(words) <= set(process.cmdline()):
                found.append(process)
    return found


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
        on = [next(parent for parent in one.parents() if parent.name() == "raylet") for one in (training, other)]
        assert on[0] != on[1]  # a row a node
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
    expected, found = files(clone, words), files(again, words)
    assert list(expected) == list(found) and len(expected) == 2 + 7 * len(TOGETHER)
    assert [name for name in expected if expected[name] != found[name]] == []
    of_clone, of_again = (
        yaml.load((folder / "dvc.lock").read_text(), yaml.CSafeLoader)["stages"] for folder in (clone, again)
    )
    for stage in (f"{kind}_paper@{row}" for row in TOGETHER for kind in ("train", "evaluate")):
        assert of_again[stage] == of_clone[stage]
