"""Weights are read as the libraries wrote them; files of torch, keras and onnx are fixtures.

`tests/fixtures/weights/make.py` made those: every array counts 0, 1, 2, ... in its order of rows.
"""

import pathlib
import subprocess
import sys

import flax.linen as nn
import flax.serialization
import jax
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

import jnn
from jnn import weights

FIXTURES = pathlib.Path(__file__).parent / "fixtures" / "weights"


def counted(*shape, dtype=np.float32):
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_safetensors_are_read_as_the_library_wrote_them(tmp_path):
    arrays = {
        "a.weight": counted(2, 3),
        "a.half": counted(4, dtype=np.float16),
        "a.brain": counted(4, dtype=ml_dtypes.bfloat16),
        "one": np.array(3, np.int64),
        "none": np.zeros((0, 2), np.float32),
        "flag": np.array([True, False]),
    }
    save_file(arrays, tmp_path / "w.safetensors", {"epoch": "3"})
    found = weights.read(tmp_path / "w.safetensors")
    assert_same(found, arrays)
    assert found.form == "safetensors" and found.notes == {"epoch": "3"}


def test_a_file_of_pytorch_keeps_strides_offsets_types_and_nesting():
    found = weights.read(FIXTURES / "torch.pt")
    base = counted(4, 6)
    expected = {
        "whole": base,
        "part": base[1:3, ::2],
        "turned": base.T,
        "wide": np.broadcast_to(counted(3, 1), (3, 4)),
        "half": counted(6, dtype=np.float16),
        "brain": counted(6, dtype=ml_dtypes.bfloat16),
        "count": np.array(7),
        "flags": np.array([True, False]),
        "short": counted(3, dtype=np.uint16),
        "none": np.zeros((0, 3), np.float32),
        "learned": counted(2),
    }
    assert_same(found, {f"model.{name}": array for name, array in expected.items()})
    assert found.form == "torch"
    assert found.notes == {
        "optimizer.state.0.step": 3,
        "optimizer.state.0.rates.0": 0.1,
        "optimizer.state.0.rates.1": 0.2,
        "epoch": 5,
        "name": "fixture",
    }


NETWORK = {  # in the order of model.weights: name -> shape
    "first/kernel": (3, 3, 1, 2),
    "first/bias": (2,),
    "norm/gamma": (2,),
    "norm/beta": (2,),
    "memory/cell/kernel": (2, 12),
    "memory/cell/recurrent_kernel": (3, 12),
    "memory/cell/bias": (12,),
    "dense/kernel": (3, 4),
    "dense/bias": (4,),
    "head/kernel": (4, 2),
    "head/bias": (2,),
    "norm/moving_mean": (2,),
    "norm/moving_variance": (2,),
}


@pytest.mark.parametrize("name", ["network.keras", "network.weights.h5"])
def test_a_file_of_keras_3_has_the_names_of_its_layers(name):
    found = weights.read(FIXTURES / name)
    has_config = name == "network.keras"
    # Only the configuration has the name of a layer whose variables are all those of its cell.
    memory = "memory" if has_config else "lstm"
    shapes = {name.replace("memory", memory): shape for name, shape in NETWORK.items()}
    assert {name: array.shape for name, array in found.items()} == shapes
    places = {name: int(array.ravel()[1]) for name, array in found.items()}
    assert places["first/kernel"] == 0 and places["first/bias"] == 1
    assert sorted(places.values()) == list(range(13))
    for name, array in found.items():
        np.testing.assert_array_equal(array, counted(*shapes[name]) * places[name])
    assert (found.config.get("class_name") == "Functional") == has_config


def test_a_network_of_keras_2_has_the_names_of_its_layers():
    found = weights.read(FIXTURES / "keras_2.h5")
    assert_same(found, {"dense_1/kernel": counted(2, 3), "dense_1/bias": counted(3)})
    assert found.config["config"]["name"] == "model_1"


def test_initializers_and_constants_of_onnx_are_read_in_all_ways_of_writing():
    expected = {
        "raw": counted(2, 3),
        "listed": counted(3),
        "whole": np.array([-1, 1 << 40]),
        "half": np.array([0.5, 1.5], np.float16),
        "fixed": np.array([4, 5], np.float32),
    }
    assert_same(weights.read(FIXTURES / "graph.onnx"), expected)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_files_are_read_as_numpy_wrote_them(save, tmp_path):
    arrays = {"a": counted(3, 4), "b/c": np.asfortranarray(counted(2, 3)), "d": np.array(1.5),
              "none": np.zeros((0, 3)), "big": counted(3, dtype=">f4")}  # fmt: skip
    save(tmp_path / "w.npz", **arrays)
    assert_same(weights.read(tmp_path / "w.npz"), arrays)


