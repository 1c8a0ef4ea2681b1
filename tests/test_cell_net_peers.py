"""The networks of NAS-Bench-201 against PyTorch modules written from the definition."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn.models import CELL_OPERATIONS, CellNet, cell_string

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers
F = torch.nn.functional

CELLS = [
    (3, 0, 1, 2, 0, 4),
    (0, 0, 0, 1, 4, 4),
    (4, 3, 2, 1, 3, 2),
    (0, 0, 0, 0, 0, 0),
    (3, 3, 3, 3, 3, 3),
]


class TorchCellNet:
    """The network of one cell, with the weights of a CellNet."""

    def __init__(self, params, state, text, training):
        self.params, self.state = params, state
        nodes = [[e.split("~") for e in part.strip("|").split("|")] for part in text.split("+")]
        self.nodes = [[(name, int(source)) for name, source in node] for node in nodes]
        self.training = training

    def __call__(self, x):
        x = self.conv_norm(x, "stem", "stem_norm")
        for stage in range(3):
            if stage > 0:
                x = self.block(x, ("blocks", str(stage - 1)))
            for cell in range(len(self.params["stages"]["0"]["conv_3x3"]["kernel"])):
                x = self.cell(x, str(stage), cell)
        x = torch.relu(self.norm(x, self.at(self.params, "norm"), self.at(self.state, "norm")))
        output = self.params["output"]
        return x.mean((2, 3)) @ tensor(output["kernel"]) + tensor(output["bias"])

    def cell(self, x, stage, cell):
        nodes = [x]
        for i, node in enumerate(self.nodes):
            edges = [sum(range(i + 1)) + j for j in range(len(node))]
            parts = [
                self.operation(name, nodes[source], stage, (cell, edge))
                for (name, source), edge in zip(node, edges, strict=True)
            ]
            nodes.append(sum(parts))
        return nodes[-1]

    def operation(self, name, x, stage, place):
        if name == "none":
            return x * 0.0
        if name == "skip_connect":
            return x
        if name == "avg_pool_3x3":
            return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        path = ("stages", stage, name.removeprefix("nor_"))
        params, state = (
            {key: value[place] for key, value in self.at(tree, *path).items()}
            for tree in (self.params, self.state)
        )
        return self.norm(conv(torch.relu(x), params["kernel"]), params, state)

    def block(self, x, path):
        params, state = self.at(self.params, *path), self.at(self.state, *path)
        y = conv(torch.relu(x), params["conv1"]["kernel"], 2)
        y = self.norm(y, params["norm1"], state["norm1"])
        y = conv(torch.relu(y), params["conv2"]["kernel"])
        y = self.norm(y, params["norm2"], state["norm2"])
        return y + conv(F.avg_pool2d(x, 2, 2), params["shortcut"]["kernel"])

    def conv_norm(self, x, layer, norm):
        y = conv(x, self.params[layer]["kernel"])
        return self.norm(y, self.params[norm], self.state[norm])

    def norm(self, x, params, state):
        scale, bias = tensor(params["scale"]), tensor(params["bias"])
        mean, var = tensor(state["mean"]).clone(), tensor(state["var"]).clone()
        return F.batch_norm(x, mean, var, scale, bias, self.training)

    @staticmethod
    def at(tree, *path):
        return functools.reduce(lambda part, name: part[name], path, tree)


def tensor(array):
    return torch.tensor(np.array(array))


def conv(x, kernel, stride=1):
    kernel = tensor(kernel).permute(3, 2, 0, 1)
    return F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)


@pytest.fixture(scope="module")
def drawn():
    model = jnn.as_model(functools.partial(CellNet, 4, 2, 3))
    random = np.random.default_rng(0)
    x = random.normal(size=(4, 12, 12, 3)).astype(np.float32)
    params, state = jax.tree.map(np.asarray, model.init(jax.random.key(0), x))

    def move(path, array):
        if path[-1].key in ("scale", "bias", "mean", "var"):
            return array + np.abs(0.1 * random.normal(size=array.shape)).astype(np.float32)
        return array

    return model, *jax.tree.map_with_path(move, (params, state)), x


@pytest.mark.parametrize("training", [True, False])
def test_each_cell_is_the_network_of_the_benchmark(drawn, training):
    model, params, state, x = drawn
    apply = jax.jit(functools.partial(model.apply, train=training, key=None))
    for cell in CELLS:
        hyper = {f"edge_{i}": jnp.float32(number) for i, number in enumerate(cell, 1)}
        ours, _ = apply(params, state, x, hyper=hyper)
        network = TorchCellNet(params, state, cell_string(cell), training)
        theirs = network(torch.tensor(x).permute(0, 3, 1, 2)).numpy()
        np.testing.assert_allclose(ours, theirs, atol=1e-5, err_msg=cell_string(cell))


def test_operations_have_the_names_of_the_benchmark():
    names = {"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}
    assert set(CELL_OPERATIONS) == names
