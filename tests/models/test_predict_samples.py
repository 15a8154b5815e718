import keras
import numpy as np
import pytest

from dropzoo.models import predict_samples


def dropout_model(rate=0.5, width=400):
    layer = keras.layers.Dropout(rate, seed=0)
    return keras.Sequential([keras.Input((width,)), layer])


def normalizing_model():
    inputs = keras.Input((5,))
    inner = keras.Sequential(
        [keras.Input((5,)), keras.layers.BatchNormalization(name="inner")]
    )
    x = keras.layers.BatchNormalization(name="outer")(inner(inputs))
    model = keras.Model(inputs, keras.layers.Dropout(0.5)(x))
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 2, w.shape) for w in model.weights])
    return model


def test_mean_and_spread_are_those_of_the_draw():
    # Inverted dropout of ones at 0.5 gives 0 or 2: mean 1, deviation 1.
    mean, spread = predict_samples(
        dropout_model(), np.ones((3, 400), "float32"), 25
    )
    assert mean.shape == spread.shape == (3, 400)
    # Five standard errors of 3 x 400 x 25 fair draws.
    assert mean.mean() == pytest.approx(1, abs=5 / np.sqrt(30_000))
    # The sample variance is unbiased; that of 25 fair draws spreads by about
    # sqrt(2 / 24), over 1,200 of them.
    error = 5 * np.sqrt(2 / 24 / 1_200)
    assert (spread**2).mean() == pytest.approx(1, abs=error)


def test_without_random_layers_it_is_the_prediction_without_spread():
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    x = np.random.default_rng(0).normal(size=(7, 5)).astype("float32")
    mean, spread = predict_samples(model, x, 3, batch_size=4)
    np.testing.assert_allclose(mean, model.predict(x, verbose=0), rtol=1e-6)
    assert spread.max() < 1e-12


def test_batch_normalization_keeps_its_moving_statistics():
    model = normalizing_model()
    before = model.get_weights()
    x = np.full((64, 5), 3, "float32")
    mean, _ = predict_samples(model, x, 100, batch_size=64, seed=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    # Batch statistics would make constant inputs into beta, whatever they
    # were. The mean over 6,400 draws of each unit is that of the prediction.
    expected = model.predict(x[:1], verbose=0)[0]
    error = 5 * np.abs(expected) / np.sqrt(6_400)
    assert (np.abs(mean.mean(axis=0) - expected) <= error).all()
    flags = [layer.trainable for layer in (model, *model.layers)]
    assert all(flags)
    assert model.layers[1].get_layer("inner").trainable


def test_frozen_normalization_stays_frozen():
    model = normalizing_model()
    model.get_layer("outer").trainable = False
    predict_samples(model, np.ones((2, 5), "float32"), 2)
    assert not model.get_layer("outer").trainable
    assert model.layers[1].get_layer("inner").trainable


def test_a_seed_repeats_the_passes_and_leaves_the_streams_alone():
    x = np.ones((3, 20), "float32")
    model = dropout_model(width=20)
    before = [np.asarray(v) for v in model.non_trainable_variables]
    first = predict_samples(model, x, 5, seed=1)
    after = [np.asarray(v) for v in model.non_trainable_variables]
    np.testing.assert_array_equal(before, after)
    model(x, training=True)
    again = predict_samples(model, x, 5, seed=1)
    np.testing.assert_array_equal(again.mean, first.mean)
    np.testing.assert_array_equal(again.spread, first.spread)
    assert (predict_samples(model, x, 5, seed=2).mean != first.mean).any()


def test_without_a_seed_the_streams_go_on():
    x = np.ones((3, 20), "float32")
    model = dropout_model(width=20)
    first = predict_samples(model, x, 5)
    assert (predict_samples(model, x, 5).mean != first.mean).any()


def test_two_layers_do_not_draw_alike_under_one_seed():
    inputs = keras.Input((200,))
    outputs = [keras.layers.Dropout(0.5)(inputs) for _ in range(2)]
    model = keras.Model(inputs, keras.layers.Subtract()(outputs))
    mean, _ = predict_samples(model, np.ones((1, 200), "float32"), 2, seed=0)
    assert (mean != 0).any()


def test_probabilities_are_averaged_where_asked():
    # One logit of +-large with equal chance: the mean of the probabilities is
    # 1/2 of each, whatever the logits are; the mean of the logits is not.
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dropout(0.5, seed=0),
            keras.layers.Dense(2, use_bias=True),
        ]
    )
    model.set_weights(
        [np.array([[30.0, 0.0]], "float32"), np.array([-30.0, 0.0], "float32")]
    )
    x = np.ones((200, 1), "float32")
    mean, spread = predict_samples(model, x, 20, activation="softmax", seed=0)
    np.testing.assert_allclose(mean.sum(axis=1), 1, rtol=1e-6)
    # Five standard errors of 4,000 fair draws.
    assert mean[:, 0].mean() == pytest.approx(0.5, abs=5 / np.sqrt(16_000))
    assert ((0 < spread) & (spread < 0.6)).all()


def test_inference_passes_draw_only_what_draws_at_inference():
    class Noise(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.seeds = keras.random.SeedGenerator(0)

        def call(self, inputs):
            shape = keras.ops.shape(inputs)
            return inputs + keras.random.normal(shape, seed=self.seeds)

    inputs = keras.Input((50,))
    dropped = keras.layers.Dropout(0.5)(inputs)
    model = keras.Model(inputs, [dropped, Noise()(inputs)])
    quiet, noisy = (keras.Model(inputs, y) for y in model.outputs)
    x = np.ones((2, 50), "float32")
    assert predict_samples(quiet, x, 3, training=False).spread.max() == 0
    assert predict_samples(quiet, x, 3).spread.max() > 0
    assert predict_samples(noisy, x, 3, training=False).spread.min() > 0


def test_batches_of_a_dataset_give_what_an_array_gives():
    import tensorflow as tf

    x = np.random.default_rng(0).normal(size=(10, 20)).astype("float32")
    model = dropout_model(width=20)
    expected = predict_samples(model, x, 4, batch_size=4, seed=3)
    labelled = tf.data.Dataset.from_tensor_slices((x, np.arange(10))).batch(4)
    plain = tf.data.Dataset.from_tensor_slices(x).batch(4)
    for batches in (labelled, plain):
        got = predict_samples(model, batches, 4, seed=3)
        np.testing.assert_array_equal(got.mean, expected.mean)
        np.testing.assert_array_equal(got.spread, expected.spread)


def test_one_graph_serves_all_passes():
    traces = []

    class Traced(keras.layers.Layer):
        def call(self, inputs):
            traces.append(inputs.shape)
            return inputs

    model = keras.Sequential([keras.Input((3,)), Traced()])
    traces.clear()
    predict_samples(model, np.ones((8, 3), "float32"), 20, batch_size=4)
    # PyTorch has no graph: it calls each layer in each pass.
    assert len(traces) == (40 if keras.backend.backend() == "torch" else 1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"num_samples": 1}, "`num_samples` must be at least 2.*=1"),
        ({"batch_size": 0}, "`batch_size` must be at least 1.*=0"),
        ({"x": []}, "`x` must hold at least one batch"),
    ],
)
def test_what_cannot_be_averaged_is_refused(arguments, sentence):
    options = {"x": np.ones((2, 3)), "num_samples": 2, **arguments}
    with pytest.raises(ValueError, match=sentence):
        predict_samples(dropout_model(width=3), **options)
