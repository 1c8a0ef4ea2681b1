"""Networks as Flax NNX modules; each is a factory for a study when its sizes are bound with `functools.partial`."""

from jnn.models._lenet import LeNet as LeNet
from jnn.models._mlp import MLP as MLP
