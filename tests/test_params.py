import copy

import pytest
import yaml

from handvae.base import params
from handvae.base.errors import InputError


def load(tree, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(tree))
    return params.load(path)


def test_pairs_follow_the_variant_and_the_input(params_tree, tmp_path):
    loaded = load(params_tree, tmp_path)
    assert loaded.pairs(loaded.experiments["rhd-rgb-v4"]) == [
        ("rgb", "joints_3d"),
        ("rgb", "rgb"),
        ("joints_3d", "joints_3d"),
    ]
    assert loaded.pairs(loaded.experiments["rhd-2d-v3"]) == [("joints_2d", "joints_3d"), ("joints_2d", "joints_2d")]


def test_a_variant_may_name_its_modalities(params_tree, tmp_path):
    loaded = load(params_tree, tmp_path)
    pairs = loaded.pairs(loaded.experiments["stb-cross"])
    assert ("joints_2d", "joints_3d") in pairs and ("rgb", "rgb") in pairs and len(pairs) == 7
    assert all(source == target for source, target in loaded.pairs(loaded.experiments["stb-separate"]))


def test_own_experiment_is_the_top_level_and_the_grid_does_not_depend_on_it(params_tree, tmp_path):
    before = load(params_tree, tmp_path)
    changed = load({**params_tree, "variant": 4}, tmp_path)
    assert before.experiment(params.OWN).variant == 1 and changed.experiment(params.OWN).variant == 4
    assert before.experiments == changed.experiments


@pytest.mark.parametrize("letters, scale, side", [("T+S+H", 1, 1), ("T+S", 1, 0), ("T+H", 0, 1), ("T", 0, 0)])
def test_invariances_are_read_from_their_letters(params_tree, tmp_path, letters, scale, side):
    own = load({**params_tree, "invariances": letters}, tmp_path).own
    assert (own.scale_invariant, own.hand_side_given) == (bool(scale), bool(side))


def every_key(tree, path=()):
    for key, value in tree.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from every_key(value, (*path, key))


# Rows that users may add and remove: a missing one is not an error in itself.
FREE = {("profiles",), ("experiments",), ("variants",)}


def test_every_missing_key_is_an_error_that_names_it(params_tree, tmp_path):
    checked, rows = 0, params_tree["experiments"]
    params_tree["experiments"] = {"rhd-rgb-v1": rows["rhd-rgb-v1"]}  # one row stands for all
    for path in every_key(params_tree):
        if path[:-1] in FREE:
            continue
        tree = copy.deepcopy(params_tree)
        parent = tree
        for key in path[:-1]:
            parent = parent[key]
        del parent[path[-1]]
        with pytest.raises(InputError, match=str(path[-1])):
            load(tree, tmp_path)
        checked += 1
    assert checked > 100


