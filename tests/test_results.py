import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

from handvae.base import params
from handvae.base.errors import InputError
from handvae.report.grid_results import departures
from handvae.report.predictions import OtherSettingsError, expected_of, read_arrays, read_results
from tests.conftest import REPOSITORY
from tests.fabricated import numbers, result, seeds

ROW = params.Experiment("rhd", "rgb", 2, "T+S+H", "resnet18", 0, None, 0.3, 0.0, "ours", "proportional")
SOURCE = {"source": "synthetic hands", "synthetic": True, "published": False}


def write_result(folder, changes=None, without=(), metric_changes=None, further_seeds=0):
    """An experiment's two files; `without`: attributes and metrics that they lack."""
    attributes = expected_of("x", ROW, "small", "rhd") | SOURCE | (changes or {})
    with h5py.File(folder / "x.h5", "w") as file:
        file["row"] = np.arange(2728)
        for number in range(further_seeds):
            file.create_group(f"seed-{number + 1}/latent")
        file.attrs.update({key: value for key, value in attributes.items() if key not in without})
    metrics = numbers(25.0) | (metric_changes or {})
    (folder / "x.json").write_text(json.dumps({key: metrics[key] for key in metrics if key not in without}))
    return folder / "x.h5", folder / "x.json"


def read_result(*paths, row=ROW):
    (read,) = read_results(*paths, "x", row, "small")
    return read


def test_a_result_is_read_from_its_two_files(tmp_path):
    read = read_result(*write_result(tmp_path))
    changes = {"source": "synthetic hands", "predictions": tmp_path / "x.h5", "trained_on": "rhd"}
    assert read == result("x", variant=2, label_fraction=0.3, **changes)
    assert read.provenance == "synthetic" and read.data == "RHD: synthetic hands; profile small; 2,728 test frames"
    named = write_result(tmp_path, changes={"variant": "cross"})
    assert not read_result(*named, row=replace(ROW, variant="cross")).compared


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"changes": {"variant": "cross"}}, r"x\.h5: expected variant 2 as in params.yaml, found 'cross'$"),
        ({"changes": {"profile": "tiny"}}, r"x\.h5: expected profile 'small'.*found 'tiny'"),
        ({"without": ["label_fraction"]}, r"x\.h5: expected label_fraction 0.3 as in params.yaml, found None$"),
        ({"without": ["synthetic"]}, r"x\.h5: expected the attribute synthetic, found dataset, encoder, experiment"),
        ({"without": ["epe_median_all_joints_mm_high"]}, r"x\.json: expected the key epe_median_all_joints_mm_high"),
        ({"metric_changes": {"frames": 300}}, r"x\.json: expected the 2728 frames of .*x\.h5, found 300"),
        ({"metric_changes": {"seeds": 3}}, r"x\.json: expected the key epe_mean_mm_sd, found "),
        ({"further_seeds": 2}, r"x\.json: expected the 3 seeds of .*x\.h5, found 1"),
    ],
)
def test_files_that_do_not_fit_each_other_or_the_params_are_refused_by_name(tmp_path, wrong, message):
    with pytest.raises(InputError, match=message):
        read_result(*write_result(tmp_path, **wrong))


@pytest.mark.parametrize(("name", "content"), [("x.h5", None), ("x.json", None), ("x.h5", b"no HDF5"), ("x.json", b"")])
def test_a_missing_or_broken_file_is_refused_by_name(tmp_path, name, content):
    paths = write_result(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"^{tmp_path / name}: expected"):
        read_result(*paths)


def test_a_result_may_have_several_seeds_and_an_interval_that_is_not_there(tmp_path):
    missing = {"epe_mean_mm_low": None, "epe_mean_mm_high": None}
    read = read_result(*write_result(tmp_path, metric_changes=seeds(3) | missing, further_seeds=2))
    assert read.seeds == 3 and np.isnan(read.interval("epe_mean_mm")[1:]).all()


def test_a_model_of_two_sets_has_a_result_on_each(tmp_path):
    name, frames = "both-rgb-v1-t", {"rhd": 2728, "stb": 6000}
    row = params.load(REPOSITORY / "params.yaml").experiments[name]
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for dataset, count in frames.items():
            file[f"{dataset}/row"] = np.arange(count)
            facts = expected_of(name, row, "small", dataset) | SOURCE | {"source": f"synthetic {dataset}"}
            file[dataset].attrs.update(facts)
    of_sets = {"rhd": numbers(25.0), "stb": numbers(30.0) | {"frames": 6000}}
    (tmp_path / "x.json").write_text(json.dumps(of_sets))
    files = tmp_path / "x.h5", tmp_path / "x.json"
    read = read_results(*files, name, row, "small")
    assert [(of_set.dataset, of_set.metrics) for of_set in read] == list(of_sets.items())
    assert all(of_set.of_two_sets and not of_set.compared for of_set in read) and "STB: synthetic stb" in read[1].data
    assert len(read_arrays(read[1], "row")[0]) == 6000
    with pytest.raises(OtherSettingsError, match="expected profile 'paper'"):
        read_results(*files, name, row, "paper")


@pytest.mark.parametrize(
    ("dataset", "input_", "variant", "invariances", "expected"),
    [
        ("rhd", "joints_2d", 4, "T+S+H", {"epe_mean_mm": 17.63, "epe_median_mm": 14.83}),
        ("stb", "rgb", 3, "T+S", {"epe_mean_mm": 10.16, "epe_median_mm": 9.11}),
        ("rhd", "rgb", 4, "T", {}),  # fewer invariances: of the best variant only
        ("rhd", "rgb", "cross", "T+S+H", {}),
        ("icvl", "depth", 1, "T+H", {"epe_mean_mm": 8.5}),
        ("nyu", "depth", 1, "T+H", {}),
    ],
)
def test_an_experiment_stands_beside_what_the_paper_prints(dataset, input_, variant, invariances, expected):
    assert result("x", input_, variant, dataset=dataset, invariances=invariances).printed_mm == expected


def test_what_a_profile_augments_otherwise_than_the_paper_is_said_of_the_inputs_that_were_trained(tmp_path):
    text = (REPOSITORY / "params.yaml").read_text()
    profiles = {}
    for name in ("paper", "small"):
        (tmp_path / "params.yaml").write_text(text.replace("\nprofile: small ", f"\nprofile: {name} "))
        profiles[name] = params.load(tmp_path / "params.yaml").profile.augmentation
    assert departures(profiles["paper"], {"rgb", "depth", "joints_2d"}, "paper") == ""
    assert departures(profiles["small"], {"rgb", "joints_2d"}, "small").startswith(
        "Profile small augments otherwise than the paper. RGB: flip two_sided (the paper: always); "
        "2D joints: rotation_deg 45.0 (the paper: 0.0), flip two_sided (the paper: never). "
    )
