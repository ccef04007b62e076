"""Text as people's editors save it, where the package reads any."""

from pathlib import Path

import numpy as np
import pytest

from handvae.base import encoding
from handvae.datasets import icvl, msra, text
from handvae.evaluation import published
from handvae.synthetic.generate import generate
from tests.damage import refusal
from tests.test_generate import SIZES

MARK = b"\xef\xbb\xbf"
WIDE = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]


@pytest.fixture(scope="module")
def roots(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("encoding")
    for name in ("icvl", "msra"):
        generate(name, folder / name, SIZES[name], seed=1, processes=1)
    return {name: folder / name for name in ("icvl", "msra")}


def label_files(roots) -> list[tuple]:
    files = ["Training/labels.txt", *(f"Testing/{sequence}.txt" for sequence in icvl.TEST_SEQUENCES)]
    return [(icvl, roots["icvl"], files), (msra, roots["msra"], ["P0/1/joint.txt", "P8/Y/joint.txt"])]


def frames(dataset, root: Path) -> dict[str, int]:
    return {split: facts["frames"] for split, facts in dataset.inspect(root)["splits"].items()}


def test_a_byte_order_mark_before_labels_changes_nothing(roots):
    for dataset, root, files in label_files(roots):
        before, counts = dataset.labelled_hands(root).joints_mm, frames(dataset, root)
        for file in files:
            (root / file).write_bytes(MARK + (root / file).read_bytes())
        assert dataset.find(root) == root and frames(dataset, root) == counts
        np.testing.assert_array_equal(dataset.labelled_hands(root).joints_mm, before)
        for file in files:
            (root / file).write_bytes((root / file).read_bytes().removeprefix(MARK))


def test_a_byte_order_mark_before_predictions_changes_nothing(tmp_path):
    line = b" ".join(b"%d" % number for number in range(100, 148))
    for content in (line, b"test_seq_1/image_0000.png " + line, b"\r\n" + line):
        (tmp_path / "a.txt").write_bytes(MARK + content)
        uvd = published.read_uvd(tmp_path / "a.txt", published.evaluation_of("icvl"))
        np.testing.assert_array_equal(uvd.ravel(), np.arange(100, 148))


@pytest.mark.parametrize("wide", WIDE)
@pytest.mark.parametrize("start", ["12.5 1", "test_seq_1/image_0000.png 1", "\r\n1", "-1"])
def test_wide_text_is_named_with_what_to_do_whether_it_is_marked_or_not(tmp_path, wide, start):
    (tmp_path / "a.txt").write_bytes(start.encode(wide))
    message = refusal(list, text.records(tmp_path / "a.txt", 10))
    assert message == f"{tmp_path / 'a.txt'}: expected text in UTF-8, found UTF-16 or UTF-32; save it as UTF-8"


def test_plain_and_short_files_lose_nothing(tmp_path):
    for content in (b"", b"1", b"12\n", b"1 2 3", "ä".encode(), MARK[:2], b"\0\0\0\0"):
        (tmp_path / "a.txt").write_bytes(content)
        assert [tokens for _, tokens in text.records(tmp_path / "a.txt", 9)] == ([content.split()] if content else [])
        assert encoding.mark_bytes(tmp_path / "a.txt", content) == 0
    (tmp_path / "a.txt").write_bytes(MARK)
    assert list(text.records(tmp_path / "a.txt", 9)) == []
