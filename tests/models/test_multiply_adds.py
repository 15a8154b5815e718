import keras
import pytest
from keras import layers

from dropzoo.models import create_model
from dropzoo.models.multiply_adds import multiply_adds

# In millions, as torchvision publishes them (`_ops` of its weights).
TORCHVISION = {"mobilenet_v2": 301, "alexnet": 714}
LARGE = {"vgg11": 7_609, "vgg13": 11_308, "vgg16": 15_470, "vgg19": 19_632}


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        *TORCHVISION.items(),
        *(pytest.param(*x, marks=pytest.mark.slow) for x in LARGE.items()),
    ],
)
def test_networks_compute_what_torchvision_says(name, millions):
    assert round(multiply_adds(create_model(name)) / 1e6) == millions


def test_a_skipping_network_computes_what_the_plain_one_does():
    plain = create_model("resnet20_cifar")
    skipping = create_model("resnet20_cifar", stochastic_depth=0.5, skip=True)
    kernels = [3 * 16 + 6 * 16**2, 16 * 32 + 5 * 32**2, 32 * 64 + 5 * 64**2]
    expected = 64 * 10 + sum(
        9 * kernel * side**2
        for kernel, side in zip(kernels, (32, 16, 8), strict=True)
    )
    assert multiply_adds(plain) == multiply_adds(skipping) == expected


def test_each_kind_of_kernel_counts_at_each_position():
    x = keras.Input((8, 6, 3))
    y = layers.DepthwiseConv2D(3, 2, padding="same")(x)  # (4, 3, 3)
    y = layers.SeparableConv2D(5, 3, padding="same")(y)  # (4, 3, 5)
    y = layers.Conv2D(10, 1, groups=5)(y)
    y = layers.BatchNormalization()(y)
    y = layers.Dense(7)(layers.GlobalAveragePooling2D()(y))
    kernels = 9 * 3 + (9 * 3 + 3 * 5) + 1 * 10
    assert multiply_adds(keras.Model(x, y)) == 12 * kernels + 10 * 7


def test_an_inner_model_is_measured_at_the_size_it_is_called_with():
    x, y = keras.Input((None, None, 3)), keras.Input((8, 8, 3))
    inner = keras.Model(x, layers.Conv2D(4, 1)(x), name="inner")
    assert multiply_adds(keras.Model(y, inner(y))) == 64 * 12
    with pytest.raises(ValueError, match="one size of image.*'conv"):
        multiply_adds(inner)
