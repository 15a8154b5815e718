"""The `dropzoo` command: one verb, then its options.

The first word chooses a module, and only that module is imported, so that
what needs no TensorFlow answers at once. Exit statuses:

- 0: done;
- 1: a defect of dropzoo, with its traceback;
- 2: something the user can mend (an option, a file, the disk), in one sentence;
- 130: stopped with Ctrl-C;
- 141: the reader of the output has gone, as in `dropzoo list | head`.
"""

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NamedTuple

import dropzoo


class Verb(NamedTuple):
    """What runs a verb: a module with `main(argv) -> int`, and its summary."""

    module: str
    summary: str


VERBS = {
    "finetune": Verb(
        "dropzoo.recipes.finetune", "fine-tune a model on your photos"
    ),
    "train": Verb(
        "dropzoo.recipes.train", "train a network from scratch, as its paper"
    ),
    "snapshot": Verb(
        "dropzoo.recipes.snapshot_ensemble", "train once, keep several to vote"
    ),
    "search": Verb(
        "dropzoo.recipes.search", "search for the best settings of a training"
    ),
    "evaluate": Verb(
        "dropzoo.recipes.evaluate", "measure a run on labelled photos"
    ),
    "predict": Verb("dropzoo.recipes.predict", "name what is on photos"),
    "lr-find": Verb(
        "dropzoo.recipes.lr_find", "find the learning rate to fine-tune at"
    ),
    "list": Verb("dropzoo.listing", "list the models of the zoo"),
    "info": Verb("dropzoo.info", "tell everything about one model"),
    "schedule": Verb("dropzoo.schedule", "draw a learning-rate schedule"),
    "notes": Verb(
        "dropzoo.recipes.notes", "run the experiments of the course notes"
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb.

    Args:
        argv: Words of the command line. `None` reads `sys.argv[1:]`.

    Returns:
        The exit status; the module's docstring lists them.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more on its way out, which must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return status


def _dispatch(words: list[str]) -> int:
    match words:
        case [] | ["-h" | "--help", *_]:
            print(_usage())
            return 0
        case ["--version", *_]:
            print(f"dropzoo {dropzoo.__version__}")
            return 0
        case [verb, *options] if verb in VERBS:
            return _run(verb, options)
    print(_unknown(words[0]), file=sys.stderr)
    return 2


def _run(verb: str, options: list[str]) -> int:
    """Calls the verb's `main` and turns a user's mistake into one sentence."""
    # Imported here: `dropzoo --help` needs no option parser.
    from dropzoo.recipes.options import complain

    prog = f"dropzoo {verb}"
    try:
        return importlib.import_module(VERBS[verb].module).main(options)
    except KeyboardInterrupt as stop:
        complain(prog, str(stop) or "stopped by Ctrl-C.")
        return 130
    except BrokenPipeError:
        raise
    except OSError as error:
        complain(prog, _explain(error))
        return 2
    except (ValueError, TypeError, RuntimeError, ImportError) as error:
        if not _is_refusal(error):
            raise
        complain(prog, str(error))
        return 2


def _is_refusal(error: Exception) -> bool:
    """Tells a `raise` statement of ours from a defect met on the way.

    A refusal is worded for the user, so the sentence is enough. The same kind
    of exception out of another library, or out of an expression of ours, is a
    defect, and its traceback is what gets it mended.
    """
    frame, _ = list(traceback.walk_tb(error.__traceback__))[-1]
    is_ours = frame.f_globals.get("__name__", "").startswith("dropzoo")
    line = traceback.extract_tb(error.__traceback__)[-1].line or ""
    return is_ours and line.startswith("raise ")


def _explain(error: OSError) -> str:
    """Words an error of the operating system without its number."""
    if error.strerror is None:  # raised with a sentence of its own
        return str(error)
    where = "" if error.filename is None else f": {error.filename}"
    return f"{error.strerror}{where}"


def _usage() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(
        f"  {name:{width}}  {verb.summary}" for name, verb in VERBS.items()
    )
    return (
        "usage: dropzoo VERB [OPTIONS]\n\n"
        f"{dropzoo.__doc__.splitlines()[0]}\n\nverbs:\n{verbs}\n\n"
        "`dropzoo VERB --help` lists the options of a verb; "
        "`dropzoo --version` tells the version."
    )


def _unknown(word: str) -> str:
    close = difflib.get_close_matches(word, VERBS)
    kind = "option" if word.startswith("-") else "verb"
    hint = (
        f"did you mean {' or '.join(f'`{verb}`' for verb in close)}?"
        if close
        else f"the verbs are {', '.join(VERBS)}."
    )
    return f"dropzoo: no {kind} `{word}`; {hint} See `dropzoo --help`."
