import os
import resource
import sys

import pytest

from handvae.datasets import plain_file
from tests.damage import refusal


def test_a_file_is_read_whole_up_to_the_limit(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"12345")
    (tmp_path / "link").symlink_to(path)
    assert plain_file.read(path, 5) == plain_file.read(tmp_path / "link", 5) == b"12345"
    assert "a.bin: expected a picture of at most 4 bytes, found 5" in refusal(plain_file.read, path, 4, "a picture")


@pytest.mark.parametrize("name", ["missing", "folder", "pipe", "device", "loop"])
def test_what_is_no_file_is_refused_at_once(tmp_path, name):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    assert f"{name}: expected a picture, found " in refusal(plain_file.read, tmp_path / name, 10, "a picture")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
def test_memory_is_limited_inside_and_not_after(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(MemoryError), plain_file.limited_memory(10**8):
        assert len(bytearray(10**8)) == 10**8
        bytearray(10**9)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
