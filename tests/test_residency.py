import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from handvae.model import residency
from handvae.model.parts import Part, whole
from handvae.model.residency import HostImages, read_images, stays_on_host
from handvae.preprocessing import store
from tests.conftest import REPOSITORY
from tests.test_batches import row, write_depth_hands

CPU, GPU = torch.device("cpu"), torch.device("cuda")

PEAK = """
import pathlib, sys, torch
from handvae.model import batches, parts
def memory(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))
open("/proc/self/clear_refs", "w").write("5")
before = memory("VmRSS")
part = parts.whole(pathlib.Path(sys.argv[1]), ["train"])
part.rows[7::50] = False
split = batches.load_split([part], True, None, torch.device("cpu"))
print((memory("VmHWM") - before) / split.images.nbytes)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="needs Linux's account of memory")
def test_reading_takes_little_more_memory_than_the_images(tmp_path):
    rows, px = 700, 384  # 300 MB

    def hands():
        for number in range(rows):
            colour = {"image_u8": np.full((px, px, 3), number % 251, np.uint8), "visible": np.ones(21, bool)}
            yield row(number, np.zeros((21, 3)), np.zeros((21, 2)), np.eye(3), scale_bone_mm=40.0, **colour)

    store.write(tmp_path / "set.h5", {"train": hands()}, {"crop_px": px, "context_px": px})
    command = [sys.executable, "-c", PEAK, tmp_path / "set.h5"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert 0.95 < float(result.stdout) < 1.2


@pytest.mark.parametrize("resident", ["auto", "host"])
def test_what_is_read_is_every_kept_row_in_order_of_all_groups(tmp_path, resident):
    count = 2 * store.PART + 5
    path = write_depth_hands(tmp_path / "set.h5", ["P0", "P1", "P2"], count=count)
    kept = np.arange(2 * count) % 7 != 3
    images, host = read_images([Part(path, ["P2", "P0"], kept), whole(path, ["P1"])], "depth_f16", CPU, resident)
    stored = store.read(path, ["P2", "P0", "P1"], ["depth_f16"])["depth_f16"]
    np.testing.assert_array_equal(images.numpy(), stored[np.append(kept, np.ones(count, bool))])
    assert (host is not None) == (resident == "host")


def test_rows_that_travel_are_the_rows_asked_for_whatever_was_sent_before():
    images = torch.arange(40, dtype=torch.uint8).view(10, 2, 2)
    host, first, second = HostImages(images, CPU), torch.tensor([3, 3, 9]), torch.tensor([0, 1])
    host.send(first)
    host.send(second)
    for rows in (second, first):  # in any order
        assert torch.equal(host.take(rows), images[rows])
    host.send(first)
    assert torch.equal(host.take(second), images[second]) and not host.sent  # what nobody came for is dropped


def test_images_stay_on_the_host_where_they_do_not_fit_beside_the_network(monkeypatch, capsys):
    monkeypatch.setattr(residency, "free_device_bytes", lambda device: 12_000_000_000)
    fits = 12_000_000_000 - residency.RESERVE_BYTES
    assert not stays_on_host("rhd train", fits, GPU, "auto") and not stays_on_host("rhd train", 10**12, GPU, "device")
    assert not stays_on_host("rhd train", 10**12, CPU, "auto") and capsys.readouterr().err == ""
    assert stays_on_host("rhd train", 18_250_000_000, GPU, "auto")
    assert capsys.readouterr().err == (
        "rhd train: 18.2 GB of images stay in host memory: 12.0 GB are free on the device, "
        "8.0 GB of them kept for the network\n"
    )
    assert stays_on_host("rhd train", 10, GPU, "host") and stays_on_host("rhd train", 10, CPU, "host")
    assert capsys.readouterr().err.splitlines()[0].endswith("stay in host memory: resident is host")
