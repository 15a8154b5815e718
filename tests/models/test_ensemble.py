"""The model that averages is the average of the models, and stands alone."""

import keras
import numpy as np
import pytest
from keras import layers

from dropzoo.layers import StochasticDepth
from dropzoo.models import ensemble, feature_extractor
from dropzoo.models.preprocessing import raw_input_model

X = np.random.default_rng(0).uniform(0, 255, (5, 8, 8, 3)).astype("float32")
PHOTOS = np.random.default_rng(1).integers(0, 256, (3, 11, 7, 3), "uint8")


def network(
    *, ends="logits", classes=3, side=8, seed=0, scale=1 / 127, name="net"
):
    """A small convolutional classifier whose answers differ with the seed."""
    x = keras.Input((side, side, 3), name="images")
    y = layers.Rescaling(scale, name="normalization")(x)
    # The seed alone decides: the names, and with them the seeds of layers, not.
    initial = [keras.initializers.GlorotNormal(seed + i) for i in range(2)]
    y = layers.Conv2D(4, 3, kernel_initializer=initial[0], name="conv")(y)
    y = layers.BatchNormalization(name="norm")(y)
    y = layers.GlobalMaxPooling2D(name="pool")(layers.ReLU(name="relu")(y))
    y = layers.Dense(
        classes,
        activation="softmax" if ends == "dense" else None,
        kernel_initializer=initial[1],
        name="logits",
    )(y)
    if ends == "softmax":
        y = layers.Softmax(name="probabilities")(y)
    return keras.Model(x, y, name=name)


def mlp(*, classes=3, seed=9, activation=None):
    kernel = keras.initializers.GlorotNormal(seed)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1 / 127),
            layers.Flatten(),
            layers.Dense(classes, activation, kernel_initializer=kernel),
        ]
    )


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def outputs(model, x=X):
    return keras.ops.convert_to_numpy(model(x)).astype("float64")


def names(model):
    return [layer.name for layer in model.layers]


@pytest.fixture(scope="module")
def nets():
    return [network(seed=seed) for seed in (0, 10, 20)]


def test_it_averages_the_probabilities_of_logits(nets):
    expected = np.mean([softmax(outputs(net)) for net in nets], axis=0)
    assert np.ptp(expected) > 0.1  # they do tell the classes apart
    found = outputs(ensemble(nets))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_or_the_logits(nets):
    expected = softmax(np.mean([outputs(net) for net in nets], axis=0))
    found = outputs(ensemble(nets, average="logits"))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    other = outputs(ensemble(nets))
    assert np.abs(found - other).max() > 1e-3


@pytest.mark.parametrize("ends", ["softmax", "dense"])
@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_it_is_the_same_whatever_the_members_end_in(nets, ends, average):
    members = [network(seed=seed, ends=ends) for seed in (0, 10, 20)]
    found = outputs(ensemble(members, average=average))
    expected = outputs(ensemble(nets, average=average))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_members_may_be_of_any_architecture():
    members = [network(ends="dense"), mlp(), network(seed=10)]
    given = [outputs(member) for member in members]
    expected = np.mean([given[0], *map(softmax, given[1:])], axis=0)
    found = outputs(ensemble(members))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_is_no_softmax_is_told_by_the_loss():
    x = keras.Input((4,))
    one = keras.Model(x, layers.Dense(3, activation="exponential")(x))
    one.compile(loss=keras.losses.SparseCategoricalCrossentropy(True))
    other = keras.models.clone_model(one)
    other.compile(loss="sparse_categorical_crossentropy")
    numbers = np.random.default_rng(0).normal(size=(5, 4))
    expected = softmax(outputs(one, numbers)) + outputs(other, numbers)
    found = outputs(ensemble([one, other]), numbers)
    np.testing.assert_allclose(found, expected / 2, atol=1e-5)


def test_sigmoids_are_averaged_as_they_are():
    members = [mlp(classes=1, seed=s, activation="sigmoid") for s in (0, 1)]
    expected = np.mean([outputs(member) for member in members], axis=0)
    found = outputs(ensemble(members))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_ensembles_may_be_members(nets):
    inner = [ensemble(nets[:2]), ensemble(nets[2:])]
    expected = np.mean([outputs(member) for member in inner], axis=0)
    found = outputs(ensemble(inner))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_one_member_is_an_ensemble(nets):
    found = outputs(ensemble(nets[:1]))
    np.testing.assert_allclose(found, softmax(outputs(nets[0])), atol=1e-6)


