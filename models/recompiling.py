"""Compiles a model again, so that other variables train, with what it knows."""

import warnings
from collections import Counter
from typing import Any, NoReturn

import keras


def recompile(model: keras.Model) -> None:
    """Compiles a model as it was, for the variables that train now.

    Optimizer, loss and metrics are made again from their configs. The
    optimizer takes over its step counter, its rate and the slots of every
    variable that it had one for; other slots are new, metrics too.

    Args:
        model: A compiled model. Keep away from one in the middle of `fit`.

    Raises: ValueError when it cannot be compiled again: what it was compiled
        with does not come back from its config, or is for other variables; two
        variables have one path, so that their slots cannot be told apart; or a
        moving average of the weights would start at zero. The model is then
        left as it was.
    """
    arguments = _compile_arguments(model)
    old, new = model.optimizer, arguments["optimizer"]
    paths = Counter(x.path.replace("/", "_") for x in model.weights)
    path, count = paths.most_common(1)[0] if paths else ("", 0)
    if count > 1:
        _refuse(f"{count} of its variables have the path {path!r}")
    try:
        new.build(model.trainable_variables)
    except ValueError as error:
        _refuse(f"its optimizer is for other variables ({error})", error)
    inner = getattr(old, "inner_optimizer", old)  # in mixed precision
    thaws = _state(new).keys() - _state(inner).keys()
    if new.use_ema and inner.built and thaws:
        _refuse("its moving averages of thawed weights would start at zero")
    model.compile(**arguments)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    carry_over(old, model.optimizer)


def carry_over(
    old: keras.optimizers.Optimizer, new: keras.optimizers.Optimizer
) -> None:
    """Gives an optimizer the step counter, rate and slots of another.

    Args:
        old: A built optimizer.
        new: A built optimizer of the same kind. Its slots for variables that
            the other had none for stay as they are.
    """
    state = _state(old)
    for key, variable in _state(new).items():
        if key in state:
            variable.assign(state[key])


def _compile_arguments(model: keras.Model) -> dict[str, Any]:
    """Arguments of `compile`, made again from their configs."""
    try:
        with warnings.catch_warnings():
            # Keras warns of a lambda, and refuses it in the next line.
            warnings.simplefilter("ignore")
            config = model.get_compile_config()
        arguments = keras.saving.deserialize_keras_object(config)
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        _refuse(f"not all it was compiled with is serializable ({reason})")
    scales = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    return {**arguments, "auto_scale_loss": scales}


def _state(optimizer: keras.optimizers.Optimizer) -> dict[Any, keras.Variable]:
    """Variables of an optimizer by name, and by number for equal names.

    The name of a slot begins with the path of its variable.
    """
    seen: Counter = Counter()
    state = {}
    for variable in optimizer.variables:
        seen[variable.name] += 1
        state[variable.name, seen[variable.name]] = variable
    return state


def _refuse(reason: str, cause: Exception | None = None) -> NoReturn:
    raise ValueError(
        f"freeze: `model` cannot be compiled again, because {reason}; set "
        "`model.compiled = False` first, and call `compile` yourself after."
    ) from cause
