"""The most confident mistakes, as pictures."""

import base64
import io
from xml.etree.ElementTree import Element

import numpy as np
from PIL import Image

from .mistakes import Mistake
from .report_content import ReportContent
from .report_markup import element
from .report_numbers import percent

# A report is mailed: a thumbnail takes 160 pixels and about 8 kB.
SIDE = 160
MOST_SHOWN = 48


def mistakes_section(content: ReportContent) -> list[Element]:
    """Shows the mistakes that the model was surest of."""
    if not content.mistakes:
        return []
    return [
        element(
            "p",
            "The wrong answers that the model was surest of. Look for photos "
            "with the wrong label first, then for what they have in common.",
        ),
        element(
            "ul",
            [_card(mistake) for mistake in content.mistakes[:MOST_SHOWN]],
            class_="mistakes",
        ),
    ]


def _card(mistake: Mistake) -> Element:
    said = percent(mistake.probability)
    return element(
        "li",
        element(
            "img",
            src=_thumbnail(mistake),
            alt=f"{mistake.name}: {mistake.true_class}, taken for "
            f"{mistake.predicted_class} with {said}",
            class_="pixels" if max(mistake.image.shape[:2]) < 64 else None,
        ),
        element("strong", element("bdi", mistake.true_class)),
        element(
            "span",
            "taken for ",
            element("bdi", mistake.predicted_class),
            f", {said}",
        ),
        element(
            "small",
            element("bdi", mistake.name.rsplit("/", 1)[-1]),
            title=mistake.name,
        ),
    )


def _thumbnail(mistake: Mistake) -> str:
    image = mistake.image
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            "write_report: `image` of a mistake must be (height, width, 3) "
            f"uint8. Received: {image.dtype} of shape {image.shape} for "
            f"{mistake.name!r}"
        )
    picture = Image.fromarray(image)
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82, optimize=True)
    coded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/jpeg;base64,{coded}"
