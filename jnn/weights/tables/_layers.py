"""Rules of the layers that tables of PyTorch's networks consist of."""

from collections.abc import Mapping
from typing import Any

from jnn.weights._family import Family, MakeFamily, Rule

Rules = tuple[Rule, ...]


def linear(theirs: str, ours: str) -> Rules:
    """Return the rules of `Linear`."""
    kernel = Rule(f"{theirs}.weight", f"{ours}/kernel", "transpose")
    return kernel, Rule(f"{theirs}.bias", f"{ours}/bias")


def to_heads(theirs: str, ours: str) -> Rules:
    """Return the rules of a `Linear` from features to heads: queries, keys or values."""
    kernel = Rule(f"{theirs}.weight", f"{ours}/kernel", "(HK)D->DHK")
    return kernel, Rule(f"{theirs}.bias", f"{ours}/bias", "(HK)->HK")


def from_heads(theirs: str, ours: str) -> Rules:
    """Return the rules of a `Linear` from heads to features."""
    kernel = Rule(f"{theirs}.weight", f"{ours}/kernel", "D(HK)->HKD")
    return kernel, Rule(f"{theirs}.bias", f"{ours}/bias")


def convolution(theirs: str, ours: str) -> Rules:
    """Return the rules of `Conv2d`."""
    kernel = Rule(f"{theirs}.weight", f"{ours}/kernel", "OIHW->HWIO")
    return kernel, Rule(f"{theirs}.bias", f"{ours}/bias")


def norm(theirs: str, ours: str) -> Rules:
    """Return the rules of a normalization without statistics, such as `LayerNorm`."""
    return Rule(f"{theirs}.weight", f"{ours}/scale"), Rule(f"{theirs}.bias", f"{ours}/bias")


def batch_norm(theirs: str, ours: str) -> Rules:
    """Return the rules of `BatchNorm2d`."""
    return (
        *norm(theirs, ours),
        Rule(f"{theirs}.running_mean", f"{ours}/mean"),
        Rule(f"{theirs}.running_var", f"{ours}/var"),
        Rule(f"{theirs}.num_batches_tracked", None),
    )


def head(theirs: str) -> Rules:
    """Return the rules of the last linear layer, which a network without outputs leaves out."""
    return (
        *linear(theirs, "output"),
        Rule(f"{theirs}.weight", None),
        Rule(f"{theirs}.bias", None),
    )


def of_two_libraries(torchvision: Rules, huggingface: Rules, prefix: str) -> MakeFamily:
    """Return the family of networks that both libraries have: it reads the names of both.

    It writes those of Hugging Face for a config that has a `model_type`, otherwise torchvision's.

    Args:
        torchvision: The names of torchvision.
        huggingface: Those of Hugging Face without the prefix.
        prefix: Beginning of the names of a network with a head, such as "vit."; "classifier" has
            none.
    """

    def make(config: Mapping[str, Any]) -> Family:
        if config.get("model_type"):
            return Family(huggingface + torchvision, (prefix,), heads=("classifier.**",))
        return Family(torchvision + huggingface, (prefix,))

    return make
