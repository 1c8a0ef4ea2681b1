"""Mini-Xception as its authors' files of Keras 2 name it, for `jnn.models.MiniXception`.

Keras numbers the layers of each kind in the order in which they were made: in a block the shortcut
comes first.
"""

from jnn.weights._family import Family, Rule, register
from jnn.weights.tables._layers import Rules

_BLOCKS = 4


def _norm(number: int, ours: str) -> Rules:
    theirs = f"batch_normalization_{number}"
    return (
        Rule(f"{theirs}/gamma", f"{ours}/scale"),
        Rule(f"{theirs}/beta", f"{ours}/bias"),
        Rule(f"{theirs}/moving_mean", f"{ours}/mean"),
        Rule(f"{theirs}/moving_variance", f"{ours}/var"),
    )


def _separable(number: int, ours: str) -> Rules:
    theirs = f"separable_conv2d_{number}"
    return (
        Rule(f"{theirs}/depthwise_kernel", f"{ours}/depthwise/kernel", "HWCM->HWMC"),
        Rule(f"{theirs}/pointwise_kernel", f"{ours}/pointwise/kernel"),
    )


def _block(i: int) -> Rules:
    ours = f"blocks/{i}"
    return (
        Rule(f"conv2d_{3 + i}/kernel", f"{ours}/shortcut/kernel"),
        *_norm(3 + 3 * i, f"{ours}/shortcut_norm"),
        *_separable(1 + 2 * i, f"{ours}/conv1"),
        *_norm(4 + 3 * i, f"{ours}/norm1"),
        *_separable(2 + 2 * i, f"{ours}/conv2"),
        *_norm(5 + 3 * i, f"{ours}/norm2"),
    )


RULES = (
    Rule("conv2d_1/kernel", "stem/0/kernel"),
    *_norm(1, "stem_norms/0"),
    Rule("conv2d_2/kernel", "stem/1/kernel"),
    *_norm(2, "stem_norms/1"),
    *(rule for i in range(_BLOCKS) for rule in _block(i)),
    Rule(f"conv2d_{3 + _BLOCKS}/kernel", "output/kernel"),
    Rule(f"conv2d_{3 + _BLOCKS}/bias", "output/bias"),
    Rule(f"conv2d_{3 + _BLOCKS}/kernel", None),  # of a network without outputs
    Rule(f"conv2d_{3 + _BLOCKS}/bias", None),
    Rule("optimizer_weights/{}", None),  # of a network that was compiled, in Keras 2 and 3
    Rule("optimizer/{}", None),
)

register("mini_xception", Family(RULES))
