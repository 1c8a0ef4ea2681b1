"""LeNet as PyTorch's tutorial names it, for `jnn.models.LeNet`: conv1, conv2, fc1, fc2, fc3.

The first dense layer reads map after map in PyTorch, and pixel after pixel in jnn, so the table
needs the sides of the last maps, which a config gives as `height` and `width`. In the tutorial
there are 16 maps of 5x5.
"""

from jnn._settings import check_integer
from jnn.weights._family import Config, Family, Rule, register
from jnn.weights.tables._layers import convolution, head, linear


def family(config: Config) -> Family:
    """Return the table for last maps of the sides that the config gives."""
    first = "O(CHW)->(HWC)O C=16 H=5 W=5"
    if {"height", "width"} & config.keys():
        height, width = (check_integer(name, config.get(name)) for name in ("height", "width"))
        first = f"O(CHW)->(HWC)O H={height} W={width}"
    rules = (
        *convolution("conv{i+1}", "convs/{i}"),
        Rule("fc1.weight", "hidden/kernel", first),
        Rule("fc1.bias", "hidden/bias"),
        Rule("fc1.weight", "hidden/0/kernel", first),
        *linear("fc{i+1}", "hidden/{i}"),
        *head("fc2"),
        *head("fc3"),
    )
    return Family(rules)


register("lenet", family)
