"""Figures of a search show its numbers, and say how many they are."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from jnn import plots, search, stats


def found_of(means, settings, *, sign=1, low=0.9, high=1.0):
    """What the figures read of a search with these scores."""
    trials = [
        SimpleNamespace(setting=setting, score=search.Score(sign * mean, 0.1, np.zeros((1, 5)), 3))
        for mean, setting in zip(means, settings, strict=True)
    ]
    best = (np.fmax if sign > 0 else np.fmin).accumulate(means)
    curve = pd.DataFrame({"steps": 500 * np.arange(1, len(means) + 1), "best": best})
    importance = {"choice": ["rate", "kind"], "importance": [0.7, -0.1], "deviation": [0.2, 0.1]}
    return SimpleNamespace(
        trials=trials,
        goal=SimpleNamespace(metric="f_$1$", sign=sign),
        curve=curve.assign(random=best),
        best=SimpleNamespace(interval=stats.Interval((low + high) / 2, low, high, 5, "t")),
        importance=pd.DataFrame(importance),
    )


MEANS = np.array([0.5, 0.9, np.nan, 0.91, 0.92, 0.95, 0.94, 0.93, 0.9, 0.92])
SETTINGS = [
    {"rate": 10.0 ** (-i / 2), "share": i / 10, "width": (4, 8)[i % 2]}
    | ({"kind": ("gelu", "relu")[i % 2]} if i else {})
    for i in range(10)
]
FOUND = found_of(MEANS, SETTINGS)


def drawn(axes):
    return {line.get_label(): line.get_xydata() for line in axes.lines}


def test_the_curve_shows_each_setting_the_best_and_the_winner():
    (axes,) = plots.search_curve(FOUND).axes
    lines = drawn(axes)
    np.testing.assert_array_equal(lines["each setting"][:, 1], MEANS)
    np.testing.assert_array_equal(lines["best so far"], FOUND.curve[["steps", "best"]])
    assert lines["winner on rows never seen"][0, 1] == pytest.approx(0.95)
    assert axes.get_title() == "10 settings, each the mean of 5 networks; 1 failed"
    low, high = axes.get_ylim()
    assert 0.5 < low < 0.9 and high > 1.0  # a setting far below the others is left out
    assert axes.get_ylabel() == r"f_\$1\$"


def test_the_curve_of_a_loss_falls():
    found = found_of(np.array([3.0, 2.0, 4.0]), SETTINGS[:3], sign=-1, low=1.9, high=2.1)
    (axes,) = plots.search_curve(found).axes
    assert list(drawn(axes)["best so far"][:, 1]) == [3.0, 2.0, 2.0]
    assert list(drawn(axes)["each setting"][:, 1]) == [3.0, 2.0, 4.0]


def test_each_choice_has_a_panel_with_an_axis_that_suits_it():
    rate, share, width, kind = plots.choices(FOUND).axes
    assert [axes.get_xscale() for axes in (rate, share, width)] == ["log", "linear", "linear"]
    np.testing.assert_allclose(rate.lines[0].get_xdata(), [s["rate"] for s in SETTINGS])
    assert list(width.get_xticks()) == [4, 8]
    assert [label.get_text() for label in kind.get_xticklabels()] == ["gelu", "relu"]
    assert len(kind.lines[0].get_xdata()) == 9  # the choice does not apply to the first setting
    np.testing.assert_array_equal(kind.lines[0].get_ydata(), MEANS[1:])


def test_the_importance_has_a_bar_for_each_choice():
    (axes,) = plots.importance(FOUND).axes
    assert [bar.get_width() for bar in axes.patches] == [0.7, -0.1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["rate", "kind"]
    assert "10 settings" in axes.get_title()


def test_a_search_whose_settings_all_failed_can_be_drawn(tmp_path):
    nothing = found_of(np.full(3, np.nan), SETTINGS[:3], low=np.nan, high=np.nan)
    for draw in (plots.search_curve, plots.choices):
        assert plots.write(draw(nothing), tmp_path / "a.png").stat().st_size > 2000
