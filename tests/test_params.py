import copy
import dataclasses
import functools
import json
import operator

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from handvae.base import params, yaml_text
from handvae.base.errors import InputError
from handvae.model.settings import settings_of
from tests.conftest import REPOSITORY

TEXT = (REPOSITORY / "params.yaml").read_text()
TREE = yaml.safe_load(TEXT)
MSRA = {"dataset": "msra", "input": "depth", "invariances": "T+H", "test_subject": "P8"}


@pytest.fixture
def params_tree() -> dict:
    return copy.deepcopy(TREE)


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Loads a tree as if it stood in params.yaml, without the time that YAML takes."""
    path = tmp_path / "params.yaml"
    path.touch()

    def load(tree: dict) -> params.Params:
        with monkeypatch.context() as patch:
            patch.setattr(yaml_text, "load", lambda text: tree)
            return params.load(path)

    return load


def parent_of(tree: dict, path: str) -> tuple[dict, str]:
    """Where the last key of a path of keys stands, and that key."""
    *way, last = path.split("/")
    return functools.reduce(operator.getitem, way, tree), last


def test_pairs_follow_the_variant_and_the_input(params_tree, load):
    loaded = load(params_tree | MSRA | {"variant": 3})
    pairs = {name: loaded.pairs(experiment) for name, experiment in loaded.experiments.items()}
    assert pairs["rhd-rgb-v4"] == [("rgb", "joints_3d"), ("rgb", "rgb"), ("joints_3d", "joints_3d")]
    assert pairs["rhd-2d-v3"] == [("joints_2d", "joints_3d"), ("joints_2d", "joints_2d")]
    assert loaded.pairs(loaded.own) == [("depth", "joints_3d"), ("depth", "depth")]
    assert {("joints_2d", "joints_3d"), ("rgb", "rgb")} < set(pairs["stb-cross"]) and len(pairs["stb-cross"]) == 7
    assert all(source == target for source, target in pairs["stb-separate"])


def test_own_experiment_is_the_top_level_and_the_grid_does_not_depend_on_it(params_tree, load):
    before, changed = load(params_tree), load({**params_tree, "variant": 4})
    assert before.experiment(params.OWN).variant == 1 and changed.experiment(params.OWN).variant == 4
    assert before.experiments == changed.experiments
    experiment = load({**params_tree, "invariances": "T+S"}).own
    assert experiment.scale_invariant and not experiment.hand_side_given
    with pytest.raises(InputError, match=r"no experiment 'rhd-rgb-v9' under experiments: .*rhd-2d-v1"):
        before.experiment("rhd-rgb-v9")


def every_key(tree, path=""):
    for key, value in tree.items():
        yield f"{path}{key}"
        if isinstance(value, dict):
            yield from every_key(value, f"{path}{key}/")


def test_every_missing_key_is_an_error_that_names_it(params_tree, load):
    rows = params_tree["experiments"]
    params_tree["experiments"] = {"rhd-rgb-v3": rows["rhd-rgb-v3"]}  # one row stands for all
    # users may add and remove their keys: a missing one is not an error in itself
    free = {"profiles", "experiments", "variants", "recipes"}
    free |= {f"profiles/{profile}/steps_share" for profile in params_tree["profiles"]}
    checked = 0
    for path in list(every_key(params_tree)):
        if path.rpartition("/")[0] not in free:
            parent, key = parent_of(params_tree, path)
            value = parent.pop(key)
            with pytest.raises(InputError, match=key):
                load(params_tree)
            parent[key] = value
            checked += 1
    assert checked > 100


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("seed", -1, "seed: expected a whole number from 0 to .*, found -1"),
        ("variant", 7, "variant: expected one of 1, 2, 3, 4, cross, separate, 5, .* found '7'"),
        ("label_fraction", 0.0, "label_fraction: expected more than 0 and at most 1, found 0.0"),
        ("resident", True, "resident: expected one of auto, device, host, found True"),
        ("defaults/sede", 1, "defaults: expected keys of an experiment, found sede"),
        ("experiments/rhd-rgb-v1/variant", 9, "experiments.rhd-rgb-v1: variant"),
        ("variants/1", ["i->q"], r"variants.1.0.: expected a->b with a and b of i, t, rgb.*, found 'i->q'"),
        ("variants/1", ["i->i"], "variant: expected a pair rgb->joints_3d or .* to score, found rgb->rgb"),
        ("recipes/ours/kl_weight", "1e-", "ours.kl_weight: expected float, found '1e-'"),
        ("recipes/ours/kl_wieght", 1.0, "params.yaml: recipes.ours.*; unknown: kl_wieght"),
        ("profiles/tiny/decoder_width", 1, "decoder_width: expected at least 2 at crop_px 64.*, found 1"),
        ("profiles/tiny/encoder_width", 24, "tiny.encoder_width: expected a multiple of 16 .*oneDNN.*, found 24"),
        ("profiles/small/crop_px", 100, "crop_px: expected a power of two, at least 64, found 100"),
        ("profiles/small/steps_share", {"rdh": 0.5}, "steps_share: expected sets or variants, rhd, .*found 'rdh'"),
        ("evaluation/turned_crops/variants", ["6"], "evaluation.turned_crops.variants: expected variants, found '6'"),
        ("profiles/tiny/synthetic/stb/background_frames", "none", r"_frames: expected int \| None, found 'none'"),
        ("data/rhd/protocol/hands", "all", "data.rhd.protocol.hands: expected one of dominant, both, found 'all'"),
        ("data/icvl/source", ["a.zip", 3], "data.icvl.source: expected"),
        ("data/icvl/references", {"V2V": "v2v.txt"}, "data.icvl.references: expected labels among them, found V2V"),
        ("data/rhd/references", {"labels": "a"}, "data.rhd.references: expected none, found labels"),
    ],
)
def test_a_wrong_value_is_an_error_with_expected_and_found(params_tree, load, path, value, message):
    parent, key = parent_of(params_tree, path)
    parent[key] = value
    with pytest.raises(InputError, match=message):
        load(params_tree)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": "depth"}, "input: expected rgb or joints_2d with dataset rhd, found 'depth'"),
        ({"test_subject": "P0"}, "test_subject: expected null with dataset rhd, found P0"),
        ({"dataset": "icvl"}, "input: expected depth with dataset icvl, found 'rgb'"),
        ({"dataset": "rhd+stb", "input": "depth"}, r"input: expected .* with dataset rhd\+stb, found 'depth'"),
        (MSRA | {"invariances": "T+S"}, "invariances: expected T.H or T with depth, found 'T.S'"),
        (MSRA | {"test_subject": None}, "test_subject: expected P0, .*, P8 with dataset msra, found null"),
        (MSRA | {"variant": "separate"}, "variant: expected pairs of depth, .* found rgb->rgb"),
        (MSRA | {"variant": "zb17"}, "variant: expected no pair from heatmaps with dataset msra, found .*"),
        ({"variant": "zb17-2d"}, "variant: expected the pairs of .38., rgb->heatmaps, heatmaps->joints_3d, with input"),
        ({"variant": "mixed"}, "variant: expected the pairs of .38.*, found rgb->joints_3d, heatmaps->joints_3d"),
        ({"variant": "twice", "input": "joints_2d"}, "variant: expected each pair once with input joints_2d, found"),
        ({"seed": 2**63}, "seed: expected a whole number from 0 to"),
        ({"variant": "5", "input": "joints_2d"}, "variant: expected heatmaps of an image with input joints_2d"),
    ],
)
def test_an_experiment_must_fit_its_dataset(params_tree, load, changes, message):
    params_tree["variants"] |= {"mixed": ["i->t", "heatmaps->t"], "twice": ["i->t", "joints_2d->t"]}
    with pytest.raises(InputError, match=message):
        load(params_tree | changes)


def test_a_repeated_row_has_the_models_of_its_profile_where_these_are_more_than_all_rows_have(params_tree, load):
    names = ("rhd-2d-v1", "rhd-rgb-v1", "rhd-rgb-v3", params.OWN)  # repeated; not; by the defaults; one's own
    before = load(params_tree)
    params_tree["profiles"]["small"]["repeated_seeds"] = 3
    params_tree["experiments"]["rhd-rgb-v1"]["repeated"] = False
    for seeds, expected in ((1, [3, 1, 1, 1]), (2, [3, 2, 2, 1]), (5, [5, 5, 5, 1])):
        loaded = load(params_tree | {"seeds": seeds})
        assert [loaded.models_of(name) for name in names] == expected
    assert load(params_tree | {"profile": "tiny"}).models_of("rhd-2d-v1") == 1
    # it is no setting of its models
    assert all(settings_of(before, name) == settings_of(loaded, name) for name in before.experiments)
    assert "repeated" not in json.dumps(settings_of(loaded, "rhd-2d-v1").as_dict())


def test_a_dataset_and_a_variant_are_trained_for_their_share_of_the_steps(params_tree, load):
    whole = load(params_tree)
    params_tree["profiles"]["small"]["steps_share"] = {"stb": 0.5, "rhd+stb": 2.0, "5": 1.5}
    loaded = load(params_tree)
    shares = {"rhd-rgb-v1": 1, "stb-rgb-v1": 0.5, "both-rgb-v1-t": 2, "nyu-resnet18": 1, "rhd-rgb-v5": 1.5}
    for name, share in (shares | {"stb-rgb-v5": 0.75}).items():
        before, after = settings_of(whole, name), settings_of(loaded, name)
        assert after.training.steps == share * before.training.steps > 0
        assert dataclasses.replace(after, training=before.training) == before


def test_a_row_may_be_named_by_letters_digits_and_some_signs_alone(params_tree, load):
    row = params_tree["experiments"]["rhd-2d-v1"]
    for name in ("rhd-2d-v1-l0.5", "A_b", "7", "_"):
        assert list(load(params_tree | {"experiments": {name: row}}).experiments) == [name]
    for name in ("", "a b", "../a", ".a", "-a", "a@b", "é", "a$b", "a*", "a_pck", "a\n"):
        with pytest.raises(InputError, match=r"experiments: expected names of letters, digits, - _ and \., .*, found "):
            load(params_tree | {"experiments": {name: row}})


# as people and their tools write


def test_dvc_changes_the_lines_of_the_values_that_are_set_and_no_others(tmp_path):
    """params.yaml stands as DVC's writer would write it, and no line is so long that another value would break it."""
    changes = [
        *("variant=2", "data.rhd.sha256=0f", "data.rhd.source=/data/RHD_published_v2", "recipes.ours.kl_weight=1e-5"),
        *("profiles.paper.training.joints_2d.optimiser=muon", "profiles.small.synthetic.rhd.training=14500"),
        *("experiments.rhd-2d-v1.variant=separate", "experiments.msra-resnet18-p8.invariances=T"),
        *("experiments.stb-rgb-v1-l10.label_fraction=0.125", "variants.1=['t->t']"),
    ]
    path = tmp_path / "params.yaml"
    path.write_text(TEXT)
    apply_overrides(path, changes)
    before, after = TEXT.split("\n"), path.read_text().split("\n")
    assert len(before) == len(after)
    assert sum(old != new for old, new in zip(before, after, strict=True)) == len(changes)
    params.load(path)


