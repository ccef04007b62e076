"""Wrong labels among right ones, in all five sets: from the files to the rows that are trained on."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from handvae.base import params, workers
from handvae.datasets import doubts, stb
from handvae.datasets.sets import DATASETS
from handvae.model import batches, parts
from handvae.preprocessing import store
from stages import doctor, download, preprocess
from tests.conftest import REPOSITORY
from tests.damage import refusal
from tests.spoilt_sets import HANDS, SETS, STB_PROTOCOL, Change, icvl_set


def untouched(joints: np.ndarray) -> None:
    pass


def far(name: str, number: int) -> Change:
    """A fingertip of one hand 0.9 m too far away."""

    def change(joints: np.ndarray) -> None:
        joints[number, 8, 2] += 0.9 if SETS[name].unit == "metres" else 900.0

    return change


def put(value: float, number: int) -> Change:
    return lambda joints: joints.__setitem__(number, value)


def times(name: str, factor: float) -> Change:
    """In another unit: of ICVL the depth alone."""
    return lambda joints: joints.__setitem__(..., joints * ([1, 1, factor] if name == "icvl" else factor))


@pytest.fixture(scope="module")
def roots(tmp_path_factory) -> dict[str, Path]:
    """Where each set lies; its images are written once, its labels by every test."""
    return {name: tmp_path_factory.mktemp("doubts") / name for name in SETS}


def write_params(name: str, root: Path, share: float) -> None:
    tree = yaml.safe_load((REPOSITORY / "params.yaml").read_text()) | {"profile": "tiny"}
    tree["data"][name]["source"] = str(root)
    tree["data"][name]["protocol"]["doubtful_labels"] = share
    tree["data"]["stb"]["protocol"] |= STB_PROTOCOL
    Path("params.yaml").write_text(yaml.safe_dump(tree))


@pytest.fixture(params=SETS)
def name(request, monkeypatch) -> str:
    """A set whose own label files are as many as the published ones have."""
    if request.param != "msra":
        monkeypatch.setattr(DATASETS[request.param], "PUBLISHED_TEST", SETS[request.param].test_images)
    monkeypatch.setattr(stb, "PUBLISHED_TEST_SEQUENCES", ("B1Counting",))
    return request.param


def frames_with_doubts(name: str, root: Path, training: Change, evaluation: Change) -> tuple[dict, dict]:
    """The groups of a set with spoilt labels, and what is left of them."""
    SETS[name].write(root, training, evaluation)
    labelled = DATASETS[name].frames(root, **SETS[name].options)
    doubtful = [frame for group in labelled.values() for frame in group if frame.doubt]
    assert sum(map(len, labelled.values())) == SETS[name].images and len(doubtful) == 2 * SETS[name].views
    return labelled, doubts.few(name, labelled, 0.2)


def test_a_hand_out_of_reach_is_tested_on_but_not_trained_on(roots, name):
    labelled, left = frames_with_doubts(name, roots[name], far(name, 3), far(name, 5))
    assert {group: len(frames) for group, frames in left.items()} == {group: len(labelled[group]) for group in labelled}
    assert preprocess.has_published_test(DATASETS[name], left, labelled)
    views, tested = SETS[name].views, left[SETS[name].tested]
    assert [row for row, frame in enumerate(tested) if frame.doubt] == list(range(5 * views, 6 * views))
    for frame in tested[4 * views : 6 * views]:
        (sample,) = DATASETS[name].read(frame)
        assert sample.trainable == (frame.doubt is None) and np.isfinite(sample.joints_mm).all()
        assert frame.doubt is None or f"{SETS[name].files[1]}: " in str(frame.doubt)


def test_a_frame_of_zeros_or_of_no_numbers_is_left_out_and_the_test_split_is_no_longer_the_published_one(roots, name):
    labelled, left = frames_with_doubts(name, roots[name], put(0.0, 3), put(np.nan, 5))
    assert sum(map(len, left.values())) == SETS[name].images - 2 * SETS[name].views
    assert not any(frame.doubt for group in left.values() for frame in group)
    assert not preprocess.has_published_test(DATASETS[name], left, labelled)


def test_the_stages_say_what_is_not_trained_on_and_mark_it(roots, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers, "in_order", lambda function, items, processes: map(function, items))
    icvl_set(roots["icvl"], far("icvl", 3), far("icvl", 5))
    write_params("icvl", roots["icvl"], 0.2)
    download.main("icvl")
    preprocess.main("icvl")
    notes = [line for line in capsys.readouterr().out.splitlines() if "no hand can have" in line]
    assert [note.partition("2 label(s)")[0] for note in notes] == ["icvl: note: ", "icvl: "]
    for group in ("train", "test"):
        trainable = store.read(Path("data/processed/icvl.h5"), [group], ["trainable"])["trainable"]
        assert len(trainable) == HANDS and trainable.sum() == HANDS - 1
    experiment = params.load(REPOSITORY / "params.yaml").experiments["icvl-resnet18"]
    trained_on = parts.training_parts(Path("data/processed"), experiment)
    assert len(batches.load_split(trained_on, True, 50.0, torch.device("cpu"))) == HANDS - 1


@pytest.mark.parametrize("unit, a_metre", doubts.UNITS_A_METRE.items())
def test_a_file_in_another_unit_is_refused_with_that_unit(roots, name, unit, a_metre):
    own = SETS[name].unit
    SETS[name].write(roots[name], untouched, times(name, a_metre / doubts.UNITS_A_METRE[own]))
    if unit == own:
        assert not [note for note in DATASETS[name].inspect(roots[name])["notes"] if "no hand" in note]
        return
    message = refusal(DATASETS[name].inspect, roots[name])
    assert SETS[name].files[1] in message and f"and something wrong in {HANDS} of its {HANDS} hands" in message
    assert message.endswith(f"; the set has {own}: are these {unit}?")


def test_the_doctor_names_them_and_their_share_is_a_problem(roots, tmp_path, monkeypatch, capsys, name):
    SETS[name].write(roots[name], far(name, 3), put(0.0, 5))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor.doctor, "contact_sheet", lambda *arguments: None)
    monkeypatch.setattr(doctor.style, "png_bytes", lambda figure: b"")
    doctor.problems_of(name, roots[name])  # what is known to be wrong must not break statistics
    said = capsys.readouterr().out
    assert said.count("1 label(s) that no hand can have") == 2 and "nan" not in said
    write_params(name, roots[name], 0.01)
    (problem,) = doctor.protocol_problems(name, roots[name])
    assert f"data.{name}.protocol.doubtful_labels: expected at most 0.01" in problem
    assert f"found {2 * SETS[name].views} of {SETS[name].images}: " in problem
    assert all(file in problem for file in SETS[name].files)
    write_params(name, roots[name], 0.2)
    assert doctor.protocol_problems(name, roots[name]) == []


def test_a_set_may_have_a_share_of_them_and_any_set_one_unless_none_is_allowed():
    kept, gone = (doubts.Doubt(f"file: line {line}", "expected a hand, found a foot", line == 1) for line in (1, 2))
    frames = {
        "train": [SimpleNamespace(doubt=doubt) for doubt in [None] * 8 + [kept]],
        "test": [SimpleNamespace(doubt=doubt) for doubt in [gone] + [None] * 10],
    }
    assert doubts.few("nyu", frames, 0.1) == {"train": frames["train"], "test": frames["test"][1:]}
    assert refusal(doubts.few, "nyu", frames, 0.09) == (
        "data.nyu.protocol.doubtful_labels: expected at most 0.09 of the labels to be none that a hand can have, found "
        f"2 of 20: {kept}; {gone}; mend them, or raise data.nyu.protocol.doubtful_labels"
    )
    assert [note.rpartition(": file")[0] for note in doubts.notes([kept, None, gone, kept])] == [
        "1 label(s) that no hand can have, not trained on but tested on where the protocol does so",
        "1 label(s) that no hand can have and nothing can be cut out or scored by, left out",
    ]
    two_views = {"train": 2 * frames["train"]}
    assert doubts.few("nyu", two_views, 0.001) == two_views
    assert "expected at most 0 of the labels" in refusal(doubts.few, "nyu", two_views, 0.0)


@pytest.mark.parametrize("wrong, hands, refused", [(1, 1, False), (2, 4, False), (3, 4, True)])
def test_half_of_a_file_may_be_wrong_or_one_hand_alone_and_more_is_an_error(wrong, hands, refused):
    check = doubts.Check("a number", np.arange(hands)[:, None] >= wrong, np.full((hands, 1), 4.0))
    arguments = (lambda hand: f"file: line {hand + 1}", [check], np.full(hands, True))
    reason = "file: line 1: expected a number, found 4 at joint 0"
    if refused:
        assert refusal(doubts.find, *arguments) == f"{reason}, and something wrong in {wrong} of its {hands} hands"
    else:
        doubtful = doubts.find(*arguments)
        assert str(doubtful[0]) == reason and [doubt is None for doubt in doubtful].count(False) == wrong


@pytest.mark.parametrize("value, testable", [(0.0, True), (4000.0, True), (6000.0, False), (np.inf, False)])
def test_no_single_joint_may_drown_the_errors_of_all_others(value, testable):
    joints_mm, uv_px = np.full((2, 21, 3), 400.0), np.full((2, 21, 2), 100.0)
    joints_mm[1, 20, 2] += value
    assert doubts.testable(joints_mm, uv_px, 9).tolist() == [True, testable]
    assert not doubts.testable(joints_mm, uv_px + [0, 1e7], 9).any()
