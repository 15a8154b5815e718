"""The sources `cifar10` and `fashion_mnist`, as Keras downloads them."""

from __future__ import annotations

import importlib

from .collection import Collection
from .labelled_arrays import collect_arrays

CIFAR10 = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
FASHION_MNIST = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


def collect_cifar10() -> Collection:
    """Collects CIFAR-10: 60,000 colour photos of 32x32, 10,000 to test on.

    Raises: OSError when Keras has not got it yet and cannot download it.
    """
    return _collect("cifar10", CIFAR10)


def collect_fashion_mnist() -> Collection:
    """Collects Fashion-MNIST: 70,000 grey pictures of clothes, 28x28.

    Raises: OSError when Keras has not got it yet and cannot download it.
    """
    return _collect("fashion_mnist", FASHION_MNIST)


def _collect(name: str, class_names: tuple[str, ...]) -> Collection:
    # Imported here: other sources need no Keras.
    datasets = importlib.import_module(f"keras.datasets.{name}")
    try:
        train, test = datasets.load_data()
    except Exception as error:
        # Keras raises a plain `Exception` for whatever the network does.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OSError(
            f"load: '{name}' cannot be had by Keras's download ({reason}); "
            "give it from a file by npz:FILE or idx:FOLDER, or by "
            f"tfds:{name}"
        ) from None
    return collect_arrays(name, class_names, train, test, flips_are_safe=True)
