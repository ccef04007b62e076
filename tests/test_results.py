import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

from handvae.base import params
from handvae.base.errors import InputError
from handvae.report import paper, tables
from handvae.report.predictions import read_arrays
from handvae.report.results import OtherSettingsError, expected_of, read_results
from tests.conftest import REPOSITORY
from tests.test_tables import numbers, result, seeds

ROW = params.Experiment("rhd", "rgb", 2, "T+S+H", "resnet18", 0, None, 0.3, 0.0, "ours", "proportional")
EXPECTED = expected_of("x", ROW, "small", "rhd")


def read_result(predictions, metrics, row=ROW):
    (read,) = read_results(predictions, metrics, "x", row, "small")
    return read


def write_result(folder, changes=None, without=(), metric_changes=None, without_metric=(), further_seeds=0):
    attributes = {**EXPECTED, "source": "synthetic hands", "synthetic": True, "published": False, **(changes or {})}
    with h5py.File(folder / "x.h5", "w") as file:
        file["row"] = np.arange(2728)
        for number in range(further_seeds):
            file.create_group(f"seed-{number + 1}/latent")
        file.attrs.update({key: value for key, value in attributes.items() if key not in without})
    metrics = {**numbers(25.0), **(metric_changes or {})}
    (folder / "x.json").write_text(json.dumps({k: v for k, v in metrics.items() if k not in without_metric}))
    return folder / "x.h5", folder / "x.json"


def test_a_result_is_read_from_its_two_files(tmp_path):
    read = read_result(*write_result(tmp_path))
    changes = {"source": "synthetic hands", "predictions": tmp_path / "x.h5", "trained_on": "rhd"}
    assert read == result("x", variant=2, label_fraction=0.3, **changes)
    assert read.provenance == "synthetic" and read.data == "RHD: synthetic hands; profile small; 2,728 test frames"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"changes": {"variant": 3}}, r"x\.h5: expected variant 2 as in params.yaml, found 3$"),
        ({"changes": {"variant": "cross"}}, r"x\.h5: expected variant 2 as in params.yaml, found 'cross'$"),
        ({"changes": {"label_fraction": 1.0}}, r"x\.h5: expected label_fraction 0.3 as in params.yaml, found 1.0$"),
        ({"without": ["label_fraction"]}, r"x\.h5: expected label_fraction 0.3 as in params.yaml, found None$"),
        ({"changes": {"profile": "tiny"}}, r"x\.h5: expected profile 'small'.*found 'tiny'"),
        ({"without": ["synthetic"]}, r"x\.h5: expected the attribute synthetic, found dataset, encoder, experiment"),
        ({"metric_changes": {"frames": 300}}, r"x\.json: expected the 2728 frames of .*x\.h5, found 300"),
        ({"without_metric": ["epe_median_mm_low"]}, r"x\.json: expected the key epe_median_mm_low"),
        ({"without_metric": ["blocks"]}, r"x\.json: expected the key blocks"),
        ({"without_metric": ["epe_median_all_joints_mm_high"]}, r"expected the key epe_median_all_joints_mm_high"),
        ({"metric_changes": {"seeds": 3}}, r"x\.json: expected the key epe_mean_mm_sd, found "),
        ({"metric_changes": seeds(3)}, r"x\.json: expected the 1 seeds of .*x\.h5, found 3"),
        ({"further_seeds": 2}, r"x\.json: expected the 3 seeds of .*x\.h5, found 1"),
    ],
)
def test_files_that_do_not_fit_each_other_or_the_params_are_refused_by_name(tmp_path, wrong, message):
    with pytest.raises(InputError, match=message):
        read_result(*write_result(tmp_path, **wrong))


def test_a_result_may_have_several_seeds_and_an_interval_that_is_not_there(tmp_path):
    missing = {"epe_mean_mm_low": None, "epe_mean_mm_high": None}
    read = read_result(*write_result(tmp_path, metric_changes=seeds(3) | missing, further_seeds=2))
    assert read.seeds == 3 and np.isnan(read.interval("epe_mean_mm")[1:]).all()
    table = tables.joint_table([replace(read, label_fraction=1.0)], paper.TABLES["table1"])
    assert tables.joint_text(table, paper.TABLES["table1"])[1][1][3].startswith(
        "25.00 [1 block of frames: no interval]\nsd 1.25 over"
    )


def test_a_variant_may_be_a_name(tmp_path):
    paths = write_result(tmp_path, changes={"variant": "cross"})
    read = read_result(*paths, replace(ROW, variant="cross"))
    assert read.variant == "cross" and not read.compared


@pytest.mark.parametrize("name", ["x.h5", "x.json"])
@pytest.mark.parametrize("content", [None, b"", b"not what it says"])
def test_a_missing_or_broken_file_is_refused_by_name(tmp_path, name, content):
    paths = write_result(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"^{tmp_path / name}: expected"):
        read_result(*paths)


def test_a_model_of_two_sets_has_a_result_on_each(tmp_path):
    row = params.load(REPOSITORY / "params.yaml").experiments["both-rgb-v1-t"]
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for dataset, frames in (("rhd", 2728), ("stb", 6000)):
            group = file.create_group(dataset)
            group["row"] = np.arange(frames)
            facts = {"source": f"synthetic {dataset}", "synthetic": True, "published": False}
            group.attrs.update(expected_of("both-rgb-v1-t", row, "small", dataset) | facts)
    of_sets = {"rhd": numbers(25.0), "stb": numbers(30.0) | {"frames": 6000}}
    (tmp_path / "x.json").write_text(json.dumps(of_sets))
    files = tmp_path / "x.h5", tmp_path / "x.json"
    read = read_results(*files, "both-rgb-v1-t", row, "small")
    assert [(one.dataset, one.metrics["epe_mean_mm"], one.metrics["frames"]) for one in read] == [
        ("rhd", 25.0, 2728),
        ("stb", 30.0, 6000),
    ]
    assert all(one.of_two_sets and not one.compared for one in read) and "STB: synthetic stb" in read[1].data
    assert len(read_arrays(read[1], "row")[0]) == 6000
    with pytest.raises(OtherSettingsError, match="expected profile 'paper'"):
        read_results(*files, "both-rgb-v1-t", row, "paper")
