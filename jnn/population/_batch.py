"""The rows of a step in the words of the user, where a step takes more than one batch."""

from typing import NamedTuple

from jnn.study import Study


class BatchText(NamedTuple):
    """How an error names the rows of a step.

    Attributes:
        name: "batch_size", or "discriminator_steps * batch_size".
        value: "48", or "3 * 16".
        batches: How many batches a step takes.
    """

    name: str
    value: str
    batches: int


def batch_text(study: Study) -> BatchText:
    """Return the text for the rows of a step.

    A trainer whose steps take several batches has `batches`, the name of a setting and its value,
    as `jnn.gan.Game` has.
    """
    setting, count = getattr(study.trainer, "batches", ("", 1))
    if count == 1:
        return BatchText("batch_size", str(study.batch_size), 1)
    value = f"{count} * {study.batch_size // count}"
    return BatchText(f"{setting} * batch_size", value, count)
