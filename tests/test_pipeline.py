"""dvc.yaml against the stages' imports, the files in git and the page of remotes; the order of the packages."""

import ast
import re
import sys
from itertools import chain
from modulefinder import ModuleFinder
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from tests.conftest import REPOSITORY
from tests.tiny_clone import run

STAGES = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
OUTPUTS = ("outs", "metrics", "plots")


def code_of(program: Path) -> set[str]:
    """Every file of this project that running a program can execute, as dvc.yaml would name it."""
    finder = ModuleFinder([str(REPOSITORY)])
    finder.run_script(str(program))
    files = [Path(module.__file__) for module in finder.modules.values() if module.__file__]
    # a package's __init__ that holds nothing but its docstring cannot change a result
    return {str(file.relative_to(REPOSITORY)) for file in files if len(ast.parse(file.read_text()).body) > 1}


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


def test_the_lock_in_git_is_one_that_dvc_reads_and_has_every_stage():
    """A name twice, as a merge by hand leaves it, and every command of DVC fails."""
    with Repo(REPOSITORY) as repository:
        stages = {stage.addressing for stage in repository.index.stages}
    assert set(yaml.load((REPOSITORY / "dvc.lock").read_text(), yaml.CSafeLoader)["stages"]) == stages


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
        for package in re.findall(r"^ *(?:from|import) handvae\.(\w+)", path.read_text(), re.MULTILINE):
            assert PACKAGES.index(package) <= PACKAGES.index(path.parent.name), f"{path} imports {package}"


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


def outputs() -> dict[str, bool]:
    """Every path that the stages write, for the rows of params.yaml, and whether it is in DVC's cache or in git."""
    rows, paths = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["experiments"], {}
    for entry in STAGES.values():
        each = entry.get("foreach", [None])
        for item in rows if each == "${experiments}" else each:
            for written in chain.from_iterable(entry.get("do", entry).get(key, []) for key in OUTPUTS):
                path, kept = next(iter(written.items())) if isinstance(written, dict) else (written, {})
                paths[path.replace("${item}", str(item)).replace("${key}", str(item))] = kept.get("cache", True)
    return paths


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="not a git checkout: nothing says what is tracked")
def test_reports_hold_what_the_stages_write_and_nothing_else():
    tracked = set(run("git", "ls-files", "reports", cwd=REPOSITORY).stdout.splitlines())
    # `make bench` writes the one, which no stage may wait for, and DVC the other
    tracked -= {"reports/benchmarks.md", "reports/.gitignore"}
    declared = [path for path, in_cache in outputs().items() if path.startswith("reports/") and not in_cache]
    files_of = {path: {file for file in tracked if f"{file}/".startswith(f"{path}/")} for path in declared}
    foreign, absent = tracked - set().union(*files_of.values()), [path for path in declared if not files_of[path]]
    assert not foreign and not absent, f"written by no stage: {sorted(foreign)}; not there: {absent}"


def test_the_page_of_remotes_has_every_output_where_dvc_keeps_it():
    page = (REPOSITORY / "docs/remotes.md").read_text()
    rows = [line.split("|")[1:4] for line in page.splitlines() if line.startswith("| ")]
    cached, in_git, _ = (set(re.findall(r"`([^`]+)`", "".join(column))) for column in zip(*rows, strict=True))
    for path, in_cache in outputs().items():
        names = cached if in_cache else in_git
        assert any(path.startswith(name.partition("<")[0].rstrip("/")) for name in names), path
