"""Sequences of different lengths as one tensor: padded, or packed step by step.

A packed sequence holds, for each step, the rows of the sequences that are that long, the longest sequence
first; ``batch_sizes`` says how many they are.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from .._base import Tensor, ops

__all__ = ["PackedSequence", "invert_permutation", "pack_padded_sequence", "pad_packed_sequence",
           "pad_sequence", "unpad_sequence", "pack_sequence", "unpack_sequence"]


class PackedSequence_(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes this one."""
    if permutation is None:
        return None
    output = ops.empty_like(permutation)
    output.scatter_(0, permutation, ops.arange(0, permutation.numel(), dtype=permutation.dtype))
    return output


class PackedSequence(PackedSequence_):
    """``data`` ``(rows, *)``, ``batch_sizes`` of each step, and the permutations that sort the sequences by
    falling length and put them back (None when they were given sorted). Made by :func:`pack_padded_sequence`
    and :func:`pack_sequence`.
    """

    __slots__ = ()

    def __new__(cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None,
                unsorted_indices: Any = None) -> PackedSequence:
        if batch_sizes is None and unsorted_indices is None:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """With ``data.to(...)``; this very object when that changes nothing."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        return type(self)(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    def cpu(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """This object."""
        return self.to("cpu")

    def cuda(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The error of ``data.cuda()``: there is no such device."""
        return type(self)(self.data.cuda(*args, **kwargs), self.batch_sizes, self.sorted_indices,
                          self.unsorted_indices)

    def pin_memory(self) -> PackedSequence:
        """This object: memory needs no pinning without a device."""
        return self

    @property
    def is_cuda(self) -> bool:
        return False

    def is_pinned(self) -> bool:
        return False


def _conversion(name: str) -> Any:
    def convert(self: PackedSequence) -> PackedSequence:
        return self.to(dtype=getattr(self.data, name)().dtype)

    convert.__name__ = name
    convert.__doc__ = f"With ``data.{name}()``."
    return convert


for _name in ("double", "float", "half", "long", "int", "short", "char", "byte"):
    setattr(PackedSequence, _name, _conversion(_name))


def pack_padded_sequence(input: Tensor, lengths: Any, batch_first: bool = False,
                         enforce_sorted: bool = True) -> PackedSequence:
    """Pack ``(T, B, *)``, or ``(B, T, *)`` with ``batch_first``; ``lengths`` are ``B`` integers in ``[1, T]``.

    With ``enforce_sorted`` they must not grow, otherwise the sequences are sorted here. RuntimeError for lengths
    that are not so.
    """
    if not isinstance(lengths, Tensor):
        lengths = ops.as_tensor(lengths, dtype=ops.empty(0).long().dtype)
    lengths = lengths.to("cpu")
    sorted_indices = None
    if not enforce_sorted:
        lengths, sorted_indices = lengths.sort(descending=True)
        input = input.index_select(0 if batch_first else 1, sorted_indices)
    if batch_first:
        input = input.transpose(0, 1)
    each = [int(n) for n in lengths.tolist()]
    if input.dim() < 2:
        raise RuntimeError(f"pack_padded_sequence expects an input of at least 2 dimensions, got {input.dim()}")
    if lengths.dim() != 1 or len(each) != input.shape[1]:
        raise RuntimeError("Expected `len(lengths)` to be equal to batch_size, but got "
                           f"{lengths.numel()} (batch_size={input.shape[1]})")
    if not each:
        raise RuntimeError("Cannot pack empty tensors.")
    if min(each) <= 0:
        raise RuntimeError("Length of all samples has to be greater than 0, but found an element in 'lengths' "
                           "that is <= 0")
    if any(a < b for a, b in zip(each, each[1:])):
        raise RuntimeError("`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You "
                           "can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to "
                           "sidestep this requirement if you do not need ONNX exportability.")
    if each[0] > input.shape[0]:
        raise RuntimeError(f"Expected lengths of at most {input.shape[0]}, the padded length, but got {each[0]}")
    batch_sizes, rows = [], []
    alive, batch = len(each), input.shape[1]
    for t in range(each[0]):
        while each[alive - 1] <= t:
            alive -= 1
        batch_sizes.append(alive)
        rows.extend(range(t * batch, t * batch + alive))
    flat = input.reshape(-1, *input.shape[2:])
    data = flat if len(rows) == flat.shape[0] else flat.index_select(0, ops.tensor(rows))
    return PackedSequence(data, ops.tensor(batch_sizes), sorted_indices, None)


def pad_packed_sequence(sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0,
                        total_length: int | None = None) -> tuple[Tensor, Tensor]:
    """The padded sequences, ``(T, B, *)`` or ``(B, T, *)``, and their lengths, in the order before packing.

    ``T`` is the longest length, or ``total_length``, a ValueError when that is less.
    """
    data, batch_sizes, _, unsorted_indices = sequence
    sizes = [int(n) for n in batch_sizes.tolist()]
    steps = len(sizes)
    if total_length is not None:
        if total_length < steps:
            raise ValueError("Expected total_length to be at least the length of the longest sequence in input, "
                             f"but got total_length={total_length} and max sequence length being {steps}")
        steps = total_length
    batch = sizes[0]
    rows, lengths = [], [0] * batch
    for t, n in enumerate(sizes):
        rows.extend(range(t * batch, t * batch + n))
        for k in range(n):
            lengths[k] += 1
    if len(rows) == steps * batch:
        padded = data.reshape(steps, batch, *data.shape[1:])
    else:
        padded = data.new_full((steps * batch, *data.shape[1:]), padding_value)
        padded = padded.index_copy(0, ops.tensor(rows), data).reshape(steps, batch, *data.shape[1:])
    lengths = ops.tensor(lengths)
    if batch_first:
        padded = padded.transpose(0, 1)
    if unsorted_indices is None:
        return padded, lengths
    return padded.index_select(0 if batch_first else 1, unsorted_indices), lengths[unsorted_indices]


def pad_sequence(sequences: Any, batch_first: bool = False, padding_value: float = 0.0,
                 padding_side: str = "right") -> Tensor:
    """Tensors ``(L_k, *)`` as one of ``(T, B, *)``, or ``(B, T, *)`` with ``batch_first``, filled up with
    ``padding_value`` on one side, ``"right"`` or ``"left"``. RuntimeError when they differ in more than length.
    """
    if isinstance(sequences, Tensor):
        sequences = sequences.unbind(0)
    elif not isinstance(sequences, Iterable):
        raise RuntimeError("pad_sequence: Expected iterable for input sequences, but got arg of type: "
                           f"{type(sequences)}")
    sequences = tuple(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    longest = max(len(s) for s in sequences)
    rest = tuple(sequences[0].shape[1:])
    padded = []
    for s in sequences:
        missing = longest - len(s)
        if missing:
            fill = sequences[0].new_full((missing, *rest), padding_value)
            s = ops.cat([s, fill] if padding_side == "right" else [fill, s])
        padded.append(s)
    return ops.stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences without their padding: undoes :func:`pad_sequence`."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    each = lengths.tolist() if isinstance(lengths, Tensor) else list(lengths)
    return [s[:int(n)] for s, n in zip(padded_sequences, each)]


def pack_sequence(sequences: Any, enforce_sorted: bool = True) -> PackedSequence:
    """Pack tensors ``(L_k, *)``; with ``enforce_sorted`` they must come by falling length."""
    lengths = ops.as_tensor([v.size(0) for v in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed one, in the order before packing."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
