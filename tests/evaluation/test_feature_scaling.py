import numpy as np

from dropzoo.evaluation.feature_scaling import Scaling, as_examples


def test_scaled_features_have_mean_zero_and_channels_keep_their_weight():
    rng = np.random.default_rng(0)
    x = rng.normal([3, -2, 50], [1, 2, 4], (500, 3))
    scaled = Scaling.of(x)(x)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(
        scaled.std(axis=0) / scaled.std(axis=0)[0],
        x.std(axis=0) / x.std(axis=0)[0],
    )


def test_a_head_gives_the_same_logits_on_features_as_they_are():
    rng = np.random.default_rng(0)
    x = rng.normal(4, 3, (50, 3))
    kernel, bias = rng.normal(size=(3, 2)), rng.normal(size=2)
    scaling = Scaling.of(x)
    plain_kernel, plain_bias = scaling.undo(kernel, bias)
    assert plain_kernel.dtype == plain_bias.dtype == np.float32
    np.testing.assert_allclose(
        x @ plain_kernel + plain_bias, scaling(x) @ kernel + bias, atol=1e-5
    )


def test_blank_features_stay_finite():
    x = np.full((5, 3), 2.0)
    np.testing.assert_array_equal(Scaling.of(x)(x), np.zeros((5, 3)))


def test_every_view_is_an_example_with_the_label_of_its_image():
    views = np.arange(12).reshape(3, 2, 2)
    x, y = as_examples(views, np.array([5, 6, 7]))
    np.testing.assert_array_equal(x, np.arange(12).reshape(6, 2))
    np.testing.assert_array_equal(y, [5, 5, 6, 6, 7, 7])
