"""Wrong labels among right ones, in all five sets: from the files to the rows that are trained on."""

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
import yaml

from handvae.base import params, workers
from handvae.datasets import doubts, icvl, msra, nyu, png, rhd, stb
from handvae.datasets.sets import DATASETS
from handvae.model import batches, parts
from handvae.preprocessing import store
from stages import doctor, download, preprocess
from tests import test_icvl, test_msra, test_nyu, test_rhd
from tests.conftest import REPOSITORY
from tests.damage import refusal

CPU = torch.device("cpu")
HANDS = 20  # of each of the two label files that are spoilt
Change = Callable[[np.ndarray], None]  # of joints (N, J, 3), in place; of ICVL u, v, z


def rhd_set(root: Path, training: Change, evaluation: Change) -> None:
    if not root.exists():
        test_rhd.write_set(root, {"training": HANDS, "evaluation": HANDS}, visible=np.arange(42) < 21)
    for seed, (split, change) in enumerate({"training": training, "evaluation": evaluation}.items()):
        xyz_m = test_rhd.hands_m(np.random.default_rng(seed), HANDS)
        rhd.write_annotations(root / split, **test_rhd.annotations(xyz_m, np.arange(42) < 21))
        path = rhd.annotation_path(root / split)
        content = pickle.loads(path.read_bytes())
        hands = np.stack([content[number]["xyz"][:21] for number in range(HANDS)])
        change(hands)
        for number in range(HANDS):
            content[number]["xyz"][:21] = hands[number]
        path.write_bytes(pickle.dumps(content, protocol=3))


def stb_set(root: Path, training: Change, evaluation: Change) -> None:
    for seed, (sequence, change) in enumerate({"B2Random": training, "B1Counting": evaluation}.items()):
        joints_mm = np.random.default_rng(seed).uniform([20, -40, 620], [100, 40, 700], (HANDS, 21, 3))
        change(joints_mm)
        raw_mm = joints_mm[:, list(stb.TO_HAND21)].transpose(2, 1, 0)
        (root / "labels").mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(root / f"labels/{sequence}_BB.mat", {"handPara": raw_mm})
        for path in (stb.image_path(root, sequence, view, n) for view in stb.VIEWS for n in range(HANDS)):
            if not path.exists():
                png.write(path, np.full((*stb.IMAGE_HW, 3), 90, np.uint8))


def icvl_set(root: Path, training: Change, evaluation: Change) -> None:
    places = (("Training/labels.txt", icvl.SESSIONS[0], training), ("Testing/test_seq_1.txt", "test_seq_1", evaluation))
    for seed, (file, folder, change) in enumerate(places):
        names, uvd = [f"{folder}/{icvl.image_name(n)}" for n in range(HANDS)], test_icvl.labels(HANDS, seed)
        change(uvd)
        icvl.write_labels(root / file, names, uvd)
        for name in names:
            path = root / file.partition("/")[0] / "Depth" / name
            if not path.exists():
                icvl.write_image(path, np.full(icvl.IMAGE_HW, 310))


def nyu_set(root: Path, training: Change, evaluation: Change) -> None:
    for seed, (split, change) in enumerate({"train": training, "test": evaluation}.items()):
        joints_mm = test_nyu.joints_mm(HANDS, seed)
        change(joints_mm[0])
        with np.errstate(all="ignore"):
            uvd = np.concatenate([nyu.project(joints_mm, nyu.CAMERA), joints_mm[..., 2:]], axis=-1)
        (root / split).mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(root / split / "joint_data.mat", {"joint_uvd": uvd, "joint_xyz": joints_mm * [1, -1, 1]})
        for path in (nyu.image_path(root, split, "depth", n + 1) for n in range(HANDS)):
            if not path.exists():
                nyu.write_image(path, np.full(nyu.IMAGE_HW, 750))


