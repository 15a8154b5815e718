"""Makes the folder of a new run, or finds that of a stopped one."""

import contextlib
import shlex
from collections.abc import Iterator
from typing import Any

from dropzoo.recipes.option_groups import ConfigT, flatten, unflatten
from dropzoo.recipes.run_folder import RunFolder


@contextlib.contextmanager
def open_run(
    verb: str, config: ConfigT, default_name: str
) -> Iterator[tuple[RunFolder, ConfigT]]:
    """Opens a run's folder, and says how to go on with what was stopped.

    A new run's options are written into it. A folder that holds nothing else
    when an error comes is removed, so that a mended command may use it.

    Args:
        verb: Of the recipe.
        config: The options, with `out` and `resume` among them.
        default_name: What a new folder in runs/ is called.

    Yields: The folder, and the options that hold: of a stopped run its own.

    Raises:
        ValueError: An option stands beside `resume`, or the run is complete.
        OSError: The folder cannot be written to, or there is no run.
    """
    from dropzoo.data.decoding import ImageError

    options: Any = flatten(config)
    if options["resume"] is None:
        folder = RunFolder.create(options["out"], default_name, verb)
        folder.write_json("config.json", {"verb": verb, **options})
    else:
        folder, config = _stopped_run(verb, config, options["resume"])
    path = shlex.quote(str(folder.path))
    how = f"`dropzoo {verb} --resume {path}` goes on."
    try:
        yield folder, config
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped; {how}") from None
    except ImageError as error:
        raise ImageError(f"{error}; put it back as it was, and {how}") from None
    except Exception:
        if options["resume"] is None:
            folder.discard_if_bare()
        raise


def read_options(
    verb: str, config_class: type[ConfigT], folder: RunFolder
) -> ConfigT:
    """The options of an earlier run.

    Args:
        verb: Of the recipe.
        config_class: Its options.
        folder: The run.

    Raises: ValueError when `config.json` is damaged or has other options.
    """
    values = folder.read_json("config.json")
    expected = set(flatten(config_class()))
    made_by = "finetune"  # which once did not tell its name
    if isinstance(values, dict):
        made_by = values.pop("verb", made_by)
    if (
        not isinstance(values, dict)
        or set(values) != expected
        or made_by != verb
    ):
        raise ValueError(
            f"{folder.path / 'config.json'} does not hold the options of "
            f"`dropzoo {verb}` of this version; start a new run."
        )
    return unflatten(config_class, values)


def _stopped_run(
    verb: str, config: ConfigT, path: str
) -> tuple[RunFolder, ConfigT]:
    config_class = type(config)
    if config != unflatten(config_class, {"resume": path}):
        raise ValueError(
            f"{verb}: `resume` goes on with the options that the run was "
            "started with, so no other option may be given beside it."
        )
    folder = RunFolder.open(path)
    options = read_options(verb, config_class, folder)
    if folder.finished:
        raise ValueError(
            f"{verb}: `resume` must be a run that was stopped. Received: "
            f"{folder.path}, which is complete; `dropzoo evaluate "
            f"{folder.path}` measures it again."
        )
    return folder, options
