"""Networks as Flax NNX modules; each is a factory for a study when its sizes are bound with `functools.partial`."""

from jnn.models._dcgan import DCGANDiscriminator as DCGANDiscriminator
from jnn.models._dcgan import DCGANGenerator as DCGANGenerator
from jnn.models._forecast_linear import DLinear as DLinear
from jnn.models._forecast_linear import NLinear as NLinear
from jnn.models._gpt import GPT as GPT
from jnn.models._lenet import LeNet as LeNet
from jnn.models._mlp import MLP as MLP
from jnn.models._patch_tst import PatchTST as PatchTST
from jnn.models._resnet import ResNet as ResNet
from jnn.models._sequence import Forecaster as Forecaster
from jnn.models._sequence import LanguageModel as LanguageModel
from jnn.models._sequence import SequenceClassifier as SequenceClassifier
from jnn.models._speednet import SpeedNet as SpeedNet
from jnn.models._speednet import whitening_kernel as whitening_kernel
from jnn.models._super import SuperCNN as SuperCNN
from jnn.models._super import SuperMLP as SuperMLP
from jnn.models._text_cnn import CNN1D as CNN1D
from jnn.models._text_cnn import TextCNN as TextCNN
from jnn.models._text_encoder import TextEncoder as TextEncoder
from jnn.models._vit import ViT as ViT
