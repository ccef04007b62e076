"""Text as people's editors save it, where the package reads any."""

import numpy as np
import pytest

from handvae.base import encoding
from handvae.datasets import text
from handvae.evaluation import published
from tests.damage import refusal

MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize("before", [b"", b"test_seq_1/image_0000.png ", b"\r\n"])
def test_a_byte_order_mark_before_labels_or_predictions_changes_nothing(tmp_path, before):
    path = tmp_path / "a.txt"
    line = before + b" ".join(b"%d" % number for number in range(100, 148))
    path.write_bytes(line)
    plain = [tokens for _, tokens in text.records(path, 10)]
    path.write_bytes(MARK + line)
    assert [tokens for _, tokens in text.records(path, 10)] == plain
    uvd = published.read_uvd(path, published.EVALUATIONS["icvl"])
    np.testing.assert_array_equal(uvd.ravel(), np.arange(100, 148))


@pytest.mark.parametrize("wide", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_wide_text_is_named_with_what_to_do_whether_it_is_marked_or_not(tmp_path, wide):
    path = tmp_path / "a.txt"
    for start in ("12.5 1", "test_seq_1/image_0000.png 1", "\r\n1", "-1"):
        path.write_bytes(start.encode(wide))
        message = f"{path}: expected text in UTF-8, found UTF-16 or UTF-32; save it as UTF-8"
        assert refusal(list, text.records(path, 10)) == refusal(encoding.decoded, path, path.read_bytes()) == message


def test_plain_and_short_files_lose_nothing(tmp_path):
    path = tmp_path / "a.txt"
    for content in (b"", b"1", b"12\n", "ä".encode(), MARK[:2], b"\0\0\0\0"):
        path.write_bytes(content)
        assert [tokens for _, tokens in text.records(path, 9)] == ([content.split()] if content else [])
    assert encoding.decoded(path, MARK + "é: ü".encode()) == "é: ü"
    message = refusal(encoding.decoded, path, b"# of\n# \xfc\n")
    assert message == f"{path}: line 2: expected text in UTF-8, found another encoding; save it as UTF-8"
