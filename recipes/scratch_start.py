"""How recipes that train from scratch begin: photos, plan, network, checks."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dropzoo.recipes.paper import Paper
from dropzoo.recipes.run_folder import RunFolder
from dropzoo.recipes.train_options import Machine, Photos, Training

if TYPE_CHECKING:
    import keras

    from dropzoo.data import ImageData
    from dropzoo.recipes.steps import Steps
    from dropzoo.recipes.training import ScratchTraining
    from dropzoo.recipes.training_plan import TrainingPlan


class Options(Protocol):
    """What is read of a recipe's options."""

    @property
    def budget(self) -> float: ...
    @property
    def photos(self) -> Photos: ...
    @property
    def training(self) -> Training: ...
    @property
    def machine(self) -> Machine: ...
    @property
    def seed(self) -> int: ...


class Start(NamedTuple):
    """Everything that a training needs to run.

    Args:
        steps: Where progress is shown.
        data: The photos.
        plan: The figures.
        training: What trains.
        steps_per_epoch: Batches in an epoch.
    """

    steps: "Steps"
    data: "ImageData"
    plan: "TrainingPlan"
    training: "ScratchTraining"
    steps_per_epoch: int


def start_from_scratch(
    config: Options,
    paper: Paper,
    folder: RunFolder,
    make: "Callable[[TrainingPlan, ImageData], ScratchTraining]",
) -> Start:
    """Makes the steps before a training, and holds the run to its photos.

    Args:
        config: The options.
        paper: What the plan starts from, and whose photos serve where the
            options name none.
        folder: Of the run.
        make: Makes the training of a plan on photos.

    Raises:
        ValueError: An option breaks its rule, or the data are not usable.
        OSError: Something cannot be read or written.
    """
    # Imported here: `--help` of a recipe needs no TensorFlow.
    import keras

    from dropzoo.recipes.devices import check_devices
    from dropzoo.recipes.photo_loading import load_photos
    from dropzoo.recipes.preview import draw_preview
    from dropzoo.recipes.steps import Steps
    from dropzoo.recipes.training_plan import plan_training

    steps = Steps()
    steps.say(f"Run folder: {folder.path}")
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.machine.precision)
    photos = config.photos
    data = load_photos(
        photos.data or paper.data,
        steps,
        seed=config.seed,
        limit=photos.limit,
        data_dir=photos.data_dir,
    )

    # Paper, budget and options become figures, and whatever is not as
    # published is said before it costs time.
    with steps.step("Plan"):
        plan = plan_training(
            paper,
            photos,
            config.training,
            config.machine,
            budget=config.budget,
            num_photos=len(data.train),
            num_classes=data.num_classes,
            flips_are_safe=data.flips_are_safe,
        )
        check_devices(plan.devices, plan.accumulate)
        training = make(plan, data)
        network = training.build()
        batches = training.batches(network.input_shape[1:3])
        for line in (*plan.notes, describe(plan, network)):
            steps.say(line)
        if photos.preview is not None:
            draw_preview(photos.preview, batches, data.class_names)
            steps.say(f"Preview: {photos.preview}")
    with steps.step("Sanity"):
        training.check(network, steps)
    folder.hold_to(data.digest())
    return Start(steps, data, plan, training, batches.steps_per_epoch)


def describe(plan: "TrainingPlan", network: "keras.Model") -> str:
    """The network and its training in a sentence.

    Args:
        plan: The figures.
        network: The network.
    """
    changes = ", ".join(plan.augmentation) or "no augmentation"
    return (
        f"{plan.model}, {network.count_params():,} parameters, "
        f"{network.input_shape[1]} px: {plan.epochs} epochs of "
        f"{plan.num_photos:,} photos; {changes}."
    )