def msra_set(root: Path, training: Change, evaluation: Change) -> None:
    """Tested on P1, trained on all others: with 151 hands more."""
    spoilt = {("P0", "1"): training, ("P1", "1"): evaluation}
    for subject in msra.SUBJECTS:
        for gesture in msra.GESTURES:
            place = (subject, gesture)
            if place not in spoilt and (root / subject / gesture).exists():
                continue
            joints_mm = test_msra.joints_mm(HANDS if place in spoilt else 1, test_msra.seed_of(*place))
            spoilt.get(place, lambda joints_mm: None)(joints_mm)
            msra.write_labels(root, *place, joints_mm)
            for path in (msra.image_path(root, *place, n) for n in range(len(joints_mm))):
                if not path.exists():
                    msra.write_image(path, np.full(msra.IMAGE_HW, 310))


@dataclass(frozen=True)
class Set:
    write: Callable[[Path, Change, Change], None]
    tested: str  # group
    files: tuple[str, str]  # with the training and test labels that are spoilt
    images: int = 2 * HANDS  # of them, labels or views of one
    unit_mm: float = 1.0


SETS = {
    "rhd": Set(rhd_set, "test", ("anno_training.pickle", "anno_evaluation.pickle"), unit_mm=1000.0),
    "stb": Set(stb_set, "test", ("B2Random_BB.mat", "B1Counting_BB.mat"), 4 * HANDS),
    "icvl": Set(icvl_set, "test", ("Training/labels.txt", "Testing/test_seq_1.txt")),
    "nyu": Set(nyu_set, "test", ("train/joint_data.mat", "test/joint_data.mat")),
    "msra": Set(msra_set, "P1", ("P0/1/joint.txt", "P1/1/joint.txt"), 151 + 2 * HANDS),
}


def untouched(joints: np.ndarray) -> None:
    pass


def far(name: str, *numbers: int) -> Change:
    """A fingertip of some hands 0.9 m too far away."""

    def change(joints: np.ndarray) -> None:
        joints[list(numbers), 8, 2] += 900.0 / SETS[name].unit_mm

    return change


def put(value: float, *numbers: int) -> Change:
    return lambda joints: joints.__setitem__(list(numbers), value)


def times(name: str, factor: float) -> Change:
    """In another unit: of ICVL the depth alone."""
    return lambda joints: joints.__setitem__(..., joints * ([1, 1, factor] if name == "icvl" else factor))


@pytest.fixture(scope="module")
def roots(tmp_path_factory) -> dict[str, Path]:
    """Where each set lies; its images are written once, its labels by every test."""
    return {name: tmp_path_factory.mktemp("doubts") / name for name in SETS}


def processed(
    root: Path, folder: Path, monkeypatch, name: str, training: Change, evaluation: Change, share: float
) -> Path:
    """The set at `root` with spoilt labels, through the two stages in `folder`."""
    SETS[name].write(root, training, evaluation)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(workers, "in_order", lambda function, items, processes: map(function, items))  # in this process
    tree = yaml.safe_load((REPOSITORY / "params.yaml").read_text()) | {"profile": "tiny"}
    tree["data"][name]["source"] = str(root)
    tree["data"][name]["protocol"]["doubtful_labels"] = share
    if name == "stb":
        tree["data"]["stb"]["protocol"] |= {"training": ["B2Random"], "evaluation": ["B1Counting"]}
    (folder / "params.yaml").write_text(yaml.safe_dump(tree))
    download.main(name)
    preprocess.main(name)
    return folder / f"data/processed/{name}.h5"


def rows(path: Path, name: str) -> tuple[int, int]:
    """How many are trained on and how many tested on."""
    row = {"msra": "msra-resnet18-p1", "icvl": "icvl-resnet18", "nyu": "nyu-resnet18"}.get(name, f"{name}-rgb-v1")
    experiment = params.load(REPOSITORY / "params.yaml").experiments[row]
    trained_on = parts.training_parts(path.parent, experiment)
    scored = parts.scored_part(path.parent, experiment, name)
    return tuple(len(batches.load_split(of_split, True, 50.0, CPU)) for of_split in (trained_on, [scored]))


