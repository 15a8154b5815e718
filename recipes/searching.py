"""What a search tries: whole networks, or heads on a frozen network's features.

Both say how a trial is made and what it learns from, and train the best one
again, which is then kept.
"""

import functools
from pathlib import Path
from typing import Any, Protocol

import keras
import keras_tuner
import numpy as np

from dropzoo.callbacks import CallAfterBatch, ProgressBar
from dropzoo.data import ImageData
from dropzoo.evaluation import extract_features
from dropzoo.evaluation.feature_scaling import Scaling, as_examples
from dropzoo.evaluation.folds import ENOUGH
from dropzoo.models import replace_head
from dropzoo.models.starting_point import from_catalogue
from dropzoo.recipes.head_fitting import pool_photos
from dropzoo.recipes.interruption import check_interruption
from dropzoo.recipes.search_options import (
    Looking,
    Photos,
    first_weights,
    read_ranges,
    searches_heads,
)
from dropzoo.recipes.searched_photos import load_split
from dropzoo.recipes.steps import Steps
from dropzoo.recipes.training import POINTS, Trained
from dropzoo.search import HeadHyperModel, SearchSpace, ZooHyperModel


class Subject(Protocol):
    """What a search tries.

    Attributes:
        hypermodel: Makes the trials.
        data: What they learn from and are judged by.
        judged_by: What that is, in words.
        is_quick: Whether a trial is over in a moment, so that it needs no
            process of its own.
    """

    hypermodel: Any
    data: dict[str, Any]
    judged_by: str
    is_quick: bool

    def refit(
        self,
        best: keras_tuner.HyperParameters,
        epochs: int,
        state: Path,
        steps: Steps,
    ) -> Trained:
        """Trains the best model anew, and keeps its best epoch.

        Args:
            best: Its settings.
            epochs: Passes over the training photos.
            state: Folder in which a stopped training is found again.
            steps: Where progress is shown.
        """


def choose_subject(
    looking: Looking, photos: Photos, data: ImageData, seed: int, steps: Steps
) -> Subject:
    """Heads where everything else is frozen, whole networks otherwise.

    Args:
        looking: Where to look.
        photos: Options that name the photos.
        data: The photos.
        seed: Of the search.
        steps: Where progress is shown.

    Raises: ValueError when there are no photos to choose by.
    """
    space, weights = read_ranges(looking), first_weights(looking)
    if searches_heads(space, weights):
        return HeadSearch(looking, space, data, seed, steps)
    return NetworkSearch(looking, photos, space, data, seed, steps)


