"""The table of what goes beyond the paper, on fabricated predictions whose errors are known joint by joint."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest

from handvae.base import params
from handvae.evaluation import bootstrap, statistics
from handvae.model import methods
from handvae.model.networks import parameter_count
from handvae.model.settings import settings_of
from handvae.report import beyond
from tests.conftest import REPOSITORY
from tests.fabricated import MODALITIES, hard_frames, result, trained, write_errors

LOADED = params.load(REPOSITORY / "params.yaml")
LATENT = {f"{what}_{name}": np.tile(np.arange(40.0)[:, None], 30) for what in ("mu", "log_var") for name in MODALITIES}


@pytest.fixture
def model(tmp_path):
    """A function that writes a row of params.yaml with given errors (N, J) of each seed, and returns its result."""

    def make(name, seeds_mm, turned_mm=None, latent=LATENT):
        experiment, block = LOADED.experiment(name), np.arange(len(seeds_mm[0]))
        every = np.ones(seeds_mm[0].shape, bool)
        of_mean = {"epe_mean_mm": lambda errors: bootstrap.mean(errors, every, block)}
        metrics = statistics.with_intervals(seeds_mm, of_mean, block, 0)
        metrics |= {"frames": len(block), "blocks": len(block), "mean_pose_epe_mm": 61.0, "auc_20_50": 0.5}
        metrics |= {"seeds": len(seeds_mm)} if len(seeds_mm) > 1 else {}
        if turned_mm is not None:
            metrics |= {"turned_epe_mean_mm": turned_mm, "turned_epe_mean_mm_low": turned_mm - 1, "turned_crops": 3}
            metrics |= {"turned_epe_mean_mm_high": turned_mm + 1, "turned_auc_20_50": 0.75}
        path = write_errors(tmp_path / f"{name}.h5", seeds_mm, latent=(latent,))
        with h5py.File(path, "r+") as file:
            file.attrs["settings"] = json.dumps(settings_of(LOADED, name).as_dict())
        keys = ("dataset", "input", "variant", "invariances", "encoder", "label_fraction", "recipe")
        facts = {key: getattr(experiment, key) for key in keys}
        return result(name, predictions=path, metrics=metrics, test_subject="", **facts)

    return make


def test_each_model_stands_beside_the_best_of_the_papers_variants_on_the_same_frames(model):
    errors_mm = hard_frames() + 20
    models = [model(f"rhd-rgb-v{variant}", trained(errors_mm + off)) for variant, off in ((1, 0), (2, -4), (3, 2))]
    ours = model("rhd-rgb-v5", trained(0.7 * (errors_mm - 4), seed=6), turned_mm=30.0)
    table = beyond.beyond_table([*models, ours, model("rhd-2d-v1", [errors_mm])])
    assert table["experiment"].tolist() == ["rhd-rgb-v1", "rhd-rgb-v2", "rhd-rgb-v3", "rhd-rgb-v5", "rhd-rgb-v5"]
    first, best, _, plain, turned = table.to_dict("records")
    assert pd.isna(best["lower_percent"]) and first["lower_percent"] < 0
    assert plain["lower_percent"] == pytest.approx(30, abs=0.01)
    assert 29 < plain["lower_percent_low"] < 30 < plain["lower_percent_high"] < 31
    assert (plain["turned_crops"], turned["turned_crops"]) == (1, 3)
    assert (turned["epe_mean_mm"], turned["epe_mean_mm_high"], turned["auc_20_50"]) == (30.0, 31.0, 0.75)
    before = models[1].metrics["epe_mean_mm"]
    assert turned["lower_percent"] == pytest.approx(100 * (before - 30) / before)
    assert pd.isna(turned["lower_percent_low"])
    assert turned["mflop_an_image"] == pytest.approx(3 * plain["mflop_an_image"])
    header, rows = beyond.beyond_text(table)
    assert all(len(row) == len(header) for row in rows) and rows[-1][1] == "5, 3 turned crops"


def test_shares_of_labels_are_apart_and_a_task_without_a_variant_of_ours_is_left_out(model):
    errors_mm = hard_frames()
    few = [model(name, [errors_mm]) for name in ("stb-rgb-v1-l5", "stb-rgb-v5-l5", "stb-rgb-v1", "stb-rgb-v5")]
    alone = model("icvl-resnet18", [errors_mm[:, :16]])
    table = beyond.beyond_table([*few, alone])
    assert table["label_percent"].tolist() == [5, 5, 100, 100]
    assert len(beyond.beyond_table([alone])) == 0 and list(beyond.beyond_table([alone])) == list(beyond.COLUMNS)


def test_the_purity_is_of_the_space_of_three_modalities(model):
    encodings, frames = np.random.default_rng(0).normal(size=(3, 40, 30)), hard_frames()
    latent = {f"mu_{name}": mu for name, mu in zip(MODALITIES, encodings, strict=True)}
    latent |= {f"log_var_{name}": np.zeros((40, 30)) for name in MODALITIES}
    apart = latent | {"mu_rgb": latent["mu_rgb"] + 100}
    mixed, half, without = (
        beyond.beyond_table([model(name, [frames], latent=columns)])["purity"].item()
        for name, columns in (("stb-rgb-v5", latent), ("rhd-rgb-v5", apart), ("rhd-rgb-maps", {}))
    )
    assert abs(mixed) < 10 and half > 25 and pd.isna(without)


def test_operations_and_parameters_are_those_of_the_network_that_predicts(model):
    settings = settings_of(LOADED, "rhd-2d-v1")
    network = methods.build(settings.architecture, 0)
    # Table 3: an encoder and a decoder of six linear layers
    sizes = [(42, 512), *[(512, 512)] * 4, (514, 60), (30, 512), *[(512, 512)] * 4, (512, 63)]
    assert beyond.mflop_an_image(network, settings) == pytest.approx(2 * sum(a * b for a, b in sizes) / 1e6)
    of_rgb = [settings_of(LOADED, name) for name in ("rhd-rgb-v1", "rhd-rgb-v2", "rhd-rgb-v5")]
    networks = [methods.build(of.architecture, 0) for of in of_rgb]
    first, second, ours = (beyond.mflop_an_image(*pair) for pair in zip(networks, of_rgb, strict=True))
    assert first == second < ours  # 3D -> 3D serves training alone
    row = beyond.beyond_table([model("rhd-rgb-v5", [hard_frames()])]).iloc[0]
    assert row["parameters"] == parameter_count(networks[2]) and row["mflop_an_image"] == pytest.approx(ours)
    assert row["training_steps"] == of_rgb[2].training.steps


def test_turned_crops_have_no_spread_of_one_seed_that_is_not_there(model):
    table = beyond.beyond_table([model("rhd-rgb-control", [hard_frames()], turned_mm=30.0)])
    assert "epe_mean_mm_sd" not in table and table["lower_percent"].isna().all()