@pytest.mark.parametrize("name", SETS)
def test_a_hand_out_of_reach_is_tested_on_but_not_trained_on(roots, tmp_path, monkeypatch, capsys, name):
    path = processed(roots[name], tmp_path, monkeypatch, name, far(name, 3), far(name, 5), 0.05)
    said = [line for line in capsys.readouterr().out.splitlines() if "no hand can have" in line]
    assert len(said) == 2 and said[0].startswith(f"{name}: note: ") and said[1].startswith(f"{name}: 2 label(s)")
    for line in said:
        assert all(file in line for file in SETS[name].files) and "not trained on but tested on" in line
        assert line.count("expected joints within") == 2 and "left out" not in line
    views = 2 if name == "stb" else 1
    whole = 16 + HANDS if name == "msra" else views * HANDS
    assert rows(path, name) == (SETS[name].images - whole - views, whole)
    tested = store.read(path, [SETS[name].tested], ["name", "trainable", "joints_mm"])
    number = 5 * views  # of the first row that shows the hand
    assert np.flatnonzero(~tested["trainable"]).tolist() == list(range(number, number + views))
    assert np.isfinite(tested["joints_mm"]).all()


@pytest.mark.parametrize("value", [0.0, np.nan])
@pytest.mark.parametrize("name", SETS)
def test_a_frame_of_zeros_or_of_no_numbers_is_left_out(roots, tmp_path, monkeypatch, capsys, name, value):
    path = processed(roots[name], tmp_path, monkeypatch, name, put(value, 3), put(value, 5), 0.05)
    said = capsys.readouterr().out.splitlines()
    assert len([line for line in said if "2 label(s)" in line and "left out: " in line]) == 2
    assert not any("not trained on" in line for line in said)
    views = 2 if name == "stb" else 1
    whole = 16 + HANDS if name == "msra" else views * HANDS
    assert rows(path, name) == (SETS[name].images - whole - views, whole - views)
    stored = store.read(path, [SETS[name].tested], ["trainable", "joints_mm"])
    assert stored["trainable"].all() and np.isfinite(stored["joints_mm"]).all()


@pytest.mark.parametrize("name", SETS)
def test_one_alone_refuses_no_set_however_small_unless_none_is_allowed(roots, tmp_path, monkeypatch, name):
    processed(roots[name], tmp_path, monkeypatch, name, far(name, 3), lambda joints: joints, 0.001)
    message = refusal(processed, roots[name], tmp_path, monkeypatch, name, far(name, 3), lambda joints: joints, 0.0)
    assert "expected at most 0 of the labels" in message


@pytest.mark.parametrize("name", SETS)
def test_a_set_with_more_of_them_than_the_share_is_refused_in_one_line(roots, tmp_path, monkeypatch, name):
    message = refusal(processed, roots[name], tmp_path, monkeypatch, name, far(name, 3), far(name, 5), 0.01)
    views = 2 if name == "stb" else 1
    assert message.startswith(f"data.{name}.protocol.doubtful_labels: expected at most 0.01 of the labels")
    assert f"found {2 * views} of {SETS[name].images}: " in message and message.count("expected joints within") == 2
    assert all(file in message for file in SETS[name].files)
    assert message.endswith(f"mend them, or raise data.{name}.protocol.doubtful_labels")
    assert not (tmp_path / f"data/processed/{name}.h5").exists()


@pytest.mark.parametrize("evaluation, published", [(untouched, True), (put(0.0, 5), False)])
@pytest.mark.parametrize("name", SETS)
def test_without_all_its_test_hands_a_set_is_not_the_published_one(
    roots, tmp_path, monkeypatch, name, evaluation, published
):
    if name != "msra":
        monkeypatch.setattr(DATASETS[name], "PUBLISHED_TEST", HANDS * (2 if name == "stb" else 1))
    monkeypatch.setattr(stb, "PUBLISHED_TEST_SEQUENCES", ("B1Counting",))
    described = download.main

    def as_published(name: str) -> None:
        described(name)
        manifest = Path(f"data/raw/{name}.json")
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"published": True}))

    monkeypatch.setattr(download, "main", as_published)
    path = processed(roots[name], tmp_path, monkeypatch, name, untouched, evaluation, 0.05)
    assert store.attributes(path)["published"] == published


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("unit, a_metre", doubts.UNITS_A_METRE.items())
def test_a_file_in_another_unit_is_refused_with_that_unit(roots, name, unit, a_metre):
    own = "metres" if name == "rhd" else "millimetres"
    SETS[name].write(roots[name], untouched, times(name, a_metre / doubts.UNITS_A_METRE[own]))
    if unit == own:
        assert not [note for note in DATASETS[name].inspect(roots[name])["notes"] if "no hand" in note]
        return
    message = refusal(DATASETS[name].inspect, roots[name])
    assert SETS[name].files[1] in message and f"and something wrong in {HANDS} of its {HANDS} hands" in message
    assert message.endswith(f"; the set has {own}: are these {unit}?")


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("factor", [-1.0, 4e4])
def test_a_damaged_file_that_no_unit_explains_has_no_hint(roots, name, factor):
    SETS[name].write(roots[name], untouched, times(name, factor))
    message = refusal(DATASETS[name].inspect, roots[name])
    assert SETS[name].files[1] in message and "are these" not in message


