"""Command-line options from a frozen dataclass, and back to a command.

Every verb reads its options here, so that a mistake looks the same everywhere:

    $ dropzoo finetune --epoch 3
    dropzoo finetune: no option `--epoch`. Did you mean `--epochs`? See
    `dropzoo finetune --help`.
"""

import contextlib
import dataclasses
import difflib
import functools
import io
import itertools
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from types import NoneType
from typing import TYPE_CHECKING, NoReturn, TypeVar, get_args

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
)

from dropzoo.recipes.option_groups import (
    flatten,
    option_fields,
    option_names,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ConfigT = TypeVar("ConfigT", bound="DataclassInstance")
TYPES = ConstructorRegistry()


def parse(
    config_class: type[ConfigT],
    argv: Sequence[str] | None = None,
    *,
    prog: str,
    description: str,
) -> ConfigT:
    """Builds a config from command-line options.

    `tyro` turns the fields into options and converts the words to values; the
    class's own `__post_init__` then checks ranges, by raising a `ValueError`.
    `--help` prints the options and exits with status 0.

    Args:
        config_class: Dataclass; each field has a type and a help text.
        argv: Words of the command line after the verb. `None` reads
            `sys.argv[1:]`.
        prog: What the user typed to get here, such as `"dropzoo finetune"`.
            Opens every error.
        description: Text at the top of `--help`.

    Returns:
        An instance of `config_class`.

    Raises:
        SystemExit: With status 2, after one sentence on standard error, when
            an option is unknown, lacks its value, or has one that
            `config_class` refuses.
    """
    # tyro would draw a box around the errors of `__post_init__`; a subclass
    # without it lets the class itself be the one that refuses, below.
    unchecked = type(
        config_class.__name__,
        (config_class,),
        {"__doc__": config_class.__doc__, "__post_init__": lambda self: None},
    )
    values, unknown = _read_words(unchecked, argv, prog, description)
    if unknown:
        _refuse(prog, _name_unknown(unknown, config_class))
    names = [field.name for field in dataclasses.fields(config_class)]
    try:
        return config_class(**{name: getattr(values, name) for name in names})
    except ValueError as error:
        complain(prog, str(error))
        raise SystemExit(2) from None


def complain(prog: str, sentence: str) -> None:
    """Prints one sentence about a user's mistake on standard error.

    Args:
        prog: What the user typed, such as `"dropzoo finetune"`.
        sentence: What is wrong. Where it already opens with the verb
            (`"finetune: ..."`), the verb is not said twice.
    """
    verb = prog.split()[-1]
    sentence = " ".join(sentence.split()).removeprefix(f"{verb}: ")
    print(f"{prog}: {sentence}", file=sys.stderr)


def _read_words(unchecked, argv, prog, description):
    """Lets tyro read the words; rephrases its complaint in one sentence."""
    read = functools.partial(
        tyro.cli,
        unchecked,
        args=argv,
        prog=prog,
        description=description,
        return_unknown_args=True,
        registry=TYPES,
    )
    printed = io.StringIO()
    try:
        with _unwrapped(), contextlib.redirect_stdout(printed):
            with contextlib.redirect_stderr(printed):
                return read()
    except SystemExit as stop:
        if not stop.code:  # --help: once more, for the user's own terminal
            read()
    return _refuse(prog, _read_box(printed.getvalue()))


@TYPES.primitive_rule
def _optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Reads `T | None` as a `T` that may be left out, not as a choice."""
    kinds = get_args(info.type)
    if NoneType not in kinds or len(kinds) != 2:
        return None
    (inner,) = (kind for kind in kinds if kind is not NoneType)
    spec = ConstructorRegistry.get_primitive_spec(
        PrimitiveTypeInfo.make(inner, info.markers)
    )
    if not isinstance(spec, PrimitiveConstructorSpec):
        return None  # tyro's own rule explains what it cannot read
    return dataclasses.replace(
        spec,
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: (
            ["unset"] if value is None else spec.str_from_instance(value)
        ),
    )


@contextlib.contextmanager
def _unwrapped() -> Iterator[None]:
    """Keeps tyro from breaking its sentences at the terminal's edge."""
    columns = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "10000"
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if columns is not None:
            os.environ["COLUMNS"] = columns


def _read_box(box: str) -> str:
    """Returns the first paragraph under the title of tyro's message."""
    rows = [line.strip().rstrip("-") for line in box.splitlines()[1:]]
    paragraphs = itertools.groupby(rows, key=bool)
    return next(" ".join(rows) for is_text, rows in paragraphs if is_text)


def _name_unknown(words: Sequence[str], config_class: type) -> str:
    """Says which word was not understood, with the closest options."""
    word = words[0].split("=")[0]
    if not word.startswith("-"):
        return f"unexpected argument {word!r}"
    close = difflib.get_close_matches(word, option_names(config_class), n=1)
    return f"no option `{word}`" + "".join(
        f"; did you mean `{option}`?" for option in close
    )


def _refuse(prog: str, sentence: str) -> NoReturn:
    end = "" if sentence.endswith((".", "?")) else "."
    complain(prog, f"{sentence}{end} See `{prog} --help`.")
    raise SystemExit(2)


def command(verb: str, config: "DataclassInstance") -> str:
    """The command that repeats a run in a new folder.

    Args:
        verb: The recipe's verb.
        config: The run's options, a dataclass.
    """
    words = ["dropzoo", verb]
    values = flatten(config)
    for field in option_fields(type(config)):
        value = values[field.name]
        if value != field.default and field.name not in ("out", "resume"):
            words += [f"--{field.name.replace('_', '-')}", str(value)]
    return shlex.join(words)
