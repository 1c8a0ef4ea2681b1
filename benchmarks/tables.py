"""Markdown, and numbers as tables print them."""

from collections.abc import Sequence

from benchmarks.kernel import Spread


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def with_spread(s: Spread) -> str:
    """Median, quartiles and n."""
    return f"{number(s.median)} ({number(s.lower)}-{number(s.upper)}; {s.n})"


def with_quartiles(s: Spread) -> str:
    """Median and quartiles, where n stands above the table."""
    return f"{number(s.median)} ({number(s.lower)}-{number(s.upper)})"


def number(value: float) -> str:
    """Three significant digits, never an exponent for what is large."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def verdict(holds: bool) -> str:
    """Whether a bar is passed."""
    return "pass" if holds else "**MISS**"
