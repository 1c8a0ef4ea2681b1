"""Tables of families against the original libraries: the same tensors, input and outputs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn import weights

pytestmark = pytest.mark.peers


def test_gpt2_of_hugging_face_has_the_logits_of_jnn_gpt(tmp_path, transformers):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=19, n_positions=12, n_embd=16, n_layer=2, n_head=4, initializer_range=0.3
    )
    theirs = transformers.GPT2LMHeadModel(config).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    theirs.save_pretrained(tmp_path / "model")
    torch.save(theirs.state_dict(), tmp_path / "model.pt")
    ids = np.random.default_rng(0).integers(0, 19, (2, 12))
    expected = theirs(torch.tensor(ids)).logits.detach().numpy()

    ours = functools.partial(jnn.models.GPT, 19, 12, layers=2, num_heads=4, features=16)
    for path in (tmp_path / "model", tmp_path / "model.pt"):
        params, state = weights.load(path, ours, family="gpt2")
        with jax.default_matmul_precision("highest"):
            logits, _ = jnn.as_model(ours).apply(
                params, state, jnp.asarray(ids, jnp.int32), key=None, train=False, hyper={}
            )
        np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    assert weights.read(tmp_path / "model").config["n_layer"] == 2

    weights.save((params, state), tmp_path / "back.pt", family="gpt2")
    back = torch.load(tmp_path / "back.pt", weights_only=True)
    theirs.load_state_dict(back)
    assert np.array_equal(theirs(torch.tensor(ids)).logits.detach().numpy(), expected)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_tensors_of_pytorch_in_a_mapping_need_no_file(dtype):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Linear(4, 3).to(getattr(torch, dtype))
    table = [("weight", "output/kernel", "transpose"), ("bias", "output/bias")]
    network = functools.partial(jnn.models.MLP, 4, (), 3)
    params, _ = jnn.weights.load(
        dict(theirs.named_parameters()), network, family=table, cast=dtype != "float32"
    )
    expected = theirs.weight.detach().float().numpy().T
    np.testing.assert_array_equal(params["output"]["kernel"], expected)


def test_lenet_of_pytorch_has_the_logits_of_jnn_lenet(tmp_path):
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(0)
    theirs = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(54, 5), nn.ReLU(), nn.Linear(5, 3),
    )  # fmt: skip
    images = torch.randn(8, 1, 12, 12)
    theirs(images)  # moves the running statistics
    theirs.eval()
    torch.save({"model": theirs.state_dict(), "epoch": 1}, tmp_path / "w.pt")
    table = [
        row
        for i, (conv, norm) in enumerate([(0, 1), (4, 5)])
        for row in (
            (f"{conv}.weight", f"convs/{i}/kernel", "OIHW->HWIO"),
            (f"{conv}.bias", f"convs/{i}/bias"),
            (f"{norm}.weight", f"norms/{i}/scale"),
            (f"{norm}.bias", f"norms/{i}/bias"),
            (f"{norm}.running_mean", f"norms/{i}/mean"),
            (f"{norm}.running_var", f"norms/{i}/var"),
            (f"{norm}.num_batches_tracked", None),
        )
    ]
    table += [
        ("9.weight", "hidden/kernel", "O(CHW)->(HWC)O H=3 W=3"),
        ("9.bias", "hidden/bias"),
        ("11.weight", "output/kernel", "transpose"),
        ("11.bias", "output/bias"),
    ]
    ours = functools.partial(jnn.models.LeNet, (12, 12, 1), 3, maps=(4, 6), hidden=5,
                             batch_norm=True)  # fmt: skip
    params, state = weights.load(tmp_path / "w.pt", ours, family=table, prefix="model.")
    x = jnp.asarray(images.numpy().transpose(0, 2, 3, 1))
    logits, _ = jnn.as_model(ours).apply(params, state, x, key=None, train=False, hyper={})
    np.testing.assert_allclose(logits, theirs(images).detach().numpy(), rtol=1e-5, atol=1e-6)


BIASES = {
    "GRU": [("bias_ih_l{}", "cells/{}/dense_i/bias"), ("bias_hh_l{}", "cells/{}/dense_h/bias")],
    "LSTM": [(("bias_ih_l{}", "bias_hh_l{}"), "cells/{}/dense_h/bias", "sum")],
}


@pytest.mark.parametrize(("kind", "biases"), [("GRU", "ih"), ("LSTM", "h")])
def test_recurrent_layers_of_pytorch_have_the_outputs_of_jnn(kind, biases, tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(3, 4, num_layers=2, batch_first=True)
    torch.save(theirs.state_dict(), tmp_path / "w.pt")
    module = getattr(jnn.modules, kind)
    ours = functools.partial(module, 3, 4, layers=2, biases=biases)
    table = [
        ("weight_ih_l{}", "cells/{}/dense_i/kernel", "transpose"),
        ("weight_hh_l{}", "cells/{}/dense_h/kernel", "transpose"),
        *BIASES[kind],
    ]
    params, state = weights.load(tmp_path / "w.pt", ours, family=table)
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    y, _ = jnn.as_model(ours).apply(params, state, jnp.asarray(x), key=None, train=False, hyper={})
    expected = theirs(torch.tensor(x))[0].detach().numpy()
    np.testing.assert_allclose(y[1], expected, rtol=1e-5, atol=1e-6)
