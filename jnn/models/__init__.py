"""Networks as Flax NNX modules.

Each is a factory for a study once its sizes are bound: `functools.partial(MLP, 64, (128,), 10)`.
"""

from jnn.models._cell_net import CellNet
from jnn.models._cells import CELL_OPERATIONS, CellCost, cell_cost, cell_edges, cell_string
from jnn.models._convnext import ConvNeXt
from jnn.models._dcgan import DCGANDiscriminator, DCGANGenerator
from jnn.models._forecast_linear import DLinear, NLinear
from jnn.models._gpt import GPT
from jnn.models._lenet import LeNet
from jnn.models._llama import Llama
from jnn.models._mini_xception import MiniXception
from jnn.models._mlp import MLP
from jnn.models._patch_tst import PatchTST
from jnn.models._resnet import ResNet
from jnn.models._sequence import Forecaster, LanguageModel, SequenceClassifier
from jnn.models._sngan import SNGANDiscriminator, SNGANGenerator
from jnn.models._speednet import SpeedNet, whitening_kernel
from jnn.models._super import SuperCNN, SuperMLP
from jnn.models._text_cnn import CNN1D, TextCNN
from jnn.models._text_encoder import TextEncoder
from jnn.models._vit import ViT

__all__ = [
    "CELL_OPERATIONS",
    "CNN1D",
    "GPT",
    "MLP",
    "CellCost",
    "CellNet",
    "ConvNeXt",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DLinear",
    "Forecaster",
    "LanguageModel",
    "LeNet",
    "Llama",
    "MiniXception",
    "NLinear",
    "PatchTST",
    "ResNet",
    "SNGANDiscriminator",
    "SNGANGenerator",
    "SequenceClassifier",
    "SpeedNet",
    "SuperCNN",
    "SuperMLP",
    "TextCNN",
    "TextEncoder",
    "ViT",
    "cell_cost",
    "cell_edges",
    "cell_string",
    "whitening_kernel",
]
