import copy
import dataclasses
import json

import pytest
import yaml

from handvae.base import params
from handvae.base.errors import InputError
from handvae.model.settings import settings_of
from tests.conftest import REPOSITORY


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
FREE = {("profiles",), ("experiments",), ("variants",), ("recipes",)}


def test_every_missing_key_is_an_error_that_names_it(params_tree, tmp_path):
    checked, rows = 0, params_tree["experiments"]
    params_tree["experiments"] = {"rhd-rgb-v1": rows["rhd-rgb-v1"]}  # one row stands for all
    for path in every_key(params_tree):
        if path[:-1] in FREE or path[-2:-1] == ("steps_share",):
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
        ({"dataset": "stb+rhd"}, "dataset: expected one of .*, rhd.stb, found 'stb.rhd'"),
        (
            {"dataset": "rhd+stb", "input": "depth"},
            "input: expected rgb or joints_2d with dataset rhd.stb, found 'depth'",
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
    params_tree["recipes"]["ours"]["kl_wieght"] = params_tree["recipes"]["ours"].pop("kl_weight")
    with pytest.raises(InputError, match=r"params.yaml: recipes.ours.*missing: kl_weight; unknown: kl_wieght"):
        load(params_tree, tmp_path)


@pytest.mark.parametrize(
    "path, value, message",
    [
        (("seed",), "0", "seed: expected int, found '0'"),
        (("seed",), True, "seed: expected int, found True"),
        (("seed",), -1, "seed: expected a number of at least 0, found -1"),
        (("recipes", "ours", "kl_warmup_share"), 1.5, "kl_warmup_share: expected a share from 0 to 1, found 1.5"),
        (("profiles", "tiny", "decoder_width"), 1, "decoder_width: expected at least 2 at crop_px 64.*, found 1"),
        (("variant",), 5, "variant: expected one of 1, 2, 3, 4, cross, separate, found '5'"),
        (("input",), "depth", "input: expected rgb or joints_2d with dataset rhd, found 'depth'"),
        (("dataset",), "hands", "dataset: expected one of .*stb.*, found 'hands'"),
        (("profile",), "big", "profile: expected one of .*, found 'big'"),
        (("recipes", "ours", "kl_weight"), "1e-", "ours.kl_weight: expected float, found .1e-."),
        (("recipes", "ours", "kl_weight"), -1.0, "ours.kl_weight: expected a positive number, found -1.0"),
        (
            ("recipes", "ours", "modality_weights"),
            {"rgb": 1.0},
            "modality_weights: expected the keys rgb, depth, joints_2d, joints_3d; missing: depth",
        ),
        (("variants", "1"), ["i->q"], r"variants.1.0.: expected a->b with a and b of i, t, rgb.*, found 'i->q'"),
        (("variants", "1"), ["i->t", "i->t"], "variants.1: expected one or more pairs, each once"),
        (
            ("variants", "1"),
            ["i->i"],
            "variant: expected a pair rgb->joints_3d or joints_3d->joints_3d to score, found rgb->rgb",
        ),
        (("label_fraction",), 0.0, "label_fraction: expected more than 0 and at most 1, found 0.0"),
        (("validation",), 1.0, "validation: expected at least 0 and less than 1, found 1.0"),
        (("recipe",), "theirs", "recipe: expected one of original, ours, found 'theirs'"),
        (("balance",), "fair", "balance: expected one of proportional, equal, found 'fair'"),
        (("profiles", "paper", "unscaled_unit_mm"), 0, "paper.unscaled_unit_mm: expected a positive number, found 0"),
        (("defaults", "sede"), 1, "defaults: expected keys of an experiment, found sede"),
        (("seeds",), 0, "seeds: expected a positive number, found 0"),
        (
            ("profiles", "small", "steps_share"),
            {"rdh": 0.5},
            "steps_share: expected one of rhd, stb, icvl, nyu, msra, rhd\\+stb, found 'rdh'",
        ),
        (("profiles", "small", "steps_share"), {"stb": 0}, "steps_share.stb: expected a positive number, found 0"),
        (("profiles", "small", "repeated_seeds"), 0, "small.repeated_seeds: expected a positive number, found 0"),
        (("profiles", "small", "repeated_seeds"), "3", "small.repeated_seeds: expected int, found '3'"),
        (("experiments", "rhd-2d-v1", "repeated"), 1, "experiments.rhd-2d-v1.repeated: expected bool, found 1"),
        (("repeated",), True, "params.yaml: .*; unknown: repeated"),
        (("evaluation", "block_frames"), 0, "evaluation.block_frames: expected a positive number, found 0"),
        (
            ("profiles", "small", "synthetic_block_frames"),
            -1,
            "profiles.small.synthetic_block_frames: expected a positive number, found -1",
        ),
        (("profiles", "small", "augmentation", "rgb", "scale"), [1.2, 1.0], "rgb.scale: expected .low, high."),
        (("device",), "gpu", "device: expected one of auto, cpu, cuda, found 'gpu'"),
        (("resident",), True, "resident: expected one of auto, device, host, found True"),
        (("profiles", "paper", "needs_gpu"), 1, "profiles.paper.needs_gpu: expected bool, found 1"),
        (("profiles", "tiny", "encoder_width"), 8, "tiny.encoder_width: expected a multiple of 16 .*oneDNN.*found 8"),
        (("profiles", "tiny", "encoder_width"), 24, "tiny.encoder_width: expected a multiple of 16 .*, found 24"),
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
        (
            ("data", "msra", "protocol"),
            {},
            "data.msra.protocol: expected the keys centre, doubtful_labels; missing: cen",
        ),
        (
            ("data", "nyu", "protocol", "doubtful_labels"),
            1.5,
            "nyu.protocol.doubtful_labels: expected a share from 0 to",
        ),
        (("data", "rhd", "protocol", "doubtful_labels"), -0.1, "rhd.protocol.doubtful_labels: .*1, found -0.1"),
        (("data", "icvl", "source"), ["a.zip", 3], "data.icvl.source: expected"),
        (
            ("data", "icvl", "references"),
            {"V2V": "v2v.txt"},
            "data.icvl.references: expected labels among them, found V2V",
        ),
        (("data", "rhd", "references"), {"labels": "a"}, "data.rhd.references: expected none, found labels"),
        (("data", "icvl", "sha256"), 7, "data.icvl.sha256: expected"),
        (
            ("profiles", "tiny", "synthetic", "stb"),
            {"sequence": 0, "background_frames": 25},
            "stb.sequence: expected a positive number",
        ),
        (
            ("profiles", "tiny", "synthetic", "stb"),
            {"sequence": None, "background_frames": 25},
            "stb.sequence: expected int, found None",
        ),
        (
            ("profiles", "tiny", "synthetic", "stb", "background_frames"),
            0,
            "background_frames: expected a positive number",
        ),
        (
            ("profiles", "tiny", "synthetic", "stb", "background_frames"),
            "none",
            r"background_frames: expected int \| None, found 'none'",
        ),
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


def test_a_repeated_row_has_the_models_of_its_profile_where_these_are_more_than_all_rows_have(params_tree, tmp_path):
    params_tree["profiles"]["small"]["repeated_seeds"] = 3
    params_tree["experiments"]["rhd-rgb-v1"]["repeated"] = False
    names = ("rhd-2d-v1", "rhd-rgb-v1", "rhd-rgb-v2", params.OWN)  # repeated; not; by the defaults; one's own
    for seeds, expected in ((1, [3, 1, 1, 1]), (2, [3, 2, 2, 1]), (5, [5, 5, 5, 1])):
        loaded = load(params_tree | {"seeds": seeds}, tmp_path)
        assert [loaded.models_of(name) for name in names] == expected
    params_tree["profile"] = "tiny"
    assert load(params_tree, tmp_path).models_of("rhd-2d-v1") == 1


def test_a_dataset_is_trained_for_its_share_of_the_steps(params_tree, tmp_path):
    whole = load(params_tree, tmp_path)
    params_tree["profiles"]["small"]["steps_share"] = {"stb": 0.5, "rhd+stb": 2.0}
    loaded = load(params_tree, tmp_path)
    for name, share in {"rhd-rgb-v1": 1, "stb-rgb-v1": 0.5, "both-rgb-v1-t": 2, "nyu-resnet18": 1}.items():
        before, after = settings_of(whole, name), settings_of(loaded, name)
        assert after.training.steps == share * before.training.steps > 0
        assert dataclasses.replace(after, training=before.training) == before


def test_that_a_row_is_repeated_is_no_setting_of_its_models(params_tree, tmp_path):
    repeated = load(params_tree, tmp_path)
    params_tree["profiles"]["small"]["repeated_seeds"] = 3
    del params_tree["experiments"]["rhd-2d-v1"]["repeated"]
    alone = load(params_tree, tmp_path)
    assert (repeated.models_of("rhd-2d-v1"), alone.models_of("rhd-2d-v1"), alone.models_of("rhd-2d-v2")) == (1, 1, 3)
    assert repeated.experiments == alone.experiments
    for name in repeated.experiments:
        assert settings_of(repeated, name) == settings_of(alone, name)
    assert "repeated" not in json.dumps(settings_of(repeated, "rhd-2d-v2").as_dict())


def test_two_dimensional_rows_and_figure_3_are_repeated_in_the_night(params_tree, tmp_path):
    loaded = load(params_tree | {"profile": "night"}, tmp_path)
    shares = ("", "-l5", "-l10", "-l20", "-l50")
    expected = {name for name in loaded.experiments if name.startswith("rhd-2d-")}
    expected |= {f"stb-rgb-v{variant}{share}" for variant in (1, 3) for share in shares}
    assert {name for name in loaded.experiments if loaded.models_of(name) == 3} == expected and len(expected) == 17
    fractions = [loaded.experiments[f"stb-rgb-v3{share}"].label_fraction for share in shares]
    assert fractions == [1.0, 0.05, 0.1, 0.2, 0.5]


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


# as people and their tools write


def load_text(text, tmp_path):
    (tmp_path / "params.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return params.load(tmp_path / "params.yaml")


def with_kl_weight(written):
    text = (REPOSITORY / "params.yaml").read_text()
    assert text.count("  kl_weight: 0.01\n") == 1
    return text.replace("  kl_weight: 0.01\n", f"  kl_weight: {written}\n")


@pytest.mark.parametrize(
    ("written", "value"),
    [("5e-05", 5e-5), ("1e-4", 1e-4), ("1E-4", 1e-4), ("1.e-4", 1e-4), ("+1e3", 1e3), (".5e0", 0.5), ("+.5", 0.5)]
    + [("1e+16", 1e16), ("1.0e-4", 1e-4), ("3", 3), ("1.5", 1.5), ("2E2", 200.0)],
)
def test_numbers_are_read_as_dvc_and_people_write_them(tmp_path, written, value):
    assert load_text(with_kl_weight(written), tmp_path).recipes["ours"].kl_weight == value
    with pytest.raises(InputError, match=r"kl_weight: expected a positive number, found -"):
        load_text(with_kl_weight(f"-{written.lstrip('+')}"), tmp_path)


@pytest.mark.parametrize("written", ["'1e-4'", '"1e-4"', "1e", "1_0e3", "e-4", "1e-4x", "0.1.2", "1,5"])
def test_what_is_quoted_or_no_number_stays_text(tmp_path, written):
    with pytest.raises(InputError, match=r"ours\.kl_weight: expected float, found '[^']*'$"):
        load_text(with_kl_weight(written), tmp_path)


@pytest.mark.parametrize("written", ["12345678" * 8, "12e45678", "2026-01-31", "[0x10]", "yes"])
def test_text_that_yaml_takes_for_something_else_wants_quotes_and_is_told_so(tmp_path, written):
    text = (REPOSITORY / "params.yaml").read_text().replace("    sha256: null", f"    sha256: {written}", 1)
    with pytest.raises(InputError, match=r"data\.rhd\.sha256: expected .* found .* in quotes it is text\)$"):
        load_text(text, tmp_path)
    quoted = text.replace(written, f"'{written}'")
    assert load_text(quoted, tmp_path).data["rhd"].sha256 == written


def test_a_list_of_one_is_as_without_brackets_and_a_tilde_is_the_home_folder(params_tree, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    params_tree["data"]["rhd"] |= {"source": ["~/RHD_v1-1.zip"], "sha256": ["0" * 64]}
    params_tree["data"]["icvl"] |= {"source": ["~/Training.tar.gz", "http://host/~me/Testing.tar.gz"]}
    params_tree["data"]["icvl"]["references"] = {"labels": "~/labels.txt", "REN": "REN.txt"}
    params_tree["data"]["nyu"]["source"] = "~/mine"
    params_tree["data"]["stb"]["source"] = ["synthetic"]
    data = load(params_tree, tmp_path).data
    assert (data["rhd"].source, data["rhd"].sha256) == ("/home/me/RHD_v1-1.zip", "0" * 64)
    assert data["icvl"].source == ["/home/me/Training.tar.gz", "http://host/~me/Testing.tar.gz"]
    assert data["icvl"].references == {"labels": "/home/me/labels.txt", "REN": "REN.txt"}
    assert (data["nyu"].source, data["stb"].source) == ("/home/me/mine", "synthetic")


def test_params_with_a_byte_order_mark_are_read_and_other_encodings_are_named(tmp_path):
    text = (REPOSITORY / "params.yaml").read_text()
    assert load_text(b"\xef\xbb\xbf" + text.encode(), tmp_path) == load_text(text, tmp_path)
    assert load_text(text.replace("\n", "\r\n"), tmp_path) == load_text(text, tmp_path)
    for encoding in ("utf-16", "utf-16-le", "utf-32-be"):
        with pytest.raises(InputError, match=r"params\.yaml: .* found UTF-16 or UTF-32; save it as UTF-8$"):
            load_text(text.encode(encoding), tmp_path)
    with pytest.raises(InputError, match=r"params\.yaml: line 2: .* found another encoding; save it as UTF-8$"):
        load_text(b"# of\n# \xfc\n" + text.encode(), tmp_path)
