"""The DVC graph: its deps against the stages' imports, and the whole of it, run in a clone at profile `tiny`."""

import ast
import functools
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
import pytest
import yaml
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from ruamel.yaml.main import CParser
from voluptuous import MultipleInvalid

from handvae.base.dataset_params import MSRA_SUBJECTS
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
    program = entry["cmd"].split()[2].replace(".", "/") + ".py"
    listed = {dep for dep in entry["deps"] if dep.startswith(("handvae", "stages"))}
    needed = code_of(REPOSITORY / program)
    covered = {dep: {file for file in needed if file == dep or file.startswith(f"{dep}/")} for dep in listed}
    missing = needed - set().union(*covered.values())
    needless = {dep for dep, files in covered.items() if not files}
    assert not missing and not needless, f"{stage}: missing {sorted(missing)}, needless {sorted(needless)}"


def test_no_stage_runs_again_for_where_it_runs():
    listed = {param for stage in STAGES.values() for param in stage.get("do", stage).get("params", [])}
    profile = "profiles.${profile}"
    assert {f"{profile}.encoder_width", "recipes"} <= listed
    assert not listed & {"device", "resident", "profiles", profile, f"{profile}.needs_gpu"}


PACKAGES = ("base", "datasets", "synthetic", "download", "preprocessing", "model", "evaluation", "report")


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
    """What the stages write into a folder by dvc.yaml, for the rows of params.yaml."""
    rows, paths = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["experiments"], set()
    for entry in STAGES.values():
        each = entry.get("foreach", [None])
        for item in rows if each == "${experiments}" else each:
            for written in chain.from_iterable(entry.get("do", entry).get(kind, []) for kind in OUTPUTS):
                path = written if isinstance(written, str) else next(iter(written))
                paths.add(path.replace("${item}", str(item)).replace("${key}", str(item)))
    return {path for path in paths if path.startswith(f"{folder}/")}


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="not a git checkout: nothing says what is tracked")
def test_reports_hold_what_the_stages_write_and_nothing_else():
    tracked = set(run("git", "ls-files", "reports", cwd=REPOSITORY).stdout.splitlines())
    tracked.discard("reports/benchmarks.md")  # `make bench` writes it, which no stage may wait for
    by_output = {path: {one for one in tracked if f"{one}/".startswith(f"{path}/")} for path in declared_in("reports")}
    foreign = tracked - set().union(*by_output.values())
    absent = {path for path, files in by_output.items() if not files}
    assert not foreign and not absent, f"written by no stage: {sorted(foreign)}; not there: {sorted(absent)}"


# of the grid, one row of every kind
ROWS = ("rhd-2d-v1", "rhd-2d-v3-t", "rhd-rgb-v1", "stb-rgb-v1", "stb-rgb-v3", "stb-rgb-v1-l10", "stb-rgb-v3-l10")
ROWS += ("stb-cross", "stb-separate", "icvl-resnet50", "nyu-resnet18", "msra-resnet18-p8")


def run(*command: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess:
    result = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True)
    assert not check or result.returncode == 0, f"{command}:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return result


def clone_at_tiny(folder: Path) -> Path:
    """The working tree's tracked and new files as a fresh repository: profile `tiny`, some rows of the grid."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=REPOSITORY).stdout.split("\n")
    for name in filter(None, listed):
        source = REPOSITORY / name
        if source.is_file() and not name.startswith("reports/") and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / name)
    params = (folder / "params.yaml").read_text()
    assert params.count("\nprofile: small") == 1
    params = params.replace("\nprofile: small", "\nprofile: tiny")
    grid = params.index("\nexperiments:\n")
    rows = [line for line in params[grid:].splitlines() if line.strip().split(":")[0] in ("experiments", *ROWS)]
    (folder / "params.yaml").write_text(params[:grid] + "\n" + "\n".join(rows) + "\n")
    run("git", "init", "-q", cwd=folder)
    commit_all(folder, "a clone at profile tiny")
    return folder


def commit_all(folder: Path, message: str) -> None:
    run("git", "add", "-A", cwd=folder)
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    run("git", *identity, "commit", "-q", "-m", message, cwd=folder)


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A clone in which `dvc repro` has run to the end."""
    folder = clone_at_tiny(tmp_path_factory.mktemp("clone"))
    run("dvc", "repro", cwd=folder)
    commit_all(folder, "results")
    return folder


