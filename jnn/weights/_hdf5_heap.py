"""The heaps of an HDF5 file, where its texts are: on a damaged one the library would never return.

The layout is that of "Global Heap" in the specification of HDF5.
"""

import struct

from jnn.weights._mapped import MappedFile

_SIGNATURE = b"GCOL\x01"
_SMALLEST = 4096  # bytes of a heap; the library refuses smaller ones
_HEADER = 16  # bytes of a heap's header, and of that of an object in it


def check_heaps(file: MappedFile, start: int, end: int) -> None:
    """Raise ValueError for a heap whose objects do not follow each other.

    Args:
        file: The file.
        start: Where the HDF5 file begins in it.
        end: The byte after its last one.
    """
    version = file.bytes(start, 16)[8]
    first = start + (13 if version < 2 else 9)
    if file.bytes(first, 2) != b"\x08\x08":
        raise ValueError("its places and sizes have other than 8 bytes")
    place = file.find(_SIGNATURE, start, end)
    while place >= 0:
        (size,) = struct.unpack("<Q", file.bytes(place + 8, 8))
        if _SMALLEST <= size <= end - place:
            _check_objects(file, place, size)
        place = file.find(_SIGNATURE, place + 1, end)


def _check_objects(file: MappedFile, heap: int, size: int) -> None:
    place = _HEADER
    while place + _HEADER <= size:
        index, _, count = struct.unpack("<H6sQ", file.bytes(heap + place, _HEADER))
        # Object 0 is the free space, whose size counts its header.
        needed = _HEADER + (count + 7) // 8 * 8 if index else count
        if needed < _HEADER or place + needed > size:
            raise ValueError("the texts of its attributes do not follow each other")
        place += needed
