import dataclasses

import numpy as np
import pytest

from dropzoo.data import load
from dropzoo.recipes.papers import NO_PAPER
from dropzoo.recipes.steps import Steps
from dropzoo.recipes.train_options import Machine, Photos, Training
from dropzoo.recipes.training import ScratchTraining, some_of
from dropzoo.recipes.training_plan import plan_training


@pytest.fixture(scope="module")
def data(split_photos):
    return load(str(split_photos))


@pytest.fixture
def training(data, tmp_path):
    plan = plan_training(
        NO_PAPER,
        Photos(augmentation="none"),
        Training(model="tiny", epochs=2, batch_size=20, rate=0.02),
        Machine(),
        budget=1.0,
        num_photos=len(data.train),
        num_classes=data.num_classes,
        flips_are_safe=False,
    )
    return ScratchTraining(plan, data, seed=3, state=tmp_path / "state")


def test_without_validation_photos_the_last_epoch_is_kept(training, data):
    alone = dataclasses.replace(data, validation=None)
    trained = dataclasses.replace(training, data=alone).run(Steps())
    assert len(trained.history) == trained.kept_epoch == 2
    assert trained.sentence() == "Kept: epoch 2, the last one."
    assert trained.rates.shape == (6,)


def test_equal_seeds_give_equal_weights(training):
    one, other = training.build(), training.build()
    for ours, theirs in zip(
        one.get_weights(), other.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    third = dataclasses.replace(training, seed=4).build()
    assert not np.array_equal(one.get_weights()[0], third.get_weights()[0])


def test_rates_are_those_of_the_schedule(training):
    schedule = training.schedule(2000)
    rates = training.rates(2000)
    assert rates.shape == (2000,)
    for step in (0, 60, 100, 777, 1999):
        np.testing.assert_allclose(
            rates[step], float(schedule(step)), atol=2e-3 * rates.max()
        )


@pytest.mark.parametrize(("number", "expected"), [(7, 7), (1, 3), (60, 60)])
def test_some_photos_are_of_every_class(data, number, expected):
    chosen = some_of(data.train, number, seed=0)
    assert len(chosen) == expected
    counts = np.bincount(chosen.labels, minlength=3)
    assert counts.max() - counts.min() <= 1
