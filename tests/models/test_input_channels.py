import logging

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from dropzoo.models import Preprocessing, create_model, model_info
from dropzoo.models.input_channels import adapt_kernel, adapt_preprocessing
from dropzoo.models.spec import IMAGENET, MNIST


@pytest.fixture
def kernel():
    return np.random.default_rng(0).normal(size=(3, 3, 3, 5)).astype("float32")


def test_rgb_stays_as_it_is(kernel):
    assert adapt_kernel(kernel, 3) is kernel
    assert adapt_preprocessing(IMAGENET, 3) == IMAGENET


def test_one_channel_gets_the_sum(kernel):
    expected = kernel[:, :, 0] + kernel[:, :, 1] + kernel[:, :, 2]
    np.testing.assert_allclose(
        adapt_kernel(kernel, 1)[:, :, 0], expected, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("channels", [2, 4, 5, 6, 13])
def test_more_channels_get_the_three_in_turn(kernel, channels):
    adapted = adapt_kernel(kernel, channels)
    assert adapted.shape == (3, 3, channels, 5) and adapted.dtype == "float32"
    for channel in range(channels):
        np.testing.assert_allclose(
            adapted[:, :, channel],
            kernel[:, :, channel % 3] * 3 / channels,
            rtol=1e-6,
        )


@pytest.mark.parametrize("channels", [1, 6, 9])
def test_a_constant_image_gives_what_it_gave(kernel, channels):
    np.testing.assert_allclose(
        adapt_kernel(kernel, channels).sum(2), kernel.sum(2), rtol=1e-4
    )


@pytest.mark.torch
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_it_is_what_timm_does(kernel, channels):
    torch = pytest.importorskip("torch")
    timm = pytest.importorskip("timm.models")
    theirs = timm.adapt_input_conv(
        channels, torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
    )
    np.testing.assert_allclose(
        adapt_kernel(kernel, channels),
        theirs.numpy().transpose(2, 3, 1, 0),
        rtol=1e-6,
        atol=1e-6,
    )


def test_mean_and_scale_follow_the_channels():
    rgb = Preprocessing((1.0, 2.0, 6.0), (10.0, 20.0, 30.0), crop=0.9)
    assert adapt_preprocessing(rgb, 1) == Preprocessing((3.0,), (20.0,), 0.9)
    assert adapt_preprocessing(rgb, 4) == Preprocessing(
        (1.0, 2.0, 6.0, 1.0), (10.0, 20.0, 30.0, 10.0), 0.9
    )


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_one_number_serves_all_channels(channels):
    assert adapt_preprocessing(MNIST, channels) == MNIST


@pytest.fixture
def weights(tmp_path, state_dict, in_catalogue):
    """A file of RGB weights of the tiny network."""
    path = tmp_path / "tiny.safetensors"
    save_file(state_dict, path)
    return path


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_network_is_built_for_any_number_of_channels(
    weights, state_dict, channels
):
    shape = (8, 8, channels)
    assert create_model("tiny", input_shape=shape).input_shape[1:] == shape
    model = create_model("tiny", weights=weights, input_shape=shape)
    kernel = state_dict["net.stem_conv.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(
        model.get_layer("stem_conv").kernel, adapt_kernel(kernel, channels)
    )
    np.testing.assert_array_equal(
        model.get_layer("stem_bn").gamma, state_dict["net.stem_bn.weight"]
    )


@pytest.mark.parametrize(
    ("channels", "sentence"),
    [
        (1, "stem_conv/kernel was summed over RGB for 1 channel"),
        (4, "stem_conv/kernel was cycled through RGB and rescaled for 4 ch"),
    ],
)
def test_the_report_says_that_channels_were_adapted(
    weights, caplog, channels, sentence
):
    with caplog.at_level(logging.WARNING, "dropzoo"):
        create_model("tiny", weights=weights, input_shape=(8, 8, channels))
    assert sentence in caplog.text


def test_rgb_is_loaded_without_a_word_of_channels(weights, caplog):
    with caplog.at_level(logging.INFO, "dropzoo"):
        create_model("tiny", weights=weights)
    assert "RGB" not in caplog.text


def test_weights_for_other_channels_are_refused(in_catalogue, tmp_path):
    grey = create_model("tiny", input_shape=(8, 8, 1), num_classes=3)
    grey.save_weights(tmp_path / "grey.weights.h5")
    with pytest.raises(ValueError, match=r"stem_conv/kernel .* \(3, 3, 1, 4\)"):
        create_model(
            "tiny", weights=tmp_path / "grey.weights.h5", num_classes=3
        )
    again = create_model(
        "tiny", weights=tmp_path / "grey.weights.h5", input_shape=(8, 8, 1)
    )
    np.testing.assert_array_equal(
        again.get_layer("stem_conv").kernel, grey.get_layer("stem_conv").kernel
    )


@pytest.fixture(scope="module")
def grey_photo():
    """A photo in shades of grey, `(224, 224)`."""
    from sklearn.datasets import load_sample_image

    photo = Image.fromarray(load_sample_image("china.jpg"))
    return np.asarray(photo.convert("L").resize((224, 224)))


@pytest.mark.slow(ci=True)
def test_a_grey_photo_gives_the_logits_that_it_gives_as_rgb(grey_photo):
    rgb = create_model("efficientnet_lite0", weights="imagenet")
    grey = create_model(
        "efficientnet_lite0", weights="imagenet", input_shape=(224, 224, 1)
    )
    assert model_info("efficientnet_lite0").channels == 3
    expected = rgb(np.stack([grey_photo] * 3, axis=-1)[None])
    found = grey(grey_photo[None, ..., None])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    six = create_model(
        "efficientnet_lite0", weights="imagenet", input_shape=(224, 224, 6)
    )
    found = six(np.stack([grey_photo] * 6, axis=-1)[None])
    np.testing.assert_allclose(found, expected, atol=1e-4)
