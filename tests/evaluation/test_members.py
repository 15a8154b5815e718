"""Members of an ensemble, alone and together."""

import numpy as np
import pytest

from dropzoo.evaluation.members import (
    Contender,
    EnsembleFigures,
    disagreement,
    error_and_loss,
    last_means,
)

# Three members, two images, two classes.
SHARES = np.array(
    [
        [[0.9, 0.1], [0.2, 0.8]],
        [[0.4, 0.6], [0.4, 0.6]],
        [[0.2, 0.8], [0.6, 0.4]],
    ]
)


def test_the_last_ones_are_averaged_from_the_end():
    means = last_means(SHARES)
    np.testing.assert_allclose(means[0], SHARES[2])
    np.testing.assert_allclose(means[1], [[0.3, 0.7], [0.5, 0.5]])
    np.testing.assert_allclose(means[2], [[0.5, 0.5], [0.4, 0.6]])


def test_disagreement_counts_other_answers():
    # Answers: (0, 1), (1, 1) and (1, 0).
    expected = [[0, 0.5, 1], [0.5, 0, 0.5], [1, 0.5, 0]]
    np.testing.assert_array_equal(disagreement(SHARES), expected)


def test_error_and_loss_are_those_of_a_hand_worked_example():
    error, loss = error_and_loss(SHARES[0], np.array([0, 0]))
    assert error == 0.5
    assert loss == pytest.approx(-(np.log(0.9) + np.log(0.2)) / 2)
    sure = np.array([[0.0, 1.0]])
    assert error_and_loss(sure, np.array([0]))[1] == pytest.approx(
        -np.log(1e-15)
    )


def figures(**changes):
    contenders = (
        Contender("snapshot 1 (epoch 2)", 0.25, 0.9, 0.3, 1.0),
        Contender("snapshot 2 (epoch 4)", 0.2, 0.8, 0.28, 0.95),
        Contender("last 2 together", 0.125, 0.5, 0.22, 0.7),
    )
    fields = {
        "contenders": contenders,
        "kept": "last 2 together",
        "reason": "Its loss is the lowest.",
        "members": ("1", "2"),
        "disagreement": np.array([[0, 0.125], [0.125, 0]]),
        "picture": b"\x89PNG",
    }
    return EnsembleFigures(**{**fields, **changes})


def test_the_figures_are_ready_for_json():
    told = figures().to_dict()
    assert told["contenders"][2]["test_error"] == 0.22
    assert told["disagreement"] == [[0, 0.125], [0.125, 0]]
    assert "picture" not in told


def section_of(page):
    return page.find(".//section[@id='members']")


def test_the_report_lists_every_contender(read_page, make_content, text_of):
    section = section_of(read_page(make_content(ensemble=figures())))
    errors, shares = section.iter("table")
    headings = [text_of(cell) for cell in errors.findall("thead/tr/th")]
    assert headings == [
        "Model",
        "Validation error",
        "Loss",
        "Test error",
        "Loss",
    ]
    rows = [[text_of(c) for c in row] for row in errors.findall("tbody/tr")]
    assert rows[2] == [
        "last 2 together kept",
        "12.50 %",
        "0.500",
        "22.00 %",
        "0.700",
    ]
    cells = [text_of(cell) for cell in shares.findall("tbody/tr/td")]
    assert cells == ["", "12.5 %", "12.5 %", ""]
    (picture,) = section.iter("img")
    assert picture.get("src") == "data:image/png;base64,iVBORw=="


def test_without_test_images_there_is_no_column_of_them(
    read_page, make_content, text_of
):
    alone = figures(
        contenders=(Contender("snapshot 1 (epoch 2)", 0.25, 0.9),),
        kept="snapshot 1 (epoch 2)",
        members=("1",),
        picture=b"",
    )
    section = section_of(read_page(make_content(ensemble=alone)))
    (errors,) = section.iter("table")
    assert [text_of(th) for th in errors.findall("thead/tr/th")] == [
        "Model",
        "Validation error",
        "Loss",
    ]
    assert list(section.iter("img")) == []


def test_a_report_of_one_network_has_no_such_section(read_page, make_content):
    assert section_of(read_page(make_content())) is None