def test_broken_yaml_and_a_missing_file_are_one_line_errors(tmp_path):
    (tmp_path / "params.yaml").write_text("a: [1\nb: {")
    for path in ("params.yaml", "absent.yaml"):
        with pytest.raises(InputError) as caught:
            params.load(tmp_path / path)
        assert path in str(caught.value) and "\n" not in str(caught.value)


def test_numbers_are_read_as_dvc_and_people_write_them_and_what_is_none_stays_text():
    for written, value in {"5e-05": 5e-5, "1.e-4": 1e-4, "+1e3": 1e3, ".5e0": 0.5, "+.5": 0.5, "3": 3}.items():
        assert yaml_text.load(f"[{written}, -{written.lstrip('+')}]") == [value, -value]
    for written in ("1e", "1_0e3", "e-4", "1e-4x", "0.1.2", "1.2,5e"):
        assert yaml_text.load(f"key: {written}") == {"key": written}


@pytest.mark.parametrize("written", ["12345678" * 8, "12e45678", "2026-01-31", "[0x10]"])
def test_text_that_yaml_takes_for_something_else_wants_quotes_and_is_told_so(params_tree, load, written):
    source = params_tree["data"]["rhd"]
    source["sha256"] = yaml_text.load(written)
    with pytest.raises(InputError, match=r"data\.rhd\.sha256: expected .* found .* in quotes it is text\)$"):
        load(params_tree)
    source["sha256"] = yaml_text.load(f"'{written}'")
    assert load(params_tree).data["rhd"].sha256 == written


def test_a_list_of_one_is_as_without_brackets_and_a_tilde_is_the_home_folder(params_tree, load, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    params_tree["data"]["rhd"] |= {"source": ["~/RHD_v1-1.zip"], "sha256": ["0" * 64]}
    params_tree["data"]["icvl"] |= {"source": ["~/Training.tar.gz", "http://host/~me/Testing.tar.gz"]}
    params_tree["data"]["icvl"] |= {"references": {"labels": "~/labels.txt", "REN": "REN.txt"}}
    params_tree["data"]["nyu"]["source"] = "~/mine"
    params_tree["data"]["stb"]["source"] = ["synthetic"]
    data = load(params_tree).data
    assert (data["rhd"].source, data["rhd"].sha256) == ("/home/me/RHD_v1-1.zip", "0" * 64)
    assert data["icvl"].source == ["/home/me/Training.tar.gz", "http://host/~me/Testing.tar.gz"]
    assert data["icvl"].references == {"labels": "/home/me/labels.txt", "REN": "REN.txt"}
    assert (data["nyu"].source, data["stb"].source) == ("/home/me/mine", "synthetic")