FIGURES = ("01", "03", "04a", "04b", "05a", "05b", "05c", "06", "08a", "08b", "09", "10a", "10b", "11", "12")


def files(folder: Path) -> dict[str, bytes]:
    """Every artifact but raw data, by its path."""
    patterns = ("data/processed/*", "models/**/*", "data/predictions/*", "data/*.h5", "reports/**/*")
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(found)}


def test_the_whole_graph_leaves_every_table_figure_and_page(clone):
    reports = {name.removeprefix("reports/") for name in files(clone) if name.startswith("reports/")}
    read = ("table1", "table2", "table5", "table6", "depth", "parameters", "semi_supervised")
    assert reports == {
        *("metrics.json", "metrics_pck.csv", "training.csv", "own_experiment.html", "index.html"),
        *(f"metrics/{name}{end}" for name in ROWS for end in (".json", "_pck.csv")),
        *(f"training/{name}.csv" for name in ROWS),
        *(f"tables/{name}.{kind}" for name in read for kind in ("csv", "tex")),
        *(f"tables/{name}.csv" for name in ("paired", "parameters_layers", "claims")),
        *(f"tables/tsne_{name}.csv" for name in ("fig01", "fig08a", "fig08b")),
        *("tables/tables.md", "tables/claims.md"),
        *(f"figures/fig{name}.png" for name in FIGURES),
        *(f"notebooks/{name}.ipynb" for name in ("tables", "curves", "latent_space", "predictions")),
    }
    assert "synthetic" in (clone / "reports/tables/table1.csv").read_text()


def test_what_is_deleted_comes_back_the_same(clone):
    before = files(clone)
    for name in (
        *("models/rhd-2d-v1/weights.pt", "data/predictions/stb-rgb-v3.h5", "data/processed/nyu.h5"),
        *("reports/metrics/stb-cross.json", "reports/training/stb-cross.csv", "reports/tables/table1.csv"),
        *("reports/figures/fig09.png", "reports/notebooks/curves.ipynb", "reports/index.html"),
        *("reports/own_experiment.html", "reports/metrics.json"),
    ):
        (clone / name).unlink()
    run("dvc", "repro", cwd=clone)
    after = files(clone)
    assert list(before) == list(after)
    assert [name for name in before if before[name] != after[name]] == []


def test_removing_and_renaming_experiments_leaves_no_row_and_no_file_of_theirs(clone):
    params = (clone / "params.yaml").read_text()
    kept = [line for line in params.splitlines() if not line.startswith(("  stb-separate:", "  stb-rgb-v1-l10:"))]
    (clone / "params.yaml").write_text("\n".join(kept).replace("  nyu-resnet18:", "  nyu-w0.5:") + "\n")
    run("dvc", "repro", cwd=clone)
    reports = {name: content for name, content in files(clone).items() if name.startswith("reports/")}
    for old in ("stb-separate", "stb-rgb-v1-l10", "nyu-resnet18"):
        assert [name for name in reports if old in name] == []
        assert [name for name, content in reports.items() if old.encode() in content] == []
    assert "reports/figures/fig08b.png" not in reports and "reports/tables/tsne_fig08b.csv" not in reports
    assert "reports/figures/fig08a.png" in reports and "reports/metrics/nyu-w0.5.json" in reports
    (clone / "params.yaml").write_text(params)
    run("dvc", "repro", cwd=clone)
    # the lock file keeps what DVC knows of stages that are gone; it shows nowhere
    assert run("git", "status", "--porcelain", cwd=clone).stdout in ("", " M dvc.lock\n")
    run("git", "checkout", "-q", "--", ".", cwd=clone)


def test_every_set_is_downloaded_checked_and_preprocessed(clone):
    groups = {name: {"train", "test"} for name in ("rhd", "stb", "icvl", "nyu")} | {"msra": set(MSRA_SUBJECTS)}
    for name, expected in groups.items():
        with h5py.File(clone / f"data/processed/{name}.h5") as file:
            assert set(file) == expected and file.attrs["synthetic"] and not file.attrs["published"]
            assert ("depth_f16" if name in ("icvl", "nyu", "msra") else "image_u8") in file[min(expected)]
            assert ("crops centred on the true joint" in file.attrs["source"]) == (name in ("icvl", "nyu", "msra"))


