"""The model of an earlier run and the names of its classes."""

import dataclasses
from typing import TYPE_CHECKING

from dropzoo.recipes.run_folder import RunFolder

if TYPE_CHECKING:
    import keras

TINY = 1e-37  # nearly the least number that is normal in float32


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedRun:
    """What a run came to, ready for use.

    Args:
        folder: The run's folder.
        model: Its `model.keras`, from raw uint8 RGB photos of any size,
            `(batch, height, width, 3)`, to probabilities `(batch, classes)`.
        class_names: In the order of the probabilities.
    """

    folder: RunFolder
    model: "keras.Model"
    class_names: tuple[str, ...]

    @property
    def network(self) -> "keras.Model":
        """The network inside, from resized photos to logits.

        Of an ensemble, or of a model with a temperature, what follows the
        resizing, to the logarithms of its probabilities: they are logits too.
        """
        import keras

        from dropzoo.models.starting_point import network_of

        if len(self.model.layers) == 4:  # photos, resizing, network, softmax
            return network_of(self.model)
        shares = keras.ops.maximum(self.model.output, TINY)
        photos = self.model.get_layer("resizing").output
        return keras.Model(photos, keras.ops.log(shares))

    @classmethod
    def open(cls, path: str) -> "TrainedRun":
        """Loads what a run has kept; nothing in its files is executed.

        Args:
            path: The run's folder.

        Raises:
            FileNotFoundError: There is no run, or it was stopped too early.
            ValueError: A file of the run is damaged.
        """
        from dropzoo.models.starting_point import load_saved_model

        folder = RunFolder.open(path)
        file = folder.model()
        class_names = folder.read_json("labels.json")
        model = load_saved_model(file)
        num_classes = model.output_shape[-1]
        if not _are_names(class_names) or len(class_names) != num_classes:
            raise ValueError(
                f"{folder.path / 'labels.json'} must be a list of the "
                f"{num_classes} class names of the model beside it; it was "
                "changed or belongs to another run."
            )
        return cls(folder, model, tuple(class_names))


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(x, str) for x in value)
