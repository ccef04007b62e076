"""Every dataset has what the others use of it: the names, and a protocol that its frames take."""

import inspect

import pytest

from handvae.base import dataset_params
from handvae.base.joints import SKELETONS
from handvae.datasets.sets import DATASETS, Dataset


def test_params_and_readers_know_the_same_datasets():
    assert list(DATASETS) == list(dataset_params.DATASETS)


@pytest.mark.parametrize("name", DATASETS)
def test_a_datasets_module_has_the_interface(name):
    dataset, declared = DATASETS[name], dataset_params.DATASETS[name]
    assert isinstance(dataset, Dataset)
    assert dataset.SKELETON is SKELETONS[declared.skeleton]
    for function in ("find", "inspect", "read", "frames_with_images", "labelled_hands"):
        expected, has = (list(inspect.signature(getattr(of, function)).parameters) for of in (Dataset, dataset))
        assert has == expected[1:], function


@pytest.mark.parametrize("name", DATASETS)
def test_a_protocol_holds_the_arguments_of_frames(name):
    fields = dict.fromkeys(dataset_params.DATASETS[name].protocol.__dataclass_fields__)
    options = dataset_params.frames_options(dataset_params.DATASETS[name].protocol(**fields))
    root, *arguments = inspect.signature(DATASETS[name].frames).parameters
    assert root == "root" and set(arguments) == set(options)
