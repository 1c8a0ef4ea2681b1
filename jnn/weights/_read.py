"""`jnn.weights.read`: the tensors of a file or folder, whatever its form."""

import pathlib

from jnn.storage import expand
from jnn.weights._archive import Archive
from jnn.weights._huggingface import read_folder, weights_of_folder
from jnn.weights._keras import WEIGHTS, read_hdf5, read_keras
from jnn.weights._mapped import MappedFile, Path
from jnn.weights._msgpack import read_msgpack
from jnn.weights._npz import read_npz
from jnn.weights._onnx import read_onnx
from jnn.weights._orbax import checkpoint_in, read_orbax
from jnn.weights._refusal import reading, refusal
from jnn.weights._safetensors import read_safetensors
from jnn.weights._tensors import Tensors
from jnn.weights._torch import pickle_of, read_torch

_FORMS = (
    "safetensors, a zip file of PyTorch, .keras, HDF5 of Keras, .npz, ONNX, msgpack of Flax, a "
    "folder of Hugging Face or of Orbax"
)
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number of PyTorch up to 1.5
_SAVE_ANEW = "Load it in PyTorch, and save it anew: torch.save(model.state_dict(), path)."


def read(path: Path) -> Tensors:
    """Read the tensors of a file or folder by their own names.

    The form is told from the bytes, not from the name: safetensors, zip files of PyTorch
    (`torch.save` of a `state_dict`, also nested), `.keras`, `.weights.h5` and the HDF5 files of
    Keras 2, `.npz`, ONNX (the initializers), msgpack of Flax; or a folder of Hugging Face (one file
    or shards, with config.json) or of Orbax.

    Nothing in a file is executed, and nothing larger than the file is allocated before its sizes
    have been compared with the file's. Where the form allows, a tensor is a view of the file.

    Args:
        path: The file or folder; a leading `~` is the home directory.

    Returns:
        A mapping of names to NumPy arrays, with the attributes `form`, `config`, `notes` and
        `shapes`.

    Raises:
        ValueError: If the path is none of these, or the file is damaged or holds more than tensors;
            one sentence says what was found.

    >>> import tempfile, numpy as np
    >>> path = tempfile.mkdtemp() + "/two.npz"
    >>> np.savez(path, kernel=np.ones((2, 3)), bias=np.zeros(3))
    >>> read(path)["kernel"].shape
    (2, 3)
    """
    place = expand(path)
    if place.is_dir():
        return _read_folder(place)
    return _read_file(place)


def _read_folder(folder: pathlib.Path) -> Tensors:
    checkpoint = checkpoint_in(folder)
    if checkpoint is not None and weights_of_folder(folder) is None:
        return read_orbax(folder, checkpoint)
    return read_folder(folder, _read_file)


def _read_file(path: pathlib.Path) -> Tensors:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise refusal(path, "is neither a file nor a folder", "Name a file of weights.")
    with reading(path):
        size = path.stat().st_size
        head = MappedFile(path).bytes(0, min(size, 16))
    if head.startswith(_ZIP):
        return _read_zip(path)
    if head.startswith(_HDF5):
        return read_hdf5(path)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size:
        return read_safetensors(path)
    if head.startswith(_LEGACY):
        raise refusal(path, "has the form that PyTorch wrote before version 1.6", _SAVE_ANEW)
    if head[:1] == b"\x80" and head[1:2] and head[1] <= 5:
        raise refusal(
            path, "is a pickle, which may run anything when it is read",
            "Save the arrays as safetensors or .npz.",
        )  # fmt: skip
    if head[:1] in (b"\x08", b"\x3a") or path.suffix == ".onnx":
        return read_onnx(path)
    if head and (0x80 <= head[0] <= 0x8F or head[0] in (0xC7, 0xC8, 0xC9, 0xDE, 0xDF)):
        return read_msgpack(path)
    raise refusal(path, f"begins with {head[:8]!r}, as no known form does", f"Known are {_FORMS}.")


def _read_zip(path: pathlib.Path) -> Tensors:
    with reading(path):
        archive = Archive(path)
        pickle = pickle_of(archive)
        if pickle is not None:
            return read_torch(path, archive, pickle)
        if WEIGHTS in archive.members:
            return read_keras(path, archive)
        if archive.members and all(name.endswith(".npy") for name in archive.members):
            return read_npz(path, archive)
    raise refusal(
        path, "is a zip file, but neither of PyTorch, of Keras nor of NumPy", f"Known are {_FORMS}."
    )
