"""Damaged and hostile checkpoint files, and what load() may do with them: load them right, or say what is wrong.

    python -m tests.damaged_files 10000

Run as a command, the process may not take more memory than 256 MB beyond what it has at the start.
"""

import io
import mmap
import os
import pickle
import pickletools
import random
import struct
import sys
import tempfile
from collections import OrderedDict

import autodiffc as ad
from autodiffc import _archive

assert mmap  # imported beforehand, so that loading imports nothing

CLEAN = (RuntimeError, pickle.UnpicklingError, EOFError)
"""What a damaged file may raise."""


def originals():
    """Whole files: zip and older ones, with what real checkpoints have."""
    weight = ad.arange(12.0).reshape(3, 4)
    objects = [
        {"weight": weight, "view": weight.t(), "row": weight[1], "list": [None, 1, 2.5, "text", b"b", 1 << 80]},
        OrderedDict(a=ad.ones(2, dtype=ad.bfloat16), b=ad.tensor([True, False]), c=ad.empty(0, 3), d=ad.float16),
        {"state": {0: {"step": ad.tensor(3.0), "exp_avg": ad.zeros(5)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        [ad.nn.Parameter(ad.ones(3)), ad.Size([2, 3]), ad.device("cpu"), {1, 2}, (), ((1,), {"k": (2, 3, 4)})],
    ]
    for obj in objects:
        for zipped in (True, False):
            for protocol in (2, 4):
                file = io.BytesIO()
                ad.save(obj, file, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
                yield file.getvalue()


def pickle_and_records(data):
    archive = _archive.Reader(memoryview(data))
    names = [n[len(archive.prefix) :] for n in archive.records]
    return {n: bytes(archive.read(n)) for n in names}


def zipped(records):
    file = io.BytesIO()
    writer = _archive.Writer(file, "archive")
    for name, data in records.items():
        writer.add(name, data)
    writer.close()
    return file.getvalue()


def mutated(rng, data):
    """The bytes with one to four mistakes."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        kind, n = rng.randrange(8), len(data)
        at = rng.randrange(n) if n else 0
        if kind <= 2 and n:
            data[at] = rng.choice([rng.randrange(256), data[at] ^ (1 << rng.randrange(8)), 0, 255])
        elif kind == 3:
            del data[at:]
        elif kind == 4:
            del data[at : at + rng.randrange(1, 20)]
        elif kind == 5:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 12)))
        elif kind == 6:
            wrong = rng.choice([0, 1, -1, 1 << 31, (1 << 32) - 1, 1 << 62, (1 << 64) - 1, 7])
            data[at : at + 8] = struct.pack("<Q", wrong % (1 << 64))[: len(data[at : at + 8])]
        else:
            here = rng.randrange(n) if n else 0
            data[at : at + 8] = data[here : here + 8]
    return bytes(data)


OPCODES = bytes(ord(o.code) for o in pickletools.opcodes)
NAMES = b"""torch._utils _rebuild_tensor_v2, torch._utils _rebuild_parameter, torch._tensor _rebuild_from_type_v2,
torch FloatStorage, torch.storage UntypedStorage, torch Tensor, torch float32, torch Size, torch device, os system,
builtins exec, builtins getattr, builtins bytearray, builtins set, _codecs encode, collections OrderedDict,
collections Counter""".split(b",")


def babble(rng):
    """A pickle of random opcodes with likely arguments."""
    out = bytearray(b"\x80\x02")
    for _ in range(rng.randrange(2, 60)):
        code = rng.choice(OPCODES)
        out.append(code)
        if code == ord("c"):
            out += rng.choice(NAMES).strip().replace(b" ", b"\n") + b"\n"
        elif code in b"XTB\x8b":
            out += struct.pack("<I", rng.choice([0, 1, 3, 1 << 31])) + b"abc"
        elif code in b"qhKU\x8c\x8aC":
            out.append(rng.randrange(4))
        elif code in b"rj":
            out += struct.pack("<I", rng.choice([0, 1, 1 << 31]))
        elif code in b"\x8d\x8e\x96\x95":
            out += struct.pack("<Q", rng.choice([0, 2, 1 << 40, 1 << 63]))
    return bytes(out) + b"."


def one(rng, files):
    """A damaged file."""
    data = rng.choice(files)
    kind = rng.randrange(5)
    if kind <= 1 or data[:2] != b"PK":
        return mutated(rng, data)
    records = pickle_and_records(data)
    if kind == 2:  # the checksums are right: only the reader of the pickle can tell
        records["data.pkl"] = mutated(rng, records["data.pkl"])
    elif kind == 3:
        records["data.pkl"] = babble(rng)
    else:
        name = rng.choice(list(records))
        records[name] = mutated(rng, records[name])
        records.pop(rng.choice(list(records)), None) if rng.randrange(4) == 0 else None
    return zipped(records)


def visit(x, depth=0):
    """Reads all tensors of a loaded object: what was loaded must be usable."""
    if isinstance(x, ad.Tensor):
        if x.numel() < 1 << 16:
            x.detach().clone().tolist()
    elif depth < 50 and isinstance(x, dict):
        for item in x.values():
            visit(item, depth + 1)
    elif depth < 50 and isinstance(x, (list, tuple, set, frozenset)):
        for item in x:
            visit(item, depth + 1)


def attempt(data, path=None, mapped=False):
    """"loaded", or the name of the error; other errors than the clean ones go on. With a path, through that file."""
    modules = set(sys.modules)
    if path is not None:
        with open(path, "wb") as f:
            f.write(data)
    try:
        visit(ad.load(io.BytesIO(data)) if path is None else ad.load(path, mmap=mapped))
        outcome = "loaded"
    except CLEAN as e:
        if not str(e) and not isinstance(e, EOFError):
            raise AssertionError(f"{type(e).__name__} without a message") from e
        outcome = type(e).__name__
    new = {m for m in set(sys.modules) - modules if not m.startswith(("autodiffc", "encodings"))}
    if new:
        raise AssertionError(f"loading imported {new}")
    return outcome


def run(n, seed=0):
    """How n damaged files ended, by outcome."""
    files, counts = list(originals()), {}
    for data in files:
        assert attempt(data) == "loaded"
    with tempfile.TemporaryDirectory() as folder:
        for k in range(n):
            rng = random.Random(seed * 1_000_003 + k)
            data = one(rng, files)
            try:
                outcome = attempt(data, os.path.join(folder, "a.pt") if k % 4 == 0 else None, k % 8 == 0)
            except BaseException as e:
                raise AssertionError(f"file {k} of seed {seed}: {type(e).__name__}: {e}") from e
            counts[outcome] = counts.get(outcome, 0) + 1
    return counts


def main():
    import resource

    list(originals())
    with open("/proc/self/statm") as f:
        pages = int(f.read().split()[0])
    limit = pages * resource.getpagesize() + (256 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    counts = run(n, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(f"{n} files: " + ", ".join(f"{c} {name}" for name, c in sorted(counts.items())))


if __name__ == "__main__":
    main()