def test_msgpack_of_flax_is_read_also_in_pieces(tmp_path, monkeypatch):
    tree = {"params": {"a": {"kernel": counted(3, 4)}, "b": [counted(2), np.float32(2)]}, "step": 3}
    monkeypatch.setattr(flax.serialization, "MAX_CHUNK_SIZE", 20)
    (tmp_path / "w").write_bytes(flax.serialization.to_bytes(tree))
    found = weights.read(tmp_path / "w")
    expected = {"params/a/kernel": counted(3, 4), "params/b/0": counted(2)}
    assert_same(found, {**expected, "params/b/1": np.array(2, np.float32)})
    assert found.form == "msgpack" and found.notes == {"step": 3}


def test_shards_of_hugging_face_are_one_mapping_with_the_config(tmp_path):
    parts = [{"a": counted(2)}, {"b": counted(3), "c": counted(1)}]
    for i, part in enumerate(parts):
        save_file(part, tmp_path / f"model-{i}.safetensors", {"format": "pt"})
    index = '{"weight_map": {"a": "model-0.safetensors", "b": "model-1.safetensors"}}'
    (tmp_path / "model.safetensors.index.json").write_text(index)
    (tmp_path / "config.json").write_text('{"n_layer": 2}')
    found = weights.read(tmp_path)
    assert_same(found, parts[0] | parts[1])
    assert found.form == "huggingface" and found.config == {"n_layer": 2}


@pytest.mark.slow
def test_a_checkpoint_of_orbax_is_read_by_its_keys(tmp_path):
    import orbax.checkpoint as orbax
    from flax import nnx

    tree = {"params": {"a": counted(3, 4, dtype=ml_dtypes.bfloat16), "b": [counted(2)]}}
    module = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "tree", tree)
        checkpointer.save(tmp_path / "nnx", nnx.state(module))
    found = weights.read(tmp_path / "tree")
    assert_same(found, {"params/a": tree["params"]["a"], "params/b/0": counted(2)})
    assert_same(
        weights.read(tmp_path / "nnx"),
        {"kernel": np.asarray(module.kernel[...]), "bias": np.asarray(module.bias[...])},
    )


def test_a_linen_checkpoint_of_flax_fits_its_network(tmp_path):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, *, train=False):
            return nn.BatchNorm(use_running_average=not train)(nn.Dense(3)(x))

    x = np.ones((2, 4), np.float32)
    variables = Net().init(jax.random.key(1), x)
    (tmp_path / "w.msgpack").write_bytes(flax.serialization.to_bytes(variables))
    params, state = weights.load(tmp_path / "w.msgpack", Net(), x)
    out, _ = jnn.as_model(Net()).apply(params, state, x, key=None, train=False, hyper={})
    np.testing.assert_array_equal(out, Net().apply(variables, x))


MEMORY = """
import resource, sys, jax, numpy as np, jnn
from jnn import weights

def network(count):
    init = lambda key, x: {str(i): jax.numpy.zeros((1000, 5000)) for i in range(count)}
    return init, lambda params, x: x

peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
path, what = sys.argv[1:]
jax.block_until_ready(jax.numpy.ones((10, 10)) @ jax.numpy.ones((10, 10)))
weights.load({"0": np.zeros((1000, 5000), np.float32)}, network(1), np.zeros(1))
before = peak()
if what == "read":
    total = sum(float(array.sum(dtype="f8")) for array in weights.read(path).values())
else:
    table = [("{i}", "{i}", "DK->KD" if what == "turned" else "same")]
    params, _ = weights.load(path, network(16), np.zeros(1), family=table)
    jax.block_until_ready(params)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "form"),
    [("read", "safetensors"), ("read", "torch"), ("read", "npz"), ("load", "torch"),
     ("turned", "safetensors")],
)  # fmt: skip
def test_the_peak_of_memory_is_below_1_2_times_the_size_of_the_file(form, what, tmp_path):
    shape = (5000, 1000) if what == "turned" else (1000, 5000)
    path = tmp_path / "w"
    weights.save({str(i): np.full(shape, i, np.float32) for i in range(16)}, path, form)  # 320 MB
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, path, what], capture_output=True, text=True, check=True
    )
    ratio = int(done.stdout.split()[-1]) / path.stat().st_size
    assert ratio < 1.2, ratio
