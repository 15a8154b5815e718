"""The record of trained weights that Keras downloads and keeps."""

import os
from dataclasses import dataclass
from pathlib import Path

from dropzoo.models.spec import Preprocessing


@dataclass(frozen=True)
class KerasWeights:
    """One set of trained weights of `keras.applications`.

    Args:
        tag: Name by which `create_model(weights=...)` asks for them.
        url: Where Keras gets the file.
        file: Name of the file in Keras's cache.
        preprocessing: What the network's input went through in training.
        num_classes: Outputs of the classifier.
        licence: As the documentation of Keras has it.
        origin: Who trained them.
        accuracy_reported: Top-1 accuracy on ImageNet by the documentation of
            Keras, in [0, 1].
        accuracy_measured: What was re-measured here, in words.
        channel_order: Order of the colours in training, `"rgb"` or `"bgr"`.
            Kernels for BGR are turned round when they are loaded: our networks
            take RGB.
        sha256: SHA-256 of the file, hexadecimal, where Keras compares one.
        md5: MD5 of the file, hexadecimal, where Keras compares that. Of some
            files it compares neither; both are empty then.
    """

    tag: str
    url: str
    file: str
    preprocessing: Preprocessing
    num_classes: int
    licence: str
    origin: str
    accuracy_reported: float | None = None
    accuracy_measured: str | None = None
    channel_order: str = "rgb"
    sha256: str = ""
    md5: str = ""

    @property
    def install_command(self) -> str:
        """What a person does to have them."""
        return f"Keras downloads them at the first use, from {self.url}"

    def find_file(self) -> Path | None:
        """The file in Keras's cache, or `None` where there is none yet."""
        home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
        path = Path(home) / "models" / self.file
        return path if path.is_file() else None
