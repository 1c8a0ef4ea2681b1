"""The pickles of PyTorch as data: a reader that builds plain values and calls nothing.

A pickle is a program for a machine with a stack. This machine knows the operations that build
numbers, texts, lists, tuples and dicts; a name of a class or function stays a name, and calling it
makes a record of the call. `jnn.weights._torch` gives the few names of tensors their meaning.
"""

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from jnn.weights._refusal import UnknownContent


class Global(NamedTuple):
    """The name of a class or a function, which is not imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Persistent(NamedTuple):
    """A reference to something beside the pickle: a storage."""

    about: Any


class Opaque:
    """What a call of an unknown class or function would have returned."""


_MARK = object()
_LONGEST_NUMBER = 64  # bytes of a whole number
Call = Callable[[Global, tuple[Any, ...]], Any]


def read_pickle(content: bytes, call: Call) -> tuple[Any, set[Global]]:
    """Return what a pickle holds, and the names of all that it asks for.

    Args:
        content: The pickle, of protocol 2 to 5.
        call: `call(name, arguments)` returns the value of a call; for a name that it does not know
            an `Opaque`.

    Raises:
        ValueError: If it is no pickle, or holds an operation that tensors do not need.
    """
    machine = _Machine(content, call)
    while (operation := machine.take(1)) != b".":
        run = _OPERATIONS.get(operation)
        if run is None:
            raise UnknownContent(f"the operation {operation!r} of its pickle")
        run(machine)
    return machine.pop(), machine.globals


class _Machine:
    """The stack, the memory and the place in the pickle."""

    def __init__(self, content: bytes, call: Call):
        self.content = content
        self.place = 0
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}
        self.globals: set[Global] = set()
        self.call = call

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        end = self.place + count
        if count < 0 or end > len(self.content):
            raise ValueError("its pickle is cut off")
        taken = self.content[self.place : end]
        self.place = end
        return taken

    def number(self, form: str) -> Any:
        """Return the next number of a form of `struct`."""
        (value,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return value

    def line(self) -> str:
        """Return the text up to the end of the line."""
        end = self.content.find(b"\n", self.place)
        text = self.take(end - self.place).decode("utf-8")
        self.place += 1
        return text

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Take the value on top of the stack."""
        if not self.stack or self.stack[-1] is _MARK:
            raise ValueError("its pickle takes a value that it has not made")
        return self.stack.pop()

    def top(self, kind: type | tuple[type, ...]) -> Any:
        """Return the value on top of the stack, which must be of this kind."""
        if not self.stack or self.stack[-1] is _MARK or not isinstance(self.stack[-1], kind):
            raise ValueError("its pickle fills a value that cannot be filled")
        return self.stack[-1]

    def pop_to_mark(self) -> list[Any]:
        """Take the values since the last mark, and the mark."""
        for i in range(len(self.stack) - 1, -1, -1):
            if self.stack[i] is _MARK:
                values = self.stack[i + 1 :]
                del self.stack[i:]
                return values
        raise ValueError("its pickle ends a list that it has not begun")

    def remember(self, place: int) -> None:
        """Keep the value on top of the stack."""
        self.memory[place] = self.top(object)

    def recall(self, place: int) -> None:
        """Put a value that was kept on the stack."""
        if place not in self.memory:
            raise ValueError("its pickle recalls a value that it has not made")
        self.push(self.memory[place])

    def name(self, module: Any, name: Any) -> None:
        """Put the name of a class or function on the stack."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("its pickle names a class by something that is no text")
        found = Global(module, name)
        self.globals.add(found)
        self.push(found)


def _reduce(machine: _Machine) -> None:
    arguments = machine.pop()
    function = machine.pop()
    known = isinstance(function, Global) and isinstance(arguments, tuple)
    machine.push(machine.call(function, arguments) if known else Opaque())


def _build(machine: _Machine) -> None:
    """Leave out the attributes of an object: those of an OrderedDict are versions of modules."""
    machine.pop()
    machine.top(object)


def _new(machine: _Machine) -> None:
    machine.pop()
    machine.pop()
    machine.push(Opaque())


def _set_items(machine: _Machine, values: list[Any]) -> None:
    mapping = machine.top((dict, Opaque))
    if len(values) % 2:
        raise ValueError("its pickle has a key without a value")
    if isinstance(mapping, Opaque):
        return
    for key, value in zip(values[::2], values[1::2], strict=True):
        if not isinstance(key, str | int | float | tuple | None | Global):
            raise ValueError("its pickle has a key that is no name")
        mapping[key] = value


def _set_item(machine: _Machine) -> None:
    value = machine.pop()
    _set_items(machine, [machine.pop(), value])


def _append(machine: _Machine, values: list[Any]) -> None:
    target = machine.top((list, Opaque))
    if isinstance(target, list):
        target.extend(values)


def _tuple(count: int) -> Callable[[_Machine], None]:
    def run(machine: _Machine) -> None:
        values = [machine.pop() for _ in range(count)]
        machine.push(tuple(reversed(values)))

    return run


def _constant(make: Callable[[], Any]) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(make())


def _numeric(form: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(machine.number(form))


def _text(form: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(machine.take(machine.number(form)).decode("utf-8"))


def _binary(form: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(machine.take(machine.number(form)))


def _long(machine: _Machine) -> None:
    count = machine.number("<B")
    if count > _LONGEST_NUMBER:
        raise ValueError(f"its pickle has a whole number of {count} bytes")
    machine.push(int.from_bytes(machine.take(count), "little", signed=True))


def _protocol(machine: _Machine) -> None:
    version = machine.number("<B")
    if not 2 <= version <= 5:
        raise UnknownContent(f"its pickle has protocol {version}; 2 to 5 are known")


def _stack_global(machine: _Machine) -> None:
    name = machine.pop()
    machine.name(machine.pop(), name)


_OPERATIONS: dict[bytes, Callable[[_Machine], object]] = {
    b"\x80": _protocol,
    b"\x95": lambda machine: machine.take(8),  # FRAME: the size of a part
    b"(": lambda machine: machine.push(_MARK),
    b"0": lambda machine: machine.pop(),
    b"N": _constant(lambda: None),
    b"\x88": _constant(lambda: True),
    b"\x89": _constant(lambda: False),
    b"J": _numeric("<i"),
    b"K": _numeric("<B"),
    b"M": _numeric("<H"),
    b"G": _numeric(">d"),
    b"\x8a": _long,
    b"X": _text("<I"),
    b"\x8c": _text("<B"),
    b"\x8d": _text("<Q"),
    b"T": _text("<i"),
    b"U": _text("<B"),
    b"B": _binary("<I"),
    b"C": _binary("<B"),
    b"\x8e": _binary("<Q"),
    b"]": _constant(list),
    b"a": lambda machine: _append(machine, [machine.pop()]),
    b"e": lambda machine: _append(machine, machine.pop_to_mark()),
    b")": _constant(tuple),
    b"t": lambda machine: machine.push(tuple(machine.pop_to_mark())),
    b"\x85": _tuple(1),
    b"\x86": _tuple(2),
    b"\x87": _tuple(3),
    b"}": _constant(dict),
    b"s": _set_item,
    b"u": lambda machine: _set_items(machine, machine.pop_to_mark()),
    b"q": lambda machine: machine.remember(machine.number("<B")),
    b"r": lambda machine: machine.remember(machine.number("<I")),
    b"\x94": lambda machine: machine.remember(len(machine.memory)),
    b"h": lambda machine: machine.recall(machine.number("<B")),
    b"j": lambda machine: machine.recall(machine.number("<I")),
    b"c": lambda machine: machine.name(machine.line(), machine.line()),
    b"\x93": _stack_global,
    b"R": _reduce,
    b"b": _build,
    b"\x81": _new,
    b"Q": lambda machine: machine.push(Persistent(machine.pop())),
}
