"""What an experiment of the course notes comes to: numbers, picture, words."""

import contextlib
import dataclasses
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from dropzoo.models.atomic_write import atomic_write
from dropzoo.recipes.output_table import literal, new_table, print_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Legible where a page shows the picture 360 pixels wide, on a phone.
WIDTH = 6.2  # inches
DOTS = 130  # per inch
COLOURS = 160
STYLE: dict[Any, Any] = {
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "font.size": 10,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 1.2,
    "lines.linewidth": 1.6,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}


@dataclasses.dataclass(frozen=True)
class Note:
    """A table, a picture, and three sentences about what to see in them.

    Args:
        columns: Headings of the table; `">"` before one aligns it right.
        rows: The table's rows, of texts.
        figure: The picture.
        sentences: What the numbers of this run show, not those of another.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    figure: "Figure"
    sentences: tuple[str, str, str]

    def show(self, path: Path) -> None:
        """Prints the table and the sentences, and writes the picture.

        Args:
            path: A PNG file; written whole or not at all.

        Raises: OSError when the picture cannot be written.
        """
        table = new_table(*self.columns)
        for row in self.rows:
            table.add_row(*map(literal, row))
        print_table(table)
        drawn = io.BytesIO()
        self.figure.savefig(drawn, format="png", dpi=DOTS)
        # A palette makes a drawing's file two to five times smaller.
        picture = Image.open(drawn).convert("RGB").quantize(COLOURS)
        with atomic_write(path) as part:
            picture.save(part, format="PNG", optimize=True)
        print(f"\n{' '.join(self.sentences)}\n{path} shows it.")


def new_figure(height: float = 4.0) -> "Figure":
    """An empty figure whose text stays legible on a phone.

    Args:
        height: In inches; the width is the same for all.
    """
    # Without pyplot: a picture in a file needs no window.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(WIDTH, height), layout="constrained", facecolor="white"
    )
    FigureCanvasAgg(figure)
    return figure


@contextlib.contextmanager
def drawing_style() -> Iterator[None]:
    """Lets all that is drawn inside have the notes' sizes of text."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield
