"""Tables print names as they are, on a terminal and in a pipe."""

import io
import re
import sys

import pytest

from dropzoo.recipes.output_table import literal, new_table, print_table


@pytest.mark.parametrize("name", ["[red]", "[/]", ":apple:", "[link=x]y"])
def test_names_are_no_markup(name, capsys):
    table = new_table("class")
    table.add_row(literal(name))
    print_table(table)
    assert capsys.readouterr().out.split() == ["class", name]


def test_a_pipe_gets_one_line_for_each_row(capsys):
    name = "-".join(["long"] * 200)
    table = new_table("file", ">probability")
    table.add_row(literal(name), "1.0%")
    print_table(table)
    assert capsys.readouterr().out.split() == [
        *("file", "probability"),
        *(name, "1.0%"),
    ]


def test_a_terminal_gets_all_of_a_long_name(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    table = new_table("file", ">p")
    table.add_row(literal("x" * 100), "1.0%")
    print_table(table)
    plain = re.sub(r"\x1b\[[\d;]*m", "", terminal.getvalue())
    assert max(map(len, plain.splitlines())) <= 40
    assert plain.count("x") == 100


def test_a_heading_can_stand_on_the_right(capsys):
    table = new_table("left", ">right")
    table.add_row("a", "b")
    print_table(table)
    assert capsys.readouterr().out.splitlines()[1].split("a")[1].strip() == "b"
    assert table.columns[1].justify == "right"


def test_a_letter_that_the_output_lacks_is_escaped(monkeypatch):
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", pipe)
    table = new_table("class")
    table.add_row(literal("Äpfel"))
    print_table(table)
    pipe.flush()
    assert pipe.buffer.getvalue().split() == [b"class", rb"\xc4pfel"]