def test_a_depth_experiment_leaves_one_subject_out_and_is_scored_in_absolute_millimetres(clone):
    changes = ("dataset=msra", "input=depth", "invariances=T+H", "test_subject=P3", "variant=3")
    run("dvc", "exp", "run", *(word for change in changes for word in ("-S", change)), "train", "evaluate", cwd=clone)
    metrics = json.loads((clone / "reports/metrics.json").read_text())
    assert metrics["frames"] == 17 and {"epe_mean_mm", "pcf_20", "pcf_80"} <= set(metrics)
    with h5py.File(clone / "data/experiment.h5") as file:
        assert file["joints_true_mm"][:, :, 2].min() > 150  # absolute: in front of the camera, not around the palm
        assert all(name.startswith("P3/") for name in file["name"].asstr()[:])
    assert (clone / "reports/metrics_pck.csv").read_text().startswith("threshold_mm,pcf\n0.0,")
    run("git", "checkout", "-q", "--", ".", cwd=clone)
    run("dvc", "checkout", "-q", cwd=clone)


def test_a_second_repro_runs_nothing(clone):
    assert "Running stage" not in run("dvc", "repro", cwd=clone).stdout
    assert run("git", "status", "--porcelain", cwd=clone).stdout == ""


def test_a_snapshot_is_taken_of_a_whole_run_and_of_no_other(clone):
    snapshot = (sys.executable, "-m", "stages.snapshot", "results/tiny")
    run(*snapshot, cwd=clone)
    page = (clone / "results/tiny/README.md").read_text()
    assert f"| commit | {run('git', 'rev-parse', 'HEAD', cwd=clone).stdout.strip()} |" in page
    assert f"| models | {len(ROWS)}: {len(ROWS)} rows of 1 seed |" in page and "| MSRA15, 1 folds, ResNet-18 |" in page
    for name in ("tables", "figures", "metrics"):
        copied, made = (
            {path.name for path in (clone / place / name).iterdir()} for place in ("results/tiny", "reports")
        )
        assert copied == made
    assert run("dvc", "status", "--json", cwd=clone).stdout.strip() == "{}"  # DVC does not mind the copies
    params = (clone / "params.yaml").read_text()
    (clone / "params.yaml").write_text(params.replace("\nseeds: 1", "\nseeds: 2"))
    refused = run(*snapshot, cwd=clone, check=False)
    assert refused.returncode == 1 and refused.stderr.startswith("error: reports: expected the report of params.yaml")
    assert "train_paper@" in refused.stderr and refused.stderr.count("\n") == 1
    run("git", "checkout", "-q", "--", ".", cwd=clone)
    assert (clone / "results/tiny/README.md").read_text() == page
    shutil.rmtree(clone / "results")


def test_raw_images_are_not_in_the_cache(clone):
    images = list((clone / "data/raw/rhd").rglob("*.png"))
    assert len(images) > 20
    listings = [path.read_text() for path in (clone / ".dvc/cache").rglob("*.dir")]
    assert any("weights.pt" in listing for listing in listings)
    assert not any(".png" in listing for listing in listings)


def test_an_experiment_of_ones_own_reruns_nothing_of_the_grid_and_metrics_diff_shows_it(clone):
    before = json.loads((clone / "reports/metrics.json").read_text())
    output = run("dvc", "exp", "run", "-S", "variant=4", cwd=clone).stdout
    ran = {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}
    assert ran == {"train", "evaluate", "own_experiment"}
    after = json.loads((clone / "reports/metrics.json").read_text())
    assert before["epe_mean_mm"] != after["epe_mean_mm"]
    difference = json.loads(run("dvc", "metrics", "diff", "--json", cwd=clone).stdout)
    assert set(difference) == {"reports/metrics.json"} and "epe_mean_mm" in difference["reports/metrics.json"]
    run("dvc", "plots", "diff", "HEAD", "workspace", "-o", "dvc_plots", cwd=clone)
    page = (clone / "dvc_plots/index.html").read_text()
    for curve in ("reports/metrics_pck.csv", "reports/training.csv"):
        drawn = page[page.index(re.sub(r"[/.]", "_", curve)) :]  # the plot's id; its data follow
        assert '"rev": "HEAD"' in drawn and '"rev": "workspace"' in drawn
    run("git", "checkout", "-q", "--", ".", cwd=clone)
    run("dvc", "checkout", "-q", cwd=clone)


