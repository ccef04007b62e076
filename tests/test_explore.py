"""notebooks/explore.ipynb, run by papermill on rows that the stages have trained at profile `tiny`."""

import base64
import io
import json
import re
import shutil
from pathlib import Path

import h5py
import nbformat
import numpy as np
import pytest
import yaml
from PIL import Image

from handvae.base.errors import InputError
from handvae.report import pages
from stages import evaluate, run, train
from tests.conftest import REPOSITORY
from tests.test_batches import write_depth_hands, write_hands

NOTEBOOK = REPOSITORY / "notebooks/explore.ipynb"
FACTS = {"source": "made up", "synthetic": True, "published": False}
GROUPS = ("train", "test")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with a model of three modalities, one of depth, and what they predict."""
    folder = tmp_path_factory.mktemp("project")
    tree = yaml.safe_load((REPOSITORY / "params.yaml").read_text()) | {"profile": "tiny"}
    (folder / "params.yaml").write_text(yaml.safe_dump(tree))
    (folder / "notebooks").mkdir()
    shutil.copy(NOTEBOOK, folder / "notebooks")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setenv("PYTHONPATH", str(REPOSITORY))
        Path("data/processed").mkdir(parents=True)
        write_hands("data/processed/stb.h5", count=40, groups=GROUPS, skeleton="HAND21", **FACTS)
        write_depth_hands("data/processed/icvl.h5", count=40, groups=GROUPS)
        with h5py.File("data/processed/icvl.h5", "r+") as file:
            file.attrs.update(FACTS | {"skeleton": "ICVL16"})
        for row in ("stb-cross", "icvl-resnet18"):
            run(train.main, row)
            run(evaluate.main, row)
        yield folder


def outputs(folder: Path, **parameters: object) -> tuple[str, list[np.ndarray]]:
    """What the notebook prints, and its pictures."""
    notebook = pages.executed(NOTEBOOK, parameters, str(folder))
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.get("text", "") for output in shown)
    pngs = [output["data"]["image/png"] for output in shown if "image/png" in output.get("data", {})]
    return printed, [np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")) for png in pngs]


def test_it_is_ten_cells_one_of_parameters_and_none_run():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert len(cells) == 10 and all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert [cell.metadata.get("tags") for cell in code].count(["parameters"]) == 1


@pytest.mark.parametrize("start", ["", "notebooks"])  # in Jupyter it starts where it lies
@pytest.mark.parametrize(("row", "decoders"), [("stb-cross", 3), ("icvl-resnet18", 1)])
def test_it_shows_a_hand_a_curve_and_samples_and_writes_nothing(project, start, row, decoders):
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*")}
    printed, (hand, curve, samples) = outputs(project / start, row=row)
    assert {path: path.stat().st_mtime_ns for path in project.rglob("*")} == before
    (epe_mm,) = re.findall(r"mean EPE ([\d.]+) mm", printed)
    assert float(epe_mm) == round(json.loads(Path(f"data/metrics/{row}.json").read_text())["epe_mean_mm"], 1)
    assert "profile tiny; 40 test frames" in printed
    assert all(picture.std() > 10 for picture in (hand, curve, samples))
    assert samples.shape[0] == pytest.approx(decoders * 1.5 * 150, abs=2)  # a line a decoder


def test_parameters_choose_the_hand_and_the_samples(project):
    first, second = (outputs(project, row="stb-cross", **change)[1] for change in ({}, {"hand": 4, "seed": 1}))
    assert not np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])
    assert not np.array_equal(first[2], second[2])


def test_without_a_model_or_predictions_it_says_what_is_missing(project, tmp_path):
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "models")
    printed, pictures = outputs(tmp_path, row="icvl-resnet18")
    assert len(pictures) == 2 and "No folder models/icvl-resnet18" in printed
    with pytest.raises(InputError, match=r"data/predictions/rhd-rgb-v1\.h5: expected the predictions"):
        outputs(tmp_path, row="rhd-rgb-v1")