@pytest.mark.parametrize("name", SETS)
def test_half_of_a_file_may_be_wrong_and_more_is_an_error(roots, name):
    SETS[name].write(roots[name], put(np.nan, *range(HANDS // 2)), untouched)
    assert f"{HANDS // 2} label(s)" in DATASETS[name].inspect(roots[name])["notes"][-1]
    SETS[name].write(roots[name], put(np.nan, *range(HANDS // 2 + 1)), untouched)
    message = refusal(DATASETS[name].inspect, roots[name])
    assert SETS[name].files[0] in message and f"something wrong in {HANDS // 2 + 1} of its {HANDS} hands" in message


@pytest.mark.parametrize("name", SETS)
def test_the_doctor_names_them_and_their_share_is_a_problem(roots, tmp_path, monkeypatch, capsys, name):
    SETS[name].write(roots[name], far(name, 3), put(0.0, 5))
    monkeypatch.chdir(tmp_path)
    doctor.problems_of(name, roots[name])  # what is known to be wrong must not break statistics and pictures
    said = capsys.readouterr().out
    assert said.count("1 label(s) that no hand can have") == 2 and "nan" not in said
    tree = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    if name == "stb":
        tree["data"]["stb"]["protocol"] |= {"training": ["B2Random"], "evaluation": ["B1Counting"]}
    for share, count in ((0.01, 1), (0.05, 0)):
        tree["data"][name]["protocol"]["doubtful_labels"] = share
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(tree))
        problems = doctor.protocol_problems(name, roots[name])
        assert len(problems) == count and all("protocol.doubtful_labels: expected at most" in one for one in problems)


def test_only_the_units_that_people_use_are_named():
    hand_m = np.random.default_rng(0).uniform(-0.05, 0.05, (5, 21, 3))
    hints = {factor: doubts.unit_hint(factor * hand_m, 0, "millimetres") for factor in (1, 25.4, 39.4, 100, 1000, 1e6)}
    named = {factor: hint.rpartition("these ")[2] for factor, hint in hints.items()}
    assert named == {1: "metres?", 25.4: "", 39.4: "", 100: "centimetres?", 1000: "", 1e6: ""}
    assert doubts.unit_hint(np.full((2, 21, 3), np.nan), 0, "metres") == doubts.unit_hint(hand_m[:0], 0, "metres") == ""


def test_one_wrong_hand_alone_in_its_file_is_a_doubt_and_no_wrong_file():
    check = doubts.Check("a number", np.array([[False, True]]), np.array([[3.0, 4.0]]))
    (doubt,) = doubts.find(lambda hand: f"file: line {hand + 1}", [check], np.array([True]))
    assert str(doubt) == "file: line 1: expected a number, found 3 at joint 0" and doubt.testable


@pytest.mark.parametrize(
    "value, testable", [(0.0, True), (4000.0, True), (6000.0, False), (1e30, False), (np.inf, False), (np.nan, False)]
)
def test_no_single_joint_may_drown_the_errors_of_all_others(value, testable):
    joints_mm, uv_px = np.full((2, 21, 3), 400.0), np.full((2, 21, 2), 100.0)
    joints_mm[1, 20, 2] += value
    assert doubts.testable(joints_mm, uv_px, 9).tolist() == [True, testable]
    assert not doubts.testable(joints_mm, uv_px + [0, 1e7], 9).any()
