"""Nearest neighbours, purity and ranks by hand on a line, and on clouds whose mixing is known."""

import numpy as np
import pytest

from handvae.base.errors import InputError
from handvae.report import latent_claims


def cloud(samples=60, seed=0):
    return np.random.default_rng(seed).normal(size=(samples, 5))


def on_a_line(*places):
    return np.array(places, float)[:, None]


def test_the_nearest_others_come_in_order_and_never_the_point_itself():
    assert latent_claims.nearest(on_a_line(0, 1, 3, 10), 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert latent_claims.nearest(on_a_line(5, 5, 5), 2).tolist() == [[1, 2], [0, 2], [0, 1]]  # equally near: the first
    with pytest.raises(InputError, match="expected more than 10 points for 10 neighbours, found 10"):
        latent_claims.nearest(cloud(10))


def test_purity_by_hand():
    # modality a at 0, 1, 10 and b at 2, 3, 4 with two neighbours: of a's point at 0 those are 1 (a) and 2 (b)
    encodings = np.stack([on_a_line(0, 1, 10), on_a_line(2, 3, 4)])
    np.testing.assert_allclose(latent_claims.purities(encodings, 2), [[0.5, 0.5, 0], [0.5, 1, 1]])
    np.testing.assert_allclose(latent_claims.apart_percent(np.array([0.25, 0.625, 1.0, 0.1]), 0.25), [0, 50, 100, -20])


def test_purity_is_one_where_each_modality_lies_apart_and_as_if_shuffled_where_they_are_one_cloud():
    apart = np.stack([cloud(), cloud(seed=1) + 100, cloud(seed=2) - 100])
    assert latent_claims.purities(apart).mean() == 1
    mean, low, high = latent_claims.purity_of_shuffled(apart, seed=0)
    assert low < mean < high < 0.5
    mixed = np.stack([cloud(), cloud(seed=1), cloud(seed=2)])
    mean, low, high = latent_claims.purity_of_shuffled(mixed, seed=0)
    assert low < latent_claims.purities(mixed).mean() < high and low < 1 / 3 < high


def test_nearer_than_own_by_hand():
    # the query at 0 has its own at 3, and that at 1 is nearer; of that at 5 the own is at 1: nearer is that at 3, and
    # equally near that at 9
    assert latent_claims.nearer_than_own(on_a_line(0, 5, 9), on_a_line(3, 1, 9)).tolist() == [0.5, 0.75, 0]


def test_own_encodings_are_nearest_by_a_good_encoder_and_half_way_down_by_a_constant_or_an_unrelated_one():
    gallery = cloud(400)
    assert latent_claims.nearer_than_own(gallery, gallery).max() == 0
    assert latent_claims.nearer_than_own(gallery, np.zeros_like(gallery)).tolist() == [0.5] * 400
    assert latent_claims.nearer_than_own(cloud(400, seed=1), gallery).mean() == pytest.approx(0.5, abs=0.05)
