"""Zip files as weights come in them: members lie in the file as they are, or are small."""

import pathlib
import struct
import zipfile
from typing import IO

from jnn.weights._mapped import MappedFile, Path

_HEADER = struct.Struct("<4s5H3L2H")  # of a member, before its name
_MOST_EXPANSION = 100  # times that a compressed member may grow; numbers compress far less
_SMALL = 1 << 20  # bytes that a member may always have


class Archive:
    """The members of a zip file, whose declared sizes have been compared with the file's.

    Attributes:
        file: The whole file, mapped.
        members: The members by name.
    """

    def __init__(self, path: Path):
        self.file = MappedFile(path)
        self._zip = zipfile.ZipFile(pathlib.Path(path))
        infos = self._zip.infolist()
        self.members = {info.filename: info for info in infos}
        if len(self.members) < len(infos):
            raise ValueError("two of its members have the same name")
        if sum(info.compress_size for info in infos) > self.file.size:
            raise ValueError("its members are larger than the whole file")
        for info in infos:
            _check(info)

    def is_stored(self, name: str) -> bool:
        """Return whether a member lies in the file as it is, without compression."""
        return self.members[name].compress_type == zipfile.ZIP_STORED

    def place(self, name: str) -> tuple[int, int]:
        """Return the first byte of a stored member in the file, and its number of bytes."""
        info = self.members[name]
        fields = _HEADER.unpack(self.file.bytes(info.header_offset, _HEADER.size))
        if fields[0] != b"PK\x03\x04" or not self.is_stored(name):
            raise ValueError(f"its member {name[:40]!r} does not lie in the file as it is")
        start = info.header_offset + _HEADER.size + fields[-2] + fields[-1]
        if start + info.file_size > self.file.size:
            raise ValueError(f"its member {name[:40]!r} is cut off")
        return start, info.file_size

    def content(self, name: str) -> bytes:
        """Return the content of a member, compared with its checksum."""
        with self._zip.open(name) as member:
            content = member.read(self.members[name].file_size + 1)
        if len(content) != self.members[name].file_size:
            raise ValueError(f"its member {name[:40]!r} has another size than it declares")
        return content

    def open(self, name: str) -> IO[bytes]:
        """Return a member as a file that can be read and sought."""
        return self._zip.open(name)


def _check(info: zipfile.ZipInfo) -> None:
    """Raise ValueError for a member that is encrypted, or grows as no numbers do."""
    name = info.filename[:40]
    if info.flag_bits & 1:
        raise ValueError(f"its member {name!r} is encrypted")
    if info.compress_type == zipfile.ZIP_STORED:
        if info.file_size != info.compress_size:
            raise ValueError(f"its member {name!r} has another size than it declares")
    elif info.file_size > max(_SMALL, _MOST_EXPANSION * info.compress_size):
        raise ValueError(
            f"its member {name!r} would grow from {info.compress_size} to {info.file_size} bytes"
        )