def test_an_experiment_outside_the_workspace_ends_like_one_in_it(clone):
    """An upstream stage must run again there, from raw data that is not there."""
    changes = ("-S", "data.rhd.protocol.hands=both", "-S", "profiles.tiny.context=1.25")
    command = ("dvc", "exp", "run", *changes)
    output = run(*command, "--temp", "--name", "outside", "train", "evaluate", cwd=clone).stdout
    ran = {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}
    assert ran == {"preprocess@rhd", "train", "evaluate"}
    (ref,) = run("git", "for-each-ref", "--format=%(refname)", "refs/exps/*/*/outside", cwd=clone).stdout.split()
    outside = run("git", "show", f"{ref}:reports/metrics.json", cwd=clone).stdout
    assert outside != (clone / "reports/metrics.json").read_text()
    shutil.rmtree(clone / ".dvc/cache/runs")  # from which DVC would take what it ran outside
    run(*command, "train", "evaluate", cwd=clone)
    assert outside == (clone / "reports/metrics.json").read_text()
    run("git", "checkout", "-q", "--", ".", cwd=clone)
    run("dvc", "checkout", "-q", cwd=clone)


def test_dvc_reads_its_files_by_libyaml():
    """A `dvc repro` with nothing to do reads YAML for half of its time, twice as long without."""
    assert CParser is not None, "expected ruamel.yaml.clib, as in requirements.txt"


def test_plots_show_curves_and_pictures(clone):
    run("dvc", "plots", "show", "-o", "dvc_plots", cwd=clone)
    page = (clone / "dvc_plots/index.html").read_text()
    assert "fig04a.png" in page and "fig10b.png" in page and "threshold_mm" in page and "rhd-rgb-v1" in page


def test_bad_parameters_stop_the_pipeline_in_one_line(clone):
    result = run("dvc", "exp", "run", "-S", "variant=7", cwd=clone, check=False)
    assert result.returncode != 0 and "variant: expected one of 1, 2, 3, 4, cross, separate, found '7'" in result.stderr
    run("git", "checkout", "-q", "--", ".", cwd=clone)
    run("dvc", "checkout", "-q", cwd=clone)


def killed_after(seconds: float, cwd: Path) -> bool:
    """`dvc repro`, it and all its children killed with SIGKILL after some seconds; False if it ended before.

    DVC writes dvc.lock and its own lock in place: a kill in those milliseconds leaves them cut; then they must go, as
    the README says.
    """
    process = subprocess.Popen(
        ["dvc", "repro"],
        cwd=cwd,
        env=ENVIRONMENT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if not lock_is_whole(cwd / "dvc.lock"):
            (cwd / "dvc.lock").unlink()
        if not own_lock_is_whole(cwd / ".dvc/tmp/rwlock"):
            (cwd / ".dvc/tmp/rwlock").unlink()
        return True


def lock_is_whole(path: Path) -> bool:
    """Whether DVC would take the file."""
    try:
        return not path.exists() or bool(COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(path.read_text())))
    except (yaml.YAMLError, MultipleInvalid):
        return False


def own_lock_is_whole(path: Path) -> bool:
    try:
        return not path.exists() or isinstance(json.loads(path.read_text()), dict)
    except ValueError:
        return False


def test_a_run_killed_again_and_again_ends_in_the_same_bytes_and_another_seed_in_others(clone, tmp_path):
    """The graph again, with no cache to take anything from, killed in many stages; and one model's other seed."""
    again = clone_at_tiny(tmp_path)
    assert sum(killed_after(seconds, again) for seconds in (4.0, 5.5, 7.0, 8.5, 10.0, 11.5, 13.0)) >= 4
    run("dvc", "repro", cwd=again)
    expected, found = files(clone), files(again)
    assert list(expected) == list(found) and len(expected) > 130
    assert [name for name in expected if expected[name] != found[name]] == []
    params = (again / "params.yaml").read_text()
    (again / "params.yaml").write_text(params.replace("\nseed: 0", "\nseed: 1"))
    weights = (again / "models/experiment/weights.pt").read_bytes()
    run(sys.executable, "-m", "stages.train", cwd=again)
    assert (again / "models/experiment/weights.pt").read_bytes() != weights
