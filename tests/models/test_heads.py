import keras
import numpy as np
import pytest

from dropzoo.models import Techniques
from dropzoo.models.heads import classifier, set_head


@pytest.fixture
def model():
    features = keras.Input((4,))
    return keras.Model(features, classifier(features, 3, 0.5, Techniques()))


def test_logits_are_features_times_kernel_plus_bias(model):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(5, 4)).astype("float32")
    kernel = rng.normal(size=(4, 3)).astype("float32")
    bias = rng.normal(size=3).astype("float32")
    set_head(model, kernel, bias)
    expected = features @ kernel + bias
    np.testing.assert_allclose(model(features), expected, atol=1e-5)


def test_logits_are_float32_in_mixed_precision(model):
    features = keras.Input((4,), dtype="float16")
    assert classifier(features, 3, 0.5, Techniques()).dtype == "float32"


def test_no_classes_are_no_head():
    features = keras.Input((4,))
    assert classifier(features, 0, 0.5, Techniques()) is features


@pytest.mark.parametrize(
    ("kernel", "bias"), [((4, 2), (2,)), ((4, 3), (2,)), ((3, 4), (3,))]
)
def test_a_head_of_another_shape_is_refused(model, kernel, bias):
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"\(4, 3\) and \(3,\). Received"):
        set_head(model, np.zeros(kernel), np.zeros(bias))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_model_without_a_head_is_refused():
    model = keras.Sequential([keras.Input((4,)), keras.layers.ReLU(name="top")])
    with pytest.raises(ValueError, match="named 'logits'.*'top'"):
        set_head(model, np.zeros((4, 3)), np.zeros(3))


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan")])
def test_a_dropout_rate_outside_its_range_is_refused(rate):
    with pytest.raises(ValueError, match="`dropout` must be in"):
        classifier(keras.Input((4,)), 3, rate, Techniques())