class NetworkSearch:
    """Whole networks.

    Args:
        looking: Where to look.
        photos: Options that name the photos.
        space: The ranges.
        data: The photos.
        seed: Of the search.
        steps: Where progress is shown.

    Raises: ValueError when there are no validation photos.
    """

    is_quick = False
    judged_by = "the validation photos"

    def __init__(
        self,
        looking: Looking,
        photos: Photos,
        space: SearchSpace,
        data: ImageData,
        seed: int,
        steps: Steps,
    ):
        if data.validation is None:
            raise ValueError(
                "search: there must be validation photos to choose by. "
                f"Received: {photos.data}, which has none"
            )
        if len(data.validation) < ENOUGH * data.num_classes:
            steps.say(
                f"Only {len(data.validation)} validation photos judge the "
                "trials: a small lead among them may be luck."
            )
        self.hypermodel = ZooHyperModel(
            data.num_classes,
            space=space,
            weights=first_weights(looking),
            batch_size=looking.batch_size,
            flips=data.flips_are_safe,
            seed=seed,
        )
        load = functools.partial(load_split, photos, seed)
        self.data: dict[str, Any] = {
            "x": functools.partial(load, "train"),
            "validation_data": functools.partial(load, "validation"),
        }
        self._photos = data

    def refit(
        self,
        best: keras_tuner.HyperParameters,
        epochs: int,
        state: Path,
        steps: Steps,
    ) -> Trained:
        """As of `Subject`."""
        network = self.hypermodel.build(best)
        train = self._photos.train
        batch_size = min(self.hypermodel.batch_size, len(train))
        updates = epochs * (len(train) // batch_size)
        with steps.bar("training", updates) as bar:
            history = self.hypermodel.fit(
                best,
                network,
                train,
                validation_data=self._photos.validation,
                epochs=epochs,
                checkpoints=state / "refit",
                callbacks=[
                    _keep_best(epochs),
                    ProgressBar(bar.progress, bar.task, "training"),
                    CallAfterBatch(check_interruption),
                ],
                verbose=0,
            )
        rates = self.hypermodel.schedule(best, updates)
        return _trained(network, history, rates, updates)


class HeadSearch:
    """Heads on the features of one frozen network, computed once.

    Args:
        looking: Where to look.
        space: The ranges.
        data: The photos; `choose_folds` says which of them judge.
        seed: Of the search.
        steps: Where progress is shown.

    Raises: ValueError when there are no photos to choose by.
    """

    is_quick = True

    def __init__(
        self,
        looking: Looking,
        space: SearchSpace,
        data: ImageData,
        seed: int,
        steps: Steps,
    ):
        (backbone,), sizes = space["backbone"].ends, space["image_size"].ends
        side = int(sizes[0]) if sizes else None
        start = from_catalogue(str(backbone), first_weights(looking), side)
        steps.say(start.loaded)
        steps.say(
            "Only heads are searched: the rest is frozen, and what it makes "
            "of each photo is computed once."
        )
        self.backbone = start.backbone
        mirrored = data.flips_are_safe and space["augmentation"].ends != (
            "none",
        )
        pool, self.folds = pool_photos(data, seed)
        with steps.bar("features", len(pool)) as bar:
            views = extract_features(
                self.backbone, pool, mirrored=mirrored, progress=bar.advance
            ).read()
        x, y = as_examples(views, pool.labels)
        rows = np.arange(len(x)).reshape(views.shape[:2])
        self.scaling = Scaling.of(x[rows[self.folds.learn].ravel()])
        self.data: dict[str, Any] = {
            "x": self.scaling(x),
            "y": y,
            "folds": [
                (rows[learn].ravel(), rows[judge, 0])
                for learn, judge in self.folds.pairs
            ],
        }
        self.judged_by = (
            f"the photos that {len(self.folds.pairs)} folds held out"
            if self.folds.crossed
            else "the validation photos"
        )
        self.hypermodel = HeadHyperModel(
            x.shape[1],
            data.num_classes,
            space=space,
            batch_size=looking.batch_size,
            seed=seed,
        )

    def refit(
        self,
        best: keras_tuner.HyperParameters,
        epochs: int,
        state: Path,
        steps: Steps,
    ) -> Trained:
        """As of `Subject`."""
        drawn = self.hypermodel.settings(best)
        head = self.hypermodel.build(best)
        if self.folds.crossed:  # then all photos are learned from
            x, y = self.data["x"], self.data["y"]
            history = self.hypermodel.fit(best, head, x, y, epochs=epochs)
        else:
            history = self.hypermodel.fit(
                best,
                head,
                **self.data,
                epochs=epochs,
                callbacks=[_keep_best(epochs)],
            )
        units = drawn["hidden_units"]
        network = replace_head(
            self.backbone,
            self.hypermodel.num_classes,
            hidden=(units,) if units else (),
            dropout=drawn["dropout"],
        )
        self._put_head(head, network)
        updates = int(head.optimizer.iterations)
        rates = self.hypermodel.schedule(best, updates)
        return _trained(network, history, rates, updates)

    def _put_head(self, head: keras.Model, network: keras.Model) -> None:
        """Puts the weights in; the first layer takes features as they are."""
        dense = [x for x in head.layers if isinstance(x, keras.layers.Dense)]
        for number, layer in enumerate(dense):
            weights = layer.get_weights()
            if not number:
                weights = list(self.scaling.undo(*weights))
            network.get_layer(layer.name).set_weights(weights)


def _keep_best(epochs: int) -> keras.callbacks.Callback:
    """Never stops, but puts the weights of the best epoch back at the end."""
    return keras.callbacks.EarlyStopping(
        "val_accuracy", mode="max", patience=epochs, restore_best_weights=True
    )


def _trained(
    network: keras.Model,
    history: keras.callbacks.History,
    schedule: Any,
    updates: int,
) -> Trained:
    logs = history.history
    rows = [
        {name: float(values[epoch]) for name, values in logs.items()}
        for epoch in range(len(logs["loss"]))
    ]
    places = np.unique(np.linspace(0, updates - 1, POINTS).astype(int))
    values = [float(schedule(int(place))) for place in places]
    judged = logs.get("val_accuracy")
    return Trained(
        network,
        rows,
        len(rows) if judged is None else int(np.argmax(judged)) + 1,
        np.interp(np.arange(updates), places, values),
    )
