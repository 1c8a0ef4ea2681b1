"""A result in some lines of text, or as HTML for notebooks."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jnn.data import has_parts, parts_of
from jnn.result._summary import html_table

if TYPE_CHECKING:
    from jnn.result._result import Result

_MOST_SCORES = 4


def describe_result(result: "Result") -> str:
    """Return what was trained on what, and the headline scores, one fact a line."""
    facts = _facts(result)
    width = max(map(len, facts))
    lines = [f"  {name:<{width}}  {text}" for name, text in facts.items()]
    return "\n".join([f"<jnn.Result: {_members(result)}>", *lines])


def result_html(result: "Result") -> str:
    """Return the same facts as a plain HTML table, above the summary's."""
    facts = html_table(("jnn.Result", _members(result)), [*_facts(result).items()])
    return facts + result.summary()._repr_html_()


def _facts(result: "Result") -> dict[str, str]:
    schema = result.schema
    facts = {
        "data": f"{schema.data} (rows of {_form(schema.x)})",
        "task": schema.task + (f", {schema.classes} classes" if schema.classes else ""),
        "model": schema.model,
        "split": schema.split or ("a test set" if schema.test_rows else "none"),
        "epochs": str(result.scores.sizes["epoch"]),
    }
    facts |= _scores(result)
    if "total" in result.timing:
        facts["seconds"] = ", ".join(f"{k} {v:.3g}" for k, v in result.timing.items())
    return facts


def _form(x: Any) -> str:
    """Return the shape and type of a row, or of each of its parts."""
    if not has_parts(x):
        return f"{' x '.join(map(str, x.shape)) or 'scalar'} {x.dtype}"
    return ", ".join(f"{name.strip('[]')} {_form(part)}" for name, part in parts_of(x, "").items())


def _members(result: "Result") -> str:
    """Return e.g. "24 members = 3 seed x 4 fold x 2 learning_rate"."""
    members = result.members
    counted = f"{len(members)} member{'s' if len(members) != 1 else ''}"
    if [*members.axes] == ["member"]:
        summary = result.summary()
        settings = f"{len(summary.rows)} setting{'s' if len(summary.rows) != 1 else ''}"
        return f"{counted}: {summary.repetitions}, {settings}"
    lengths = zip(members.axes, members.shape, strict=True)
    return f"{counted} = " + " x ".join(f"{length} {name}" for name, length in lengths)


def _scores(result: "Result") -> dict[str, str]:
    """Return the headline scores: mean and interval, or the range over several settings."""
    rows = result.summary().rows
    shown = {}
    for name in [*rows[0].intervals][:_MOST_SCORES]:
        intervals = [row.intervals[name] for row in rows]
        counts = sorted({interval.n for interval in intervals})
        n = "n=" + " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
        if len(rows) == 1:
            shown[name] = f"{intervals[0].short()} ({n})"
            continue
        means = [interval.mean for interval in intervals if np.isfinite(interval.mean)] or [np.nan]
        low = f"{min(means):.4g}"
        high = f"{max(means):.4g}"
        shown[name] = f"{low} to {high} over {len(rows)} settings ({n} each), see summary()"
    return shown
