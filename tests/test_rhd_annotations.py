import numpy as np
import pytest

from handvae.datasets import rhd
from tests.damage import refusal
from tests.test_rhd import change_annotations, put, training_frames
from tests.test_rhd import small as small  # a fixture

FAR_BEHIND = "left hand: expected joints within 0.3 m of the middle MCP"


@pytest.mark.parametrize(
    "change, expected, testable",  # what is wrong with a hand of sample 1, and whether it can be tested on all the same
    [
        (put("xyz", (3, 0), 0.1), "left hand: expected uv = K xyz within 1 px", True),
        (lambda content: put("xyz", 3, 2 * content[1]["xyz"][3])(content), FAR_BEHIND, True),  # on the same ray
        (lambda content: put("xyz", 11, content[1]["xyz"][12])(content), "MCP-PIP of 1 mm or more, found 0", False),
        (put("K", (2, 1), 0.1), "expected K with last row 0 0 1, found 0.1 in column 1", True),
    ],
)
def test_a_doubtful_hand_is_named_and_not_trained_on_and_all_others_are(small, change, expected, testable):
    change_annotations(small, change)
    frames = training_frames(small, "both")
    doubts = [doubt for frame in frames for doubt in frame.annotation.doubts if doubt]
    assert doubts and all("anno_training.pickle: sample 1, " in str(doubt) for doubt in doubts)
    assert any(expected in str(doubt) for doubt in doubts) and {doubt.testable for doubt in doubts} == {testable}
    trainable = [[sample.trainable for sample in rhd.read(frame)] for frame in frames]
    assert trainable[0] == trainable[2] == [True, True]
    assert trainable[1].count(False) == (len(doubts) if testable else 0)
    assert trainable[1].count(True) == 2 - len(doubts)
    assert len(rhd.labelled_hands(small).joints_mm) == 2 * 5 - len(doubts)
    (note,) = rhd.inspect(small)["notes"]
    assert note.startswith(f"{len(doubts)} label(s) that no hand can have") and expected in note


@pytest.mark.parametrize("uv, xyz", [((np.nan, np.nan), np.nan), ((-1e6, 3e5), (3, -2, -0.7))])
def test_the_hand_that_is_not_seen_may_be_anywhere_or_have_no_numbers(small, uv, xyz):
    change_annotations(small, put("xyz", slice(21, 42), xyz))
    change_annotations(small, put("uv_vis", slice(21, 42), (*uv, 0)))
    assert rhd.inspect(small)["notes"] == []
    frames = rhd.frames(small, "both")["train"]
    assert [len(rhd.read(frame)) for frame in frames] == [2, 1, 2] and not any(frame.doubt for frame in frames)


@pytest.mark.parametrize(
    "change, expected",
    [
        (put("uv_vis", (2, 2), 0.5), "sample 1, row 2: expected visibility 0 or 1, found 0.5"),
        (lambda content: content[1].update(xyz=content[1]["xyz"][:21]), "expected xyz as numbers (42, 3)"),
        (lambda content: content.__setitem__(7, content.pop(1)), "3 entries without id 1"),
        (lambda content: list(content.values()), "found list"),
    ],
)
def test_bad_annotations_are_refused(small, change, expected):
    change_annotations(small, change)
    message = refusal(rhd.inspect, small)
    assert "anno_training.pickle" in message and expected in message
