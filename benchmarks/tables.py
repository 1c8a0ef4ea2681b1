"""Tables in Markdown, and numbers as they print them."""

from collections.abc import Sequence

from benchmarks.rounds import Spread


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def with_spread(s: Spread) -> str:
    """Return median, quartiles and n."""
    return f"{number(s.median)} ({number(s.lower)}-{number(s.upper)}; {s.n})"


def with_quartiles(s: Spread) -> str:
    """Return median and quartiles, where n stands above the table."""
    return f"{number(s.median)} ({number(s.lower)}-{number(s.upper)})"


def number(value: float) -> str:
    """Return three significant digits, without an exponent where the number is large."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def verdict(holds: bool) -> str:
    """Return whether a bar is passed, as tables print it."""
    return "pass" if holds else "**MISS**"
