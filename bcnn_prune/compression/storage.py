"""A network in few bytes: relative indices, shared values and Huffman coding (Han et al. 2016; thesis figure 2.1).

Each tensor is stored in the shortest of three ways, its entry in the header not counted: as it is; all its entries
Huffman-coded; or its non-zero entries and the gaps between them, both Huffman-coded. Few distinct entries, as
clustering leaves, make short codes. Entries are compared and restored as bit patterns, so that what is read back is
what was written, bit for bit."""

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bitarray import bitarray
from bitarray.util import canonical_decode, canonical_huffman
from numpy.typing import NDArray
from torch import Tensor

from bcnn_prune.files import atomic_write, require_file
from bcnn_prune.metadata import ModelCard, from_text, to_text
from bcnn_prune.model.network import BilinearCNN

MAGIC = b"bcnnpack"
LENGTHS = struct.Struct("<II")
"""Bytes of the header, and the checksum of all that follows."""
MOST_DISTINCT = 2**16
"""Beyond so many distinct entries a table of codes saves nothing."""
INDEX_BITS = range(2, 9)
"""Bits of a gap: the number that needs the fewest bytes is taken."""
Entries = NDArray[Any]
SUFFIX = ".packed"
Stream = tuple[dict[str, Any], bytes]
"""What a reader has to know of a stream, and its bytes."""


def save(path: Path, model: BilinearCNN, card: ModelCard) -> None:
    """Write the network and its card as one file, whole or not at all."""
    with atomic_write(path) as partial:
        partial.write_bytes(encode(model.state_dict(), to_text(card)))


def load(path: Path) -> tuple[BilinearCNN, ModelCard]:
    """What `save` wrote, on the CPU. Raises OSError where there is no file, ValueError for any other one."""
    require_file(path)
    try:
        tensors, about = decode(path.read_bytes())
        card = from_text(about)
        model = BilinearCNN(card.spec)
        model.load_state_dict(tensors)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is no packed network, or it is damaged: {error}") from error
    return model, card


def encode(tensors: Mapping[str, Tensor], about: str = "") -> bytes:
    """The tensors, and a text about them, in few bytes."""
    told, streams = [], []
    for name, tensor in tensors.items():
        array = tensor.detach().cpu().contiguous().numpy()
        bits = array.ravel().view(f"u{array.itemsize}")
        parts = min(_ways(bits), key=lambda way: sum(len(stream) for _, stream in way))
        told.append(
            {"name": name, "dtype": array.dtype.str, "shape": array.shape, "parts": [part for part, _ in parts]}
        )
        streams += [stream for _, stream in parts]
    header = zlib.compress(json.dumps({"about": about, "tensors": told}, separators=(",", ":")).encode(), 9)
    body = header + b"".join(streams)
    return MAGIC + LENGTHS.pack(len(header), zlib.crc32(body)) + body


def decode(data: bytes) -> tuple[dict[str, Tensor], str]:
    """What `encode` was given. Raises ValueError for any other bytes."""
    start = len(MAGIC) + LENGTHS.size
    if data[: len(MAGIC)] != MAGIC or len(data) < start:
        raise ValueError("it does not begin as one")
    length, checksum = LENGTHS.unpack(data[len(MAGIC) : start])
    body = data[start:]
    if zlib.crc32(body) != checksum:
        raise ValueError("its checksum differs")
    try:
        return _read(body, length)
    except (zlib.error, LookupError, TypeError, AttributeError) as error:  # a right checksum over something else
        raise ValueError(f"its header is none: {error!r}") from error


def _read(body: bytes, length: int) -> tuple[dict[str, Tensor], str]:
    """Tensors and text of a body whose header has this length."""
    told = json.loads(zlib.decompress(body[:length]))
    at, tensors = length, {}
    for entry in told["tensors"]:
        parts = []
        for part in entry["parts"]:
            parts.append(_decoded(part, body[at : at + part["bytes"]]))
            at += part["bytes"]
        bits = parts[0] if len(parts) == 1 else _scattered(int(np.prod(entry["shape"])), *parts)
        tensors[entry["name"]] = torch.from_numpy(bits.view(entry["dtype"]).reshape(entry["shape"]))
    return tensors, told["about"]


def gaps(bits: Entries, index_bits: int) -> tuple[Entries, Entries]:
    """Each non-zero entry, and how many places it is behind the one before, less one (thesis figure 2.1).

    Where a gap is wider than `index_bits` can tell, a zero is stored on the way, as often as it takes."""
    longest, places = 2**index_bits, np.flatnonzero(bits)
    steps = np.diff(places, prepend=-1)
    fillers = (steps - 1) // longest
    ends = np.cumsum(fillers + 1) - 1
    found = np.full(len(places) + fillers.sum(), longest - 1, np.uint8)
    found[ends] = steps - fillers * longest - 1
    values = np.zeros(len(found), bits.dtype)
    values[ends] = bits[places]
    return found, values


def _scattered(size: int, found: Entries, values: Entries) -> Entries:
    bits = np.zeros(size, values.dtype)
    bits[np.cumsum(found.astype(np.int64) + 1) - 1] = values
    return bits


def _ways(bits: Entries) -> Iterator[list[Stream]]:
    """All ways to store entries, each as one stream, or as those of gaps and of values."""
    yield [({"dtype": bits.dtype.str, "bytes": bits.nbytes}, bits.tobytes())]
    yield [_coded(bits)]
    if not bits.all():
        for index_bits in INDEX_BITS:
            found, values = gaps(bits, index_bits)
            yield [_coded(found), _coded(values)]


def _coded(values: Entries) -> Stream:
    """Values by canonical Huffman codes, the table of values in the order of their codes in front; raw where there are
    none or too many."""
    distinct, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    raw = {"dtype": values.dtype.str, "bytes": values.nbytes}, values.tobytes()
    if not 0 < len(distinct) <= MOST_DISTINCT:
        return raw
    codes, lengths, order = canonical_huffman(dict(enumerate(counts.tolist())))
    bits = bitarray()
    bits.encode(codes, places.tolist())
    stream = distinct[order].tobytes() + bits.tobytes()
    part = {"dtype": values.dtype.str, "bytes": len(stream), "count": len(values), "lengths": lengths}
    return min((part, stream), raw, key=lambda coded: len(coded[1]))


def _decoded(part: Mapping[str, Any], stream: bytes) -> Entries:
    dtype = np.dtype(part["dtype"])
    if "lengths" not in part:
        return np.frombuffer(stream, dtype).copy()
    distinct = sum(part["lengths"])
    table, bits = np.frombuffer(stream, dtype, distinct), bitarray()
    bits.frombytes(stream[distinct * dtype.itemsize :])
    places = canonical_decode(bits, part["lengths"], range(distinct))
    return table[np.fromiter(places, np.int64, part["count"])]
