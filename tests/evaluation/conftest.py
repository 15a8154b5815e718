"""A report with everything in it, and a reader that sees it as browsers do."""

from html.parser import HTMLParser
from xml.etree.ElementTree import Element, SubElement

import numpy as np
import pytest

from dropzoo.evaluation import (
    Comparison,
    DataSummary,
    Mistake,
    ReportContent,
    evaluate_probabilities,
    write_report,
)

VOID = {"br", "hr", "img", "input", "link", "meta", "wbr"}


class PageReader(HTMLParser):
    """Builds a tree of the elements, texts and attributes unescaped."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.root = Element("page")
        self.open = [self.root]

    def handle_starttag(self, tag, attrs):
        made = SubElement(self.open[-1], tag, {k: v or "" for k, v in attrs})
        if tag not in VOID:
            self.open.append(made)

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag

    def handle_data(self, data):
        parent = self.open[-1]
        if len(parent):
            parent[-1].tail = (parent[-1].tail or "") + data
        else:
            parent.text = (parent.text or "") + data


@pytest.fixture
def read_page(tmp_path):
    """Writes a report and returns the tree that a browser would build."""

    def read(content):
        path = tmp_path / "report.html"
        write_report(path, content)
        reader = PageReader()
        reader.feed(path.read_text("utf-8"))
        reader.close()
        assert reader.open == [reader.root]
        return reader.root

    return read


@pytest.fixture
def text_of():
    """The text as a person reads it, no-break spaces as spaces."""
    return lambda element: " ".join(" ".join(element.itertext()).split())


@pytest.fixture
def make_content():
    return content_of


def content_of(class_names=("cat", "dog", "eel"), num_examples=120, **changes):
    """A full report; `changes` replace fields of the content."""
    num_classes = len(class_names)
    rng = np.random.default_rng(0)
    labels = rng.integers(num_classes, size=num_examples)
    probabilities = rng.dirichlet(np.ones(num_classes), size=num_examples)
    probabilities[np.arange(num_examples), labels] += 0.25
    metrics = evaluate_probabilities(labels, probabilities / 1.25, class_names)
    picture = rng.integers(256, size=(200, 300, 3), dtype=np.uint8)
    fields = {
        "title": "Pets with a network",
        "class_names": class_names,
        "summary": ["Fine-tuned on 300 photos."],
        "command": "dropzoo finetune --data folder:pets --out runs/pets",
        "data": DataSummary(
            warnings=["one class has few images"],
            lines=["2 images dropped"],
            facts={"Width in pixels": "20 to 300", "Images used": 1234},
            counts={
                "train": [7] * num_classes,
                "test": np.bincount(labels, minlength=num_classes).tolist(),
            },
            rejected=[("dog/7.jpg", "it is cut off")],
        ),
        "history": [
            {"epoch": 1, "phase": "head", "loss": 1.0, "accuracy": 0.5},
            {
                "epoch": 1,
                "phase": "fine-tune",
                "loss": 0.5,
                "accuracy": 0.75,
                "val_loss": np.float32(0.625),
                "val_accuracy": 0.7,
            },
        ],
        "learning_rates": {
            "stem": np.linspace(0, 1e-5, 50),
            "head": np.linspace(0, 1e-4, 50),
        },
        "comparison": Comparison(
            {"head only": 0.7, "fine-tuned": 0.8},
            kept="fine-tuned",
            reason="Fine-tuning is better by far.",
        ),
        "metrics": metrics,
        "probe_metrics": metrics,
        "mistakes": [
            Mistake(picture, "test/cat/1.jpg", "cat", "dog", 0.987),
        ],
        "timings": [("data", 1.5), ("fine-tune", 98.5)],
        "model": {"Name": "a network", "Parameters": 1000000},
        "config": {"seed": 7, "augmentation": {"flip": True}},
        "versions": {"Keras": "3.15.1"},
    }
    return ReportContent(**{**fields, **changes})