def test_a_source_may_be_a_list_of_archives(params_tree, tmp_path):
    params_tree["data"]["icvl"] |= {"source": ["Training.tar.gz", "Testing.tar.gz"], "sha256": [None, "0" * 64]}
    assert load(params_tree, tmp_path).data["icvl"].source == ["Training.tar.gz", "Testing.tar.gz"]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"dataset": "icvl"}, "input: expected depth with dataset icvl, found 'rgb'"),
        ({"dataset": "icvl", "input": "depth"}, "invariances: expected T.H or T with depth, found 'T.S.H'"),
        (
            {"dataset": "msra", "input": "depth", "invariances": "T"},
            "test_subject: expected P0, .*, P8 with dataset msra, found null",
        ),
        ({"test_subject": "P0"}, "test_subject: expected null with dataset rhd, found P0"),
        (
            {"dataset": "icvl", "input": "depth", "invariances": "T+H", "variant": "separate"},
            "variant: expected pairs of depth, joints_3d with dataset icvl, found rgb->rgb, joints_2d->joints_2d",
        ),
    ],
)
def test_an_experiment_must_fit_its_dataset(params_tree, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        load(params_tree | changes, tmp_path)


def test_depth_has_its_own_modality_and_folds(params_tree, tmp_path):
    changes = {"dataset": "msra", "input": "depth", "invariances": "T+H", "test_subject": "P8", "variant": 3}
    loaded = load(params_tree | changes, tmp_path)
    assert loaded.pairs(loaded.own) == [("depth", "joints_3d"), ("depth", "depth")]


def test_a_misspelt_key_is_an_error_that_names_it(params_tree, tmp_path):
    params_tree["loss"]["kl_wieght"] = params_tree["loss"].pop("kl_weight")
    with pytest.raises(InputError, match=r"params.yaml: loss.*missing: kl_weight; unknown: kl_wieght"):
        load(params_tree, tmp_path)


@pytest.mark.parametrize(
    "path, value, message",
    [
        (("seed",), "0", "seed: expected int, found '0'"),
        (("seed",), True, "seed: expected int, found True"),
        (("variant",), 5, "variant: expected one of 1, 2, 3, 4, cross, separate, found '5'"),
        (("input",), "depth", "input: expected rgb or joints_2d with dataset rhd, found 'depth'"),
        (("dataset",), "hands", "dataset: expected one of .*stb.*, found 'hands'"),
        (("profile",), "big", "profile: expected one of .*, found 'big'"),
        (("loss", "kl_weight"), "1e-4", "loss.kl_weight: expected float, found '1e-4' .*write 1.0e-4"),
        (("loss", "kl_weight"), -1.0, "loss.kl_weight: expected a positive number, found -1.0"),
        (
            ("loss", "modality_weights"),
            {"rgb": 1.0},
            "modality_weights: expected rgb, depth, joints_2d, joints_3d, found rgb",
        ),
        (("variants", "1"), ["i->q"], r"variants.1: expected a->b with a and b of i, t, rgb.*, found 'i->q'"),
        (("variants", "1"), ["i->t", "i->t"], "variants.1: expected one or more pairs, each once"),
        (
            ("variants", "1"),
            ["i->i"],
            "variant: expected a pair rgb->joints_3d or joints_3d->joints_3d to score, found rgb->rgb",
        ),
        (("label_fraction",), 0.0, "label_fraction: expected more than 0 and at most 1, found 0.0"),
        (("seeds",), 0, "seeds: expected a positive number, found 0"),
        (("augmentation", "scale"), [1.2, 1.0], "scale: expected .low, high."),
        (("profiles", "small", "crop_px"), 100, "crop_px: expected a power of two, at least 64, found 100"),
        (
            ("profiles", "small", "training", "rgb", "steps"),
            0,
            "training.rgb.steps: expected a positive number, found 0",
        ),
        (("experiments", "rhd-rgb-v1", "variant"), 9, "experiments.rhd-rgb-v1: variant"),
        (("experiments",), ["rhd"], "experiments: expected dict"),
        (
            ("data", "rhd", "protocol", "hands"),
            "all",
            "data.rhd.protocol.hands: expected one of dominant, both, found 'all'",
        ),
        (("data", "stb", "protocol", "views"), ["top"], r"views\[0\]: expected one of left, right, found 'top'"),
        (("data", "msra", "protocol"), {}, "data.msra.protocol: expected the keys centre; missing: centre"),
        (("data", "icvl", "source"), ["a.zip", 3], "data.icvl.source: expected"),
        (
            ("data", "icvl", "references"),
            {"V2V": "v2v.txt"},
            "data.icvl.references: expected labels among them, found V2V",
        ),
        (("data", "rhd", "references"), {"labels": "a"}, "data.rhd.references: expected none, found labels"),
        (("data", "icvl", "sha256"), 7, "data.icvl.sha256: expected"),
        (("profiles", "tiny", "synthetic", "stb"), {"sequence": 0}, "stb.sequence: expected a positive number"),
        (("profiles", "tiny", "synthetic", "nyu"), {"training": 1}, "synthetic.nyu: .*missing: evaluation"),
    ],
)
def test_a_wrong_value_is_an_error_with_expected_and_found(params_tree, tmp_path, path, value, message):
    parent = params_tree
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    with pytest.raises(InputError, match=message):
        load(params_tree, tmp_path)


@pytest.mark.parametrize("name", ["rhd-2d-v1-l0.5", "A_b", "7", "_"])
def test_a_row_may_be_named_by_letters_digits_and_some_signs(params_tree, tmp_path, name):
    row = params_tree["experiments"]["rhd-2d-v1"]
    assert list(load(params_tree | {"experiments": {name: row}}, tmp_path).experiments) == [name]


@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", "../a", ".a", "-a", "a@b", "a:b", "é", "a'b", "a$b", "a*", "a_pck", "a\n"]
)
def test_another_name_of_a_row_is_refused(params_tree, tmp_path, name):
    row = params_tree["experiments"]["rhd-2d-v1"]
    with pytest.raises(InputError, match=r"experiments: expected names of letters, digits, - _ and \., .*, found "):
        load(params_tree | {"experiments": {name: row}}, tmp_path)


def test_broken_yaml_and_a_missing_file_are_one_line_errors(tmp_path):
    (tmp_path / "params.yaml").write_text("a: [1\nb: {")
    for path in ("params.yaml", "absent.yaml"):
        with pytest.raises(InputError) as caught:
            params.load(tmp_path / path)
        assert path in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_experiment_is_named_with_the_known_ones(params_tree, tmp_path):
    with pytest.raises(InputError, match=r"no experiment 'rhd-rgb-v9' under experiments: .*rhd-2d-v1"):
        load(params_tree, tmp_path).experiment("rhd-rgb-v9")