def test_several_inputs_are_averaged_over():
    def member():
        ends = {k: keras.Input((2,), name=k) for k in ("one", "two")}
        total = layers.Add()([ends["one"], layers.Dense(2)(ends["two"])])
        return keras.Model(ends, layers.Dense(2)(total))

    members = [member(), member()]
    x = {
        k: np.random.default_rng(0).normal(size=(3, 2)) for k in ("one", "two")
    }
    expected = np.mean([softmax(outputs(m, x)) for m in members], axis=0)
    found = outputs(ensemble(members), x)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_an_input_in_a_list_is_that_input(nets):
    listed = keras.Model([nets[1].input], nets[1].output)
    expected = outputs(ensemble(nets[:2]))
    found = outputs(ensemble([nets[0], listed]))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_equal_preprocessing_is_done_once(nets):
    model = ensemble(nets)
    assert names(model)[:2] == ["images", "normalization"]
    assert [names(model.get_layer(n))[1] for n in names(model)[2:5]] == [
        "conv"
    ] * 3


def test_preprocessing_that_differs_stays_with_its_member(nets):
    members = [nets[0], network(scale=1 / 255, seed=10)]
    model = ensemble(members)
    assert "normalization" not in names(model)
    expected = np.mean([softmax(outputs(m)) for m in members], axis=0)
    np.testing.assert_allclose(outputs(model), expected, atol=1e-6)


def test_what_a_normalization_has_learnt_is_compared_and_kept():
    def member(seed, numbers):
        normalization = layers.Normalization()
        normalization.adapt(np.reshape(numbers, (-1, 1)))
        kernel = keras.initializers.GlorotNormal(seed)
        dense = layers.Dense(2, kernel_initializer=kernel)
        return keras.Sequential([keras.Input((1,)), normalization, dense])

    members = [member(0, [1.0, 3.0]), member(1, [1.0, 3.0])]
    x = np.array([[-2.0], [4.0]])
    for others, is_shared in (([], True), ([member(2, [1.0, 9.0])], False)):
        model = ensemble([*members, *others])
        kinds = {type(layer) for layer in model.layers}
        assert (layers.Normalization in kinds) == is_shared
        given = [softmax(outputs(m, x)) for m in [*members, *others]]
        expected = np.mean(given, axis=0)
        np.testing.assert_allclose(outputs(model, x), expected, atol=1e-6)


def test_photos_of_any_size_are_resized_once_for_members_of_one_size(nets):
    members = [raw_input_model(net) for net in nets]
    model = ensemble(members)
    assert names(model)[:3] == ["photos", "resizing", "normalization"]
    expected = np.mean([outputs(m, PHOTOS) for m in members], axis=0)
    np.testing.assert_allclose(outputs(model, PHOTOS), expected, atol=1e-6)


def test_and_by_each_member_where_sizes_differ():
    members = [raw_input_model(network(side=side)) for side in (8, 12)]
    model = ensemble(members, average="logits")
    assert names(model)[0] == "photos"
    assert "resizing" not in names(model)
    logits = np.log([outputs(m, PHOTOS) for m in members])
    expected = softmax(logits.mean(axis=0))
    np.testing.assert_allclose(outputs(model, PHOTOS), expected, atol=1e-5)


