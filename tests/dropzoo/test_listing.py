import dataclasses
import json

import pytest

from dropzoo import listing
from dropzoo.models import list_models, model_info


def test_every_model_has_a_line(capsys):
    assert listing.main([]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == [
        "name", "parameters", "input", "weights", "top-1", "licence",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines] == list_models()


def test_a_line_tells_size_weights_accuracy_and_licence(capsys):
    listing.main(["efficientnet_lite0"])
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split() == [
        "efficientnet_lite0", "4.7", "M", "224", "px", "imagenet", "75.1%",
        "Apache-2.0",
    ]  # fmt: skip


def test_a_small_network_is_counted_in_thousands(capsys):
    listing.main(["notes_cnn"])
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split() == ["notes_cnn", "8.5", "k", "28", "px", *"---"]


def test_plain_text_has_no_tabs_colours_or_boxes(capsys):
    listing.main([])
    out = capsys.readouterr().out
    assert out.isascii()
    assert not {"\t", "\x1b"} & set(out)


def test_a_pattern_selects_names(capsys):
    listing.main(["mobilenet*", "--json"])
    names = [record["name"] for record in json.loads(capsys.readouterr().out)]
    assert names == list_models("mobilenet*")


def test_pretrained_leaves_out_models_without_weights(capsys):
    listing.main(["--pretrained", "--json"])
    records = json.loads(capsys.readouterr().out)
    assert {r["name"] for r in records} == {
        name for name in list_models() if model_info(name).weights
    }


def test_weights_that_are_not_installed_are_marked(capsys, monkeypatch):
    spec = model_info("mobilenet_v2")
    absent = dataclasses.replace(spec.weights[0], module="no_such_package")
    monkeypatch.setattr(
        listing,
        "model_info",
        lambda name: dataclasses.replace(spec, weights=(absent,)),
    )
    listing.main(["mobilenet_v2"])
    assert "imagenet (not installed)" in capsys.readouterr().out


def test_a_pattern_without_match_says_what_to_try():
    with pytest.raises(ValueError, match=r"try '\*lite0\*'"):
        listing.main(["lite0"])
