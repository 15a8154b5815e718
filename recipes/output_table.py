"""Tables on standard output, for a terminal or for a pipe."""

import sys

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 10_000  # columns of a line in a file or a pipe: never broken


def new_table(*columns: str) -> Table:
    """An empty table: ruled on a terminal, bare in a file or a pipe.

    Args:
        columns: Their headings; `">"` before one aligns its column right.
    """
    ruled = Console().is_terminal
    table = Table(box=box.SIMPLE_HEAD if ruled else None)
    for heading in columns:
        name = heading.removeprefix(">")
        table.add_column(
            name,
            justify="left" if name == heading else "right",
            overflow="fold",
        )
    return table


def literal(text: str) -> Text:
    """Text that rich prints as it is: `[red]` and `:apple:` are only names."""
    return Text(text, overflow="fold")


def print_table(table: Table) -> None:
    """Prints a table on standard output.

    By `print`, because rich would end the program at a closed pipe. A letter
    that the output's encoding lacks is written as its escape.

    Args:
        table: From `new_table`.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    with console.capture() as text:
        console.print(table)
    encoding = sys.stdout.encoding or "utf-8"
    print(
        text.get().encode(encoding, "backslashreplace").decode(encoding), end=""
    )
