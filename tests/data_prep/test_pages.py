"""Pages hold everything they need, and whatever they are given stays text."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import pytest

from data_prep.pages import cell, grouped, percent, render_page

TEMPLATE = """{% extends "base.html.jinja" %}
{% import "cells.html.jinja" as cells %}
{% block content %}
<table><tr>
{{ cells.interval(0.75, 0.5, 0.9, n=40) }}{{ cells.interval(none, none, none) }}{{ cells.share(0.25) }}
</tr></table>
{{ cells.pairs(settings) }}{{ cells.text(answer, "ja") }}
{% endblock %}"""


@pytest.fixture
def page(tmp_path: Path) -> str:
    (tmp_path / "report.html.jinja").write_text(TEMPLATE, encoding="utf-8")
    return render_page(
        tmp_path / "report.html.jinja",
        title="<b>Report</b>",
        settings={"seed": 0},
        answer="<script>alert(1)</script>答え",
    )


def test_a_template_of_another_folder_extends_the_base(page: str) -> None:
    assert page.startswith("<!doctype html>")
    assert "prefers-color-scheme: dark" in page
    assert "75.0 %" in page
    assert "50.0 to 90.0, n = 40" in page
    assert "left: 50.00%; right: 10.00%" in page


def test_nothing_is_fetched(page: str) -> None:
    assert not re.search(r"(src|href)\s*=|url\(|@import|https?://", page)


def test_what_it_is_given_stays_text(page: str) -> None:
    assert "<b>Report" not in page
    assert "&lt;b&gt;Report" in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_missing_variable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "page.html.jinja").write_text("{{ nothing }}")

    with pytest.raises(jinja2.UndefinedError, match="nothing"):
        render_page(tmp_path / "page.html.jinja")


def test_numbers_as_text() -> None:
    assert (percent(0.2561), percent(0.2561, 2), percent(None)) == ("25.6 %", "25.61 %", "–")
    assert (grouped(1234567), grouped(None)) == ("1\u202f234\u202f567", "–")
    assert cell("a|b\nc") == "a\\|b c"
