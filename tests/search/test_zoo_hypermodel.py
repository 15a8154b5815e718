"""Networks of the zoo as a hypermodel: what was drawn is what is built."""

import pickle

import keras
import keras_tuner
import numpy as np
import pytest

from dropzoo.layers import DropConnectDense, StochasticDepth
from dropzoo.models import create_model
from dropzoo.search.search_space import SearchSpace
from dropzoo.search.zoo_hypermodel import ZooHyperModel

RESNET = "resnet20_cifar"
PLAIN = {
    "dropconnect": 0.0,
    "stochastic_depth": 0.0,
    "pooling": "own",
    "augmentation": "none",
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    """Random weights that pass for trained ones."""
    path = tmp_path_factory.mktemp("weights") / "resnet.weights.h5"
    create_model(RESNET, input_shape=(16, 16, 3)).save_weights(path)
    return str(path)


@pytest.fixture(scope="module")
def images() -> tuple[np.ndarray, np.ndarray]:
    """Bright and dark ones, which are told apart at once."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=24)
    x = rng.integers(0, 128, (24, 12, 12)) + 127 * y[:, None, None]
    return x.astype("uint8"), y


def built(weights=None, **ranges):
    """A network with some settings, and what has been drawn."""
    space = SearchSpace().changed(
        **{"backbone": RESNET, "image_size": 16, **PLAIN, **ranges}
    )
    hypermodel = ZooHyperModel(3, space=space, weights=weights)
    hp = keras_tuner.HyperParameters()
    return hypermodel.build(hp), hp.values


def trainable(model) -> set[str]:
    return {x.path.split("/")[0] for x in model.trainable_variables}


@pytest.fixture(scope="module")
def drawn_model() -> keras.Model:
    """A network with everything."""
    return built(
        image_size=18,
        hidden_units=8,
        dropout=0.25,
        dropconnect=0.5,
        stochastic_depth=0.3,
        peak_rate=0.02,
        weight_decay=0.003,
        schedule="polynomial",
    )[0]


def test_the_head_is_as_drawn(drawn_model):
    hidden, logits = map(drawn_model.get_layer, ("hidden1", "logits"))
    assert (hidden.units, logits.units) == (8, 3)
    for layer in (hidden, logits):
        assert isinstance(layer, DropConnectDense)
        assert layer.rate == 0.5
    drops = [x for x in drawn_model.layers if type(x) is keras.layers.Dropout]
    assert [layer.rate for layer in drops] == [0.25, 0.25]


def test_the_training_is_as_drawn(drawn_model):
    optimizer = drawn_model.optimizer
    assert float(optimizer.learning_rate) == pytest.approx(0.02)
    assert optimizer.weight_decay == 0.003
    schedule = keras.optimizers.schedules.PolynomialDecay
    assert isinstance(optimizer._learning_rate, schedule)


def test_depth_and_size_are_as_drawn(drawn_model):
    drops = [x for x in drawn_model.layers if isinstance(x, StochasticDepth)]
    assert max(x.rate for x in drops) == pytest.approx(0.3)
    assert drawn_model.input_shape == (None, 18, 18, 3)


def test_the_pooling_is_as_drawn():
    model, drawn = built(backbone="notes_cnn", pooling="average")
    kinds = {type(layer) for layer in model.layers}
    assert keras.layers.AveragePooling2D in kinds
    assert keras.layers.MaxPooling2D not in kinds
    assert not {"stochastic_depth", "freeze", "batch_norm"} & set(drawn)


def test_all_is_frozen_but_the_head(weights):
    model, drawn = built(weights, freeze="all", hidden_units=4)
    assert trainable(model) == {"hidden1", "logits"}
    assert "batch_norm" not in drawn
    source = create_model(RESNET, input_shape=(16, 16, 3), weights=weights)
    for theirs, ours in zip(source.weights[:-2], model.weights, strict=False):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "policy",
    ["frozen", pytest.param("trained", marks=pytest.mark.slow(ci=True))],
)
def test_a_level_is_frozen_and_statistics_by_policy(weights, policy):
    model, _ = built(weights, freeze="stride_2", batch_norm=policy)
    norms = [
        layer.trainable
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    convolutions = [
        layer.trainable
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D)
    ]
    assert 0 < sum(convolutions) < len(convolutions)
    assert sum(norms) == (sum(convolutions) if policy == "trained" else 0)


@pytest.mark.slow(ci=True)
def test_random_networks_are_equal_where_settings_are():
    small = {"backbone": "notes_cnn"}
    first, second = (built(**small)[0].get_weights() for _ in range(2))
    for ours, theirs in zip(first, second, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    other = built(**small, dropout=0.5)[0].get_weights()
    assert any((x != y).any() for x, y in zip(first, other, strict=True))


@pytest.fixture(scope="module")
def hypermodel() -> ZooHyperModel:
    space = SearchSpace().changed(
        backbone="notes_cnn",
        image_size=16,
        hidden_units=0,
        pooling="own",
        dropconnect=0.0,
        augmentation="light",
        peak_rate=(1e-3, 1e-2),
    )
    return ZooHyperModel(2, space=space, batch_size=8, seed=1)


@pytest.fixture(scope="module")
def searched(hypermodel, images, tmp_path_factory):
    """A trial of KerasTuner's random search."""
    tuner = keras_tuner.RandomSearch(
        hypermodel,
        "val_loss",
        max_trials=1,
        seed=1,
        directory=tmp_path_factory.mktemp("search"),
    )
    tuner.search(*images, validation_data=images, epochs=2, verbose=0)
    return tuner


@pytest.mark.slow(ci=True)
def test_a_search_of_kerastuner_gives_its_best_model(searched, images):
    (model,) = searched.get_best_models()
    x, y = np.repeat(images[0][..., np.newaxis], 3, axis=3), images[1]
    logits = np.asarray(model(keras.ops.image.resize(x, (16, 16))), "float64")
    (trial,) = searched.oracle.get_best_trials()
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(y)), y]
    assert losses.mean() == pytest.approx(trial.score, rel=0.1)  # unrounded


