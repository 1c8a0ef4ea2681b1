"""The table of coverage in the documentation is what the intervals do."""

import math
import re

import pytest

from docs._generate import coverage

CASES = coverage.cases()
TRIALS = 250


def shown(case):
    """The two shares that the page shows for a case."""
    (row,) = [line for line in coverage.PAGE.read_text().splitlines() if f"| {case.what} |" in line]
    return [int(percent) / 100 for percent in re.findall(r"\| (\d+) % (?=\|)", row)]


@pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])
def test_an_interval_holds_the_truth_as_often_as_the_page_says(case):
    for share, saved in zip(coverage.measure(case, TRIALS), shown(case), strict=True):
        error = math.sqrt(saved * (1 - saved) * (1 / TRIALS + 1 / coverage.TRIALS))
        assert share == pytest.approx(saved, abs=4 * error + 0.005)