def test_a_photo_is_rounded_as_each_member_rounds_it():
    """A Resizing on numbers does not round, one on whole numbers does."""
    x = keras.Input((8, 8, 3))
    inner = keras.Model(x, layers.Resizing(5, 5)(x))
    members = []
    for seed in (0, 1):
        photos = keras.Input((8, 8, 3), dtype="uint8")
        kernel = keras.initializers.GlorotNormal(seed)
        y = layers.Flatten()(keras.models.clone_model(inner)(photos))
        y = layers.Dense(2, kernel_initializer=kernel)(y / 255)
        members.append(keras.Model(photos, y))
    x = PHOTOS[:, :8, :7].repeat(2, axis=2)[:, :, :8]
    expected = np.mean([softmax(outputs(m, x)) for m in members], axis=0)
    found = outputs(ensemble(members), x)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_names_are_unique_and_tell_the_members(nets):
    model = ensemble([*nets, network(name="average")])
    assert len(set(names(model))) == len(names(model))
    assert {"net", "net_1", "net_2"} < set(names(model))
    found = model.get_layer("net_2").get_weights()
    for weight, expected in zip(found, nets[2].get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_the_members_are_left_as_they_were():
    member = network()
    member.get_layer("conv").trainable = False
    before = member.get_layer("relu").output, member.get_weights()
    model = ensemble([member, network(seed=10)])
    for variable in model.weights:
        variable.assign(variable + 1)
    model.trainable = False
    assert member.name == "net"
    assert member.get_layer("relu").output is before[0]
    assert member.get_layer("norm").trainable
    assert not member.get_layer("conv").trainable
    for found, expected in zip(member.get_weights(), before[1], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_frozen_layers_are_frozen_in_the_ensemble():
    member = network()
    member.get_layer("conv").trainable = False
    model = ensemble([member, network(seed=10)])
    assert not model.get_layer("net").get_layer("conv").trainable
    assert model.get_layer("net_1").get_layer("conv").trainable


@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_half_precision_is_averaged_in_single(average):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        members = [network(seed=seed) for seed in (0, 10)]
    finally:
        keras.config.set_dtype_policy("float32")
    assert members[0].output.dtype == "float16"
    logits = np.array([outputs(member) for member in members])
    expected = softmax(logits).mean(axis=0)
    if average == "logits":
        expected = softmax(logits.mean(axis=0))
    model = ensemble(members, average=average)
    assert model.output.dtype == "float32"
    # Of half precision, 1e-3 would be left.
    np.testing.assert_allclose(outputs(model), expected, atol=1e-6)


def test_it_is_compiled_evaluated_and_trained_like_any_model(nets):
    model = ensemble(nets)
    model.compile(
        keras.optimizers.SGD(0.1),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    labels = outputs(model).argmax(axis=-1)
    assert model.evaluate(X, labels, verbose=0)[1] == 1
    before = model.get_layer("net_1").get_layer("conv").get_weights()[0]
    model.fit(X, (labels + 1) % 3, verbose=0)
    after = model.get_layer("net_1").get_layer("conv").get_weights()[0]
    assert np.abs(after - before).max() > 0
    kept = nets[1].get_layer("conv").get_weights()[0]
    np.testing.assert_array_equal(kept, before)


def test_its_maps_can_be_read(nets):
    maps = feature_extractor(ensemble(nets), "net_1/relu")(X)
    expected = feature_extractor(nets[1], "relu")(X)
    found = keras.ops.convert_to_numpy(maps["net_1/relu"])
    expected = keras.ops.convert_to_numpy(expected["relu"])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_saved_ensemble_needs_keras_alone(tmp_path):
    def member():
        x = keras.Input((3,))
        y = layers.Add()([x, StochasticDepth(0.5)(layers.Dense(3)(x))])
        return keras.Model(x, layers.Dense(2)(y))

    model = ensemble([member(), member()])
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    assert "dropzoo" not in model.to_json()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs(loaded, x), outputs(model, x))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the format is TensorFlow's"
)
def test_it_is_exported(nets, tmp_path):
    import tensorflow as tf

    model = ensemble([raw_input_model(net) for net in nets[:2]])
    model.export(tmp_path / "exported", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "exported")
    found = loaded.serve(PHOTOS)
    np.testing.assert_allclose(found, outputs(model, PHOTOS), atol=1e-6)


def two_ends():
    x = keras.Input((8, 8, 3))
    y = layers.Dense(3)(layers.Flatten()(x))
    return keras.Model(x, [y, layers.Softmax()(y)], name="both")


def unknown():
    x = keras.Input((8, 8, 3))
    y = layers.Dense(3, activation="relu")(layers.Flatten()(x))
    return keras.Model(x, y, name="rectified")


class Own(keras.Model):
    def call(self, x):
        return x


REFUSED = [
    ([], {}, ValueError, "`members` must hold at least one"),
    ([Own()], {}, TypeError, "must be a functional .* Received: Own"),
    (
        [keras.Sequential([layers.Dense(3)])],
        {},
        TypeError,
        "a built Sequential .* Received: Sequential",
    ),
    ([two_ends()], {}, ValueError, "one output.*'both' with 2 outputs"),
    (
        [network(), network(classes=4, name="four")],
        {},
        ValueError,
        r"the same classes.*3\) of 'net' and .*4\) of 'four'",
    ),
    (
        [network(), network(side=9, name="nine")],
        {},
        ValueError,
        r"inputs of one shape.*8, 3\) float32 of 'net' and .*9, 3\) float32",
    ),
    (
        [raw_input_model(network()), network()],
        {},
        ValueError,
        "inputs of one shape and type.*uint8",
    ),
    ([network()], {"average": "votes"}, ValueError, "`average`.*='votes'"),
    ([unknown()], {}, ValueError, "`from_logits` must tell what 'rectified'"),
    ([mlp(classes=1)], {}, ValueError, "single one is always 1.*one output"),
    (
        [mlp(activation="sigmoid")],
        {"average": "logits"},
        ValueError,
        "neither logits nor a softmax.*average='logits'",
    ),
]


@pytest.mark.parametrize(("members", "options", "kind", "sentence"), REFUSED)
def test_what_cannot_be_averaged_is_refused(members, options, kind, sentence):
    with pytest.raises(kind, match=sentence):
        ensemble(members, **options)


def test_a_model_alone_is_no_list(nets):
    with pytest.raises(TypeError, match="a list of models.*'net' alone"):
        ensemble(nets[0])


def test_a_loss_of_the_users_own_tells_nothing():
    member = unknown()
    member.compile(loss=lambda labels, x: keras.ops.mean(x))
    with pytest.raises(ValueError, match="`from_logits` must tell"):
        ensemble([member])
    linear = network()
    linear.compile(loss=lambda labels, x: keras.ops.mean(x))
    found = outputs(ensemble([linear]))
    np.testing.assert_allclose(found, softmax(outputs(linear)), atol=1e-6)


@pytest.mark.parametrize("from_logits", [True, False])
def test_what_is_told_is_believed(from_logits):
    member = unknown()
    given = outputs(member)
    expected = softmax(given) if from_logits else given
    found = outputs(ensemble([member], from_logits=from_logits))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
