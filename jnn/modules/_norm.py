"""Normalisation: Flax's modules with variances in two passes, since mean(x^2) - mean(x)^2 loses its digits.

Names, parameters (`scale`, `bias`), statistics (`mean`, `var`) and defaults are Flax's own.
"""

import functools

from flax import nnx

BatchNorm = functools.partial(nnx.BatchNorm, use_fast_variance=False)
"""Normalises by the batch while training and by running statistics after; momentum is the share of the old value."""

LayerNorm = functools.partial(nnx.LayerNorm, use_fast_variance=False)
"""Normalises the channels of each row by their mean and variance."""

RMSNorm = nnx.RMSNorm
"""Divides the channels of each row by their root mean square."""

GroupNorm = functools.partial(nnx.GroupNorm, use_fast_variance=False)
"""Normalises each row over space and groups of neighbouring channels; 32 groups by default."""