@pytest.mark.slow(ci=True)
def test_another_process_would_give_the_same_score(searched, images):
    trial = searched.oracle.get_best_trials()[0]
    copy = pickle.loads(pickle.dumps(searched.hypermodel))
    keras.utils.set_random_seed(7)
    model = copy.build(trial.hyperparameters)
    history = copy.fit(
        trial.hyperparameters,
        model,
        keras_data(images),
        validation_data=images,
        epochs=2,
        verbose=0,
    )
    score = min(history.history["val_loss"])
    assert score == pytest.approx(trial.score, rel=1e-5)
    assert (
        float(model.optimizer.learning_rate)
        < 0.2 * (trial.hyperparameters["peak_rate"])
    )  # the schedule has come to its end
    assert int(model.optimizer.iterations) == 2 * 3


def keras_data(images):
    """The same images, in batches."""
    x, y = images
    return [(x[:9], y[:9]), (x[9:], y[9:])]


@pytest.mark.slow
def test_a_stopped_training_goes_on(hypermodel, images, tmp_path):
    hp = keras_tuner.HyperParameters()
    options = {"validation_data": images, "epochs": 3, "verbose": 0}
    model = hypermodel.build(hp)
    whole = hypermodel.fit(hp, model, *images, **options)

    class Kill(keras.callbacks.Callback):
        at = 2

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == self.at:
                raise KeyboardInterrupt

        def get_state(self):
            return {}

        def set_state(self, state):
            pass

    options["checkpoints"] = tmp_path
    with pytest.raises(KeyboardInterrupt):
        model = hypermodel.build(hp)
        hypermodel.fit(hp, model, *images, callbacks=[Kill()], **options)
    Kill.at = -1
    again = hypermodel.build(hp)
    history = hypermodel.fit(hp, again, *images, callbacks=[Kill()], **options)
    for name, values in whole.history.items():
        np.testing.assert_allclose(history.history[name], values, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"num_classes": 0}, "`num_classes` must be at least 1"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"input_shape": (8, 8, 1)}, r"must be \(height, width, 3\)"),
        ({"weights": "imagenot"}, "`weights` must be None, a tag"),
        (
            {
                "space": SearchSpace().changed(freeze="stride_128"),
                "weights": "imagenet",
            },
            "`freeze` must hold something",
        ),
    ],
)
def test_what_cannot_be_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        ZooHyperModel(**{"num_classes": 2, **options})
