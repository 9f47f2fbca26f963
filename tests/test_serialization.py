"""save() and load(): what goes round, what is refused, and what a file can be."""

import copy
import io
import os
import pickle
import signal
import struct
import sys
import time
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import _archive, nn
from autodiffc.serialization import (
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    get_unsafe_globals_in_checkpoint,
    safe_globals,
)

from . import child, damaged_files
from .damaged_files import zipped


def round_trip(obj, load=None, **options):
    file = io.BytesIO()
    ad.save(obj, file, **options)
    file.seek(0)
    return ad.load(file, **(load or {}))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)
        self.tied = self.b.weight
        self.register_buffer("count", ad.zeros(1))

    def forward(self, x):
        return self.b(self.a(x).relu())


@pytest.mark.parametrize("options", [{}, {"pickle_protocol": 4}, {"_use_new_zipfile_serialization": False}])
def test_values_of_every_dtype(options):
    for d in ad._dtype.DTYPES:
        for x in (ad.arange(6).to(d).reshape(2, 3), ad.ones((), dtype=d), ad.empty((0, 3), dtype=d)):
            y = round_trip(x, **options)
            assert y.dtype is d and y.shape == x.shape and type(y) is ad.Tensor
            assert y.untyped_storage().tolist() == x.untyped_storage().tolist()


@pytest.mark.parametrize("options", [{}, {"pickle_protocol": 5}, {"_use_new_zipfile_serialization": False}])
def test_memory_that_is_shared_stays_shared_and_strides_stay(options):
    x = ad.arange(12.0).reshape(3, 4)
    r = round_trip({"x": x, "t": x.t(), "row": x[1], "wide": x[0].expand(5, 4), "storage": x.storage()}, **options)
    assert r["t"].stride() == (1, 4) and r["row"].storage_offset() == 4 and r["wide"].stride() == (0, 1)
    r["x"][1, 2] = 100.0
    assert r["t"][2, 1] == 100 and r["row"][2] == 100 and r["storage"][6] == 100
    assert r["row"].data_ptr() == r["x"].data_ptr() + 16


def test_all_that_weights_only_admits():
    p = nn.Parameter(ad.ones(2), requires_grad=False)
    p.note = "text"
    things = {"none": None, "b": True, "i": -7, "big": 1 << 100, "f": 2.5, "s": "text é", "bytes": b"\0\xff",
              "bytearray": bytearray(b"ab"), "c": 1 + 2j, "list": [1, [2, (3,)]], "t": (1, 2, 3, 4), "set": {1, "a"},
              "o": OrderedDict(a=1), "counter": Counter("aab"), "size": ad.Size([2, 3]), "dtype": ad.bfloat16,
              "bool": ad.bool, "device": ad.device("cpu"), "p": nn.Parameter(ad.ones(3)), "noted": p,
              "storage": ad.ones(2).untyped_storage(), "typed": ad.ones(2).storage(), (1, 2): 3, 5: 6}  # fmt: skip
    r = round_trip(things)
    assert list(r) == list(things)
    for name, value in things.items():
        if name in ("storage", "typed"):
            assert r[name].tolist() == value.tolist()
        elif name in ("p", "noted"):
            assert type(r[name]) is nn.Parameter and r[name].requires_grad == value.requires_grad
        else:
            assert r[name] == value and type(r[name]) is type(value), name
    assert r["noted"].note == "text" and r["device"].index is None


def test_state_dicts_and_generators():
    ad.manual_seed(3)
    net = Net()
    opt = ad.optim.Adam(net.parameters(), lr=0.1)
    schedule = ad.optim.lr_scheduler.StepLR(opt, 2)
    for _ in range(3):
        opt.zero_grad()
        net(ad.randn(5, 3)).pow(2).sum().backward()
        opt.step()
        schedule.step()
    g = ad.Generator().manual_seed(5)
    state = round_trip({"net": net.state_dict(), "opt": opt.state_dict(), "schedule": schedule.state_dict(),
                        "rng": ad.get_rng_state(), "g": g.get_state()})  # fmt: skip
    assert state["net"]._metadata == net.state_dict()._metadata
    other = Net()
    other.load_state_dict(state["net"])
    opt2 = ad.optim.Adam(other.parameters(), lr=0.5)
    opt2.load_state_dict(state["opt"])
    schedule2 = ad.optim.lr_scheduler.StepLR(opt2, 2)
    schedule2.load_state_dict(state["schedule"])
    x = ad.randn(5, 3)
    for n, o, s in ((net, opt, schedule), (other, opt2, schedule2)):
        o.zero_grad()
        n(x).pow(2).sum().backward()
        o.step()
        s.step()
    for a, b in zip(net.parameters(), other.parameters()):
        assert a.tolist() == b.tolist()
    ad.set_rng_state(state["rng"])
    first = ad.randn(3).tolist()
    ad.set_rng_state(state["rng"])
    assert first == ad.randn(3).tolist()
    assert ad.randn(3, generator=g).tolist() == ad.randn(3, generator=ad.Generator().set_state(state["g"])).tolist()


def test_whole_modules_must_be_asked_for():
    net = Net()
    file = io.BytesIO()
    ad.save(net, file)
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError, match="(?s)Weights only load failed.*Unsupported global: GLOBAL .*Net"):
        ad.load(file)
    assert f"{__name__}.Net" in get_unsafe_globals_in_checkpoint(io.BytesIO(file.getvalue()))
    assert b"torch.nn.modules.linear" in file.getvalue() and b"autodiffc" not in file.getvalue()
    file.seek(0)
    again = ad.load(file, weights_only=False)
    x = ad.randn(2, 3)
    assert type(again) is Net and type(again.a) is nn.Linear and again(x).tolist() == net(x).tolist()
    assert again.tied is again.b.weight and again.count.tolist() == [0.0]
    again(x).sum().backward()
    opt = round_trip(ad.optim.SGD(net.parameters(), lr=0.1, momentum=0.9), load={"weights_only": False})
    assert type(opt) is ad.optim.SGD and opt.param_groups[0]["lr"] == 0.1


class Point:
    def __init__(self, x):
        self.x = x


def test_safe_globals():
    file = io.BytesIO()
    ad.save(Point(ad.ones(2)), file)
    name = f"{__name__}.Point"
    assert get_unsafe_globals_in_checkpoint(io.BytesIO(file.getvalue())) == [name]
    with safe_globals([Point]):
        assert get_safe_globals() == [Point]
        assert ad.load(io.BytesIO(file.getvalue())).x.tolist() == [1, 1]
        assert get_unsafe_globals_in_checkpoint(io.BytesIO(file.getvalue())) == []
    assert get_safe_globals() == []
    add_safe_globals([(Point, name)])
    assert type(ad.load(io.BytesIO(file.getvalue()))) is Point
    clear_safe_globals()
    with pytest.raises(pickle.UnpicklingError, match="add_safe_globals"):
        ad.load(io.BytesIO(file.getvalue()))


def test_functions_go_by_pytorchs_public_names():
    layer = nn.TransformerEncoderLayer(4, 2, 8)
    file = io.BytesIO()
    ad.save(layer, file)
    names = get_unsafe_globals_in_checkpoint(io.BytesIO(file.getvalue()))
    assert "torch.nn.functional.relu" in names and not [n for n in names if "_ops" in n]
    gelu = b"\x80\2ctorch._C._nn\ngelu\n."  # as PyTorch writes it
    with safe_globals([nn.TransformerEncoderLayer, nn.MultiheadAttention, nn.Linear, nn.LayerNorm, nn.Dropout, ad.relu,
                       nn.modules.linear.NonDynamicallyQuantizableLinear, nn.functional.gelu]):  # fmt: skip
        assert type(ad.load(io.BytesIO(file.getvalue()))) is nn.TransformerEncoderLayer
        assert ad.load(io.BytesIO(with_pickle(gelu))) is nn.functional.gelu
    refused(with_pickle(gelu), "torch._C._nn.gelu")


def test_files(tmp_path):
    x = ad.arange(5.0)
    for path in (tmp_path / "a.pt", str(tmp_path / "b.tar.gz")):
        ad.save({"x": x}, path)
        assert ad.load(path)["x"].tolist() == x.tolist()
        with open(path, "rb") as f:
            assert ad.load(f)["x"].tolist() == x.tolist()
    assert sorted(os.listdir(tmp_path)) == ["a.pt", "b.tar.gz"]
    names = zipfile.ZipFile(tmp_path / "a.pt").namelist()
    assert names[0] == "a/data.pkl" and "a/data/0" in names and zipfile.ZipFile(tmp_path / "a.pt").testzip() is None
    with open(tmp_path / "a.pt", "wb") as f:
        ad.save(x, f)
    with pytest.raises(FileNotFoundError):
        ad.load(tmp_path / "none.pt")
    with pytest.raises(RuntimeError, match="Parent directory .* does not exist"):
        ad.save(x, tmp_path / "none" / "a.pt")
    with pytest.raises(AttributeError, match="file-like object with a 'write'"):
        ad.save(x, 3)
    with pytest.raises(AttributeError, match="read"):
        ad.load(3)
    with pytest.raises(TypeError, match="binary"):
        ad.load(io.StringIO("text"))
    (tmp_path / "link.pt").symlink_to(tmp_path / "a.pt")
    ad.save({"y": x}, tmp_path / "link.pt")
    assert (tmp_path / "link.pt").is_symlink() and "y" in ad.load(tmp_path / "a.pt")
    ad.save(x, os.devnull)
    os.chmod(tmp_path / "a.pt", 0o600)
    ad.save(x, tmp_path / "a.pt")
    assert os.stat(tmp_path / "a.pt").st_mode & 0o777 == 0o600


def test_mapped_files(tmp_path):
    path = tmp_path / "a.pt"
    ad.save({"x": ad.arange(1000.0), "e": ad.empty(0)}, path)
    before = path.read_bytes()
    r = ad.load(path, mmap=True)
    r["x"] += 1
    assert r["x"][999] == 1000 and path.read_bytes() == before
    os.unlink(path)
    assert r["x"].sum() == 500500
    with pytest.raises(ValueError, match="file path"):
        ad.load(io.BytesIO(before), mmap=True)


def test_several_old_files_in_one():
    file = io.BytesIO()
    for k in range(3):
        ad.save({"x": ad.full((2,), k)}, file, _use_new_zipfile_serialization=False)
    file.seek(0)
    assert [ad.load(file, weights_only=k != 1)["x"][0].item() for k in range(3)] == [0, 1, 2]
    with pytest.raises(EOFError):
        ad.load(file)


def test_map_location():
    records = damaged_files.pickle_and_records(saved({"x": ad.ones(2)}))
    records["data.pkl"] = records["data.pkl"].replace(b"X\3\0\0\0cpu", b"X\6\0\0\0cuda:0")
    data = zipped(records)
    with pytest.raises(RuntimeError, match="torch.cuda.is_available\\(\\) is False"):
        ad.load(io.BytesIO(data))
    for place in ("cpu", ad.device("cpu"), {"cuda:0": "cpu"}, lambda s, where: s, lambda s, where: s.clone()):
        assert ad.load(io.BytesIO(data), map_location=place)["x"].tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="torch.cuda.is_available\\(\\) is False"):
        ad.load(io.BytesIO(data), map_location="cuda")
    with pytest.raises(RuntimeError, match="don't know how to restore data location"):
        ad.load(io.BytesIO(data), map_location="nowhere")
    with pytest.raises(TypeError, match="map_location"):
        ad.load(io.BytesIO(data), map_location=3)


def test_views_of_one_memory_in_two_dtypes_are_refused():
    x = ad.ones(4)
    with pytest.raises(RuntimeError, match="view the same data as different types"):
        ad.save([x.storage(), x.untyped_storage()], io.BytesIO())


def test_pickle_module():
    import types

    class Counted(pickle.Pickler):
        made = 0

        def __init__(self, *args, **kwargs):
            Counted.made += 1
            super().__init__(*args, **kwargs)

    module = types.ModuleType("other_pickle")
    module.Pickler, module.Unpickler = Counted, pickle.Unpickler
    file = io.BytesIO()
    ad.save({"x": ad.ones(2)}, file, pickle_module=module)
    assert Counted.made == 1
    file.seek(0)
    assert ad.load(file, pickle_module=module)["x"].tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="explicit pickle_module"):
        ad.load(file, pickle_module=module, weights_only=True)
    with pytest.raises(ValueError, match="protocol"):
        ad.save(1, file, pickle_protocol=99)


class Tagged(ad.Tensor):
    pass


def test_pickle_and_copy_of_tensors():
    x = ad.arange(6.0).reshape(2, 3)
    x.note = [1]
    tagged = ad.ones(2).as_subclass(Tagged)
    tagged.name_ = "n"
    p = nn.Parameter(ad.ones(2))
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        a, b, t, q = pickle.loads(pickle.dumps([x, x.t(), tagged, p], protocol))
        assert a.note == [1] and b.stride() == (1, 3) and a.data_ptr() == b.data_ptr()
        assert type(t) is Tagged and t.name_ == "n" and type(q) is nn.Parameter and q.requires_grad
    a, b = copy.deepcopy([x, x.t()])
    assert a.data_ptr() == b.data_ptr() != x.data_ptr() and a.note == [1] and a.note is not x.note
    assert copy.copy(x).data_ptr() == x.data_ptr()
    assert round_trip(tagged, load={"weights_only": False}).name_ == "n"
    with safe_globals([Tagged]):
        assert type(round_trip(tagged)) is Tagged
    assert round_trip(ad.ones(2, requires_grad=True) * 2).requires_grad


# ---- damaged and hostile files ----


def saved(obj, **options):
    file = io.BytesIO()
    ad.save(obj, file, **options)
    return file.getvalue()


def with_pickle(pickled, **records):
    own = {"data.pkl": pickled, "byteorder": b"little", "data/0": bytes(24), "version": b"3\n"}
    return zipped({**own, **records})


def tensor_pickle(offset=0, sizes=(2, 3), strides=(3, 1), n=6, key="0", kind=b"torch\nFloatStorage"):
    """A pickle of one tensor, of whatever geometry."""
    def ints(values):
        return b"(" + b"".join(b"\x8a\x09" + v.to_bytes(9, "little", signed=True) for v in values) + b"t"

    reference = b"(X\7\0\0\0storagec" + kind + b"\nX" + struct.pack("<I", len(key)) + key.encode() + b"X\3\0\0\0cpu"
    reference += b"\x8a\x09" + n.to_bytes(9, "little", signed=True) + b"tQ"
    return (b"\x80\2ctorch._utils\n_rebuild_tensor_v2\n(" + reference + b"\x8a\x09" + offset.to_bytes(9, "little")
            + ints(sizes) + ints(strides) + b"\x89ccollections\nOrderedDict\n)RtR.")  # fmt: skip


def refused(data, match, error=(RuntimeError, pickle.UnpicklingError, EOFError)):
    with pytest.raises(error, match=match):
        ad.load(io.BytesIO(data))


def test_geometry_outside_of_the_storage():
    assert ad.load(io.BytesIO(with_pickle(tensor_pickle()))).shape == (2, 3)
    refused(with_pickle(tensor_pickle(offset=1)), "out of bounds")
    refused(with_pickle(tensor_pickle(sizes=(3, 3))), "out of bounds")
    refused(with_pickle(tensor_pickle(strides=(3, -1))), "strides")
    refused(with_pickle(tensor_pickle(sizes=(-2, 3))), "negative dimension")
    refused(with_pickle(tensor_pickle(sizes=(1 << 62, 1 << 62), strides=(0, 0))), "overflow")
    refused(with_pickle(tensor_pickle(sizes=(1 << 63, 3))), "64-bit")
    refused(with_pickle(tensor_pickle(strides=(1 << 62, 1))), "overflow|bounds")
    refused(with_pickle(tensor_pickle(sizes=(2,), strides=(1, 1))), "strides")
    refused(with_pickle(tensor_pickle(sizes=(1,) * 65, strides=(1,) * 65)), "dimensions")
    refused(with_pickle(tensor_pickle(n=7)), "has 24 bytes")
    refused(with_pickle(tensor_pickle(n=1 << 60)), "has 24 bytes")
    refused(with_pickle(tensor_pickle(n=-1)), "size")
    refused(with_pickle(tensor_pickle(key="1")), "no record")
    refused(with_pickle(tensor_pickle(key="../../etc/passwd")), "no record")
    refused(with_pickle(tensor_pickle(kind=b"torch\nfloat32")), "storage")


@pytest.mark.parametrize(
    "pickled, match",
    [
        (b"\x80\2cos\nsystem\nX\4\0\0\0true\x85R.", "Unsupported global: GLOBAL os.system"),
        (b"\x80\2cbuiltins\neval\nX\1\0\0\0001\x85R.", "builtins.eval"),
        (b"\x80\2ctorch.nn.modules.module\n__builtins__\n.", "__builtins__"),
        (b"\x80\2ctorch._utils\n_rebuild_tensor_v2.__globals__\n.", "__globals__"),
        (b"\x80\2ios\nsystem\n.", "opcode"),
        (b"\x80\2\x82\1.", "opcode"),
        (b"\x80\2ctorch\nTensor\n)\x81.", "called"),
        (b"\x80\2ctorch\nTensor\n}X\1\0\0\0dK\1sb.", "attributes are set"),
        (b"\x80\2ccollections\nOrderedDict\n)R}X\5\0\0\0itemsK\1sb.", "attributes"),
        (b"\x80\2B\xff\xff\xff\x7f.", "2147483647 bytes"),
        (b"\x80\5\x96\0\0\0\0\0\0\1\0.", "281474976710656 bytes"),
        (b"\x80\4\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.", "frame"),
        (b"\x80\2Nr\xff\xff\xff\x7f0j\xff\xff\xff\x7e.", "KeyError"),
        (b"\x80\2cbuiltins\nbytearray\n\x8a\5\0\0\0\0\1\x85R.", "bytearray"),
        (b"\x80\2" + b")" + b"\x85" * 5000 + b"q\0}h\0K\1s.", "nested too deeply"),
        (b"\x80\2}]K\1s.", "unhashable"),
        (b"\x80\2K\1K\2.", "2 objects"),
        (b"\x80\2(.", "mark"),
        (b"\x80\2ctorch._utils\n_rebuild_tensor_v2\n.", "function"),
        (b"\x80\xff.", "protocol"),
        (b"\x80\2", "cut off"),
        (b"", "cut off"),
        (b"\x80\2NQ.", "reference"),
        (b"\x80\2X\7\0\0\0storage\x85Q.", "reference"),
        (b"\x80\2cbuiltins\nset\n]]a\x85R.", "unhashable"),
    ],
)
def test_hostile_pickles(pickled, match):
    refused(with_pickle(pickled), match)


def test_copies_of_copies_are_counted():
    """b'...' of one long text, a hundred thousand times, from a file of a megabyte."""
    text = b"a" * (1 << 19)
    one = b"c_codecs\nencode\nq\0" + b"X" + struct.pack("<I", len(text)) + text + b"X\6\0\0\0latin1\x86q\1R0"
    refused(with_pickle(b"\x80\2" + one + b"h\0h\1R0" * 100_000 + b"N."), "more memory")


def test_a_deep_list_loads_and_goes():
    n = 200_000
    ad.load(io.BytesIO(with_pickle(b"\x80\2" + b"]" * n + b"a" * (n - 1) + b".")))


def compressed(obj):
    data = saved(obj)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as z, zipfile.ZipFile(io.BytesIO(data)) as old:
        for name in old.namelist():
            z.writestr(name, old.read(name))
    return file.getvalue()


def test_zip_files():
    good = saved({"x": ad.arange(100.0)})
    refused(compressed({"x": ad.zeros(1 << 20)}), "compressed")
    for n in (0, 1, 3):
        refused(good[:n], None)
    for n in range(4, len(good), 97):
        refused(good[:n], "damaged checkpoint")
    refused(b"PK\3\4 garbage", "zip archive")
    at = good.index(b"data/0") + 200
    refused(good[:at] + b"\1" + good[at + 1 :], "checksum")
    # a directory whose entries all lead to one record, and one that says more than there is
    entry = good.rindex(b"PK\1\2archive".replace(b"archive", b""))
    for field, value in ((16 + 4, 1 << 31), (24, 1 << 31), (42, 0), (42, 1 << 31)):
        at = entry + field
        refused(good[:at] + struct.pack("<I", value) + good[at + 4 :], "damaged checkpoint|compressed")
    records = damaged_files.pickle_and_records(good)
    refused(zipped({**records, "byteorder": b"middle"}), "byte order")
    refused(zipped({**records, "constants.pkl": b""}), "TorchScript")
    del records["data.pkl"]
    refused(zipped(records), "no record 'archive/data.pkl'")


def test_large_zip_files_are_written_with_64_bits(monkeypatch):
    monkeypatch.setattr(_archive, "_MAX32", 100)
    data = saved({"x": ad.arange(100.0)})
    assert ad.load(io.BytesIO(data))["x"].sum() == 4950


def test_other_byte_order():
    records = damaged_files.pickle_and_records(saved({"x": ad.arange(3.0), "i": ad.tensor([1, 2], dtype=ad.int16)}))
    order = {"little": "big", "big": "little"}[sys.byteorder]
    keys = sorted(k for k in records if k.startswith("data/"))
    for key, kind in zip(keys, ("f4", "i2")):
        records[key] = np.frombuffer(records[key], kind).byteswap().tobytes()
    r = ad.load(io.BytesIO(zipped({**records, "byteorder": order.encode()})))
    assert r["x"].tolist() == [0, 1, 2] and r["i"].tolist() == [1, 2]


def test_old_files():
    good = saved({"x": ad.arange(6.0)}, _use_new_zipfile_serialization=False)
    for n in range(0, len(good), 7):
        refused(good[:n], None, (RuntimeError, pickle.UnpicklingError, EOFError))
    huge = good.replace(b"cpuq", b"cpuq")
    at = huge.index(b"K\6N")
    refused(huge[:at] + b"\x8a\6\0\0\0\0\0\1N" + huge[at + 3 :], "larger than the file")
    refused(b"hello world", None)
    refused(pickle.dumps({"a": 1}), "no checkpoint")
    refused(b"\0" * 257 + b"ustar" + b"\0" * 300, "tar format")


def test_random_damage():
    counts = damaged_files.run(600)
    assert sum(counts.values()) == 600 and counts["loaded"] > 20 and counts["UnpicklingError"] > 100


def test_random_damage_with_little_memory():
    done = child.run("-m", "tests.damaged_files", "400", "7")
    assert done.returncode == 0 and done.stdout.startswith("400 files"), done.stderr[-2000:]


def test_a_kill_while_saving_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.pt"
    ad.save({"x": ad.zeros(10)}, path)
    code = ("import sys, autodiffc as ad\nx = ad.ones(1 << 22)\nprint('go', flush=True)\n"
            "while True: ad.save({'x': x, 'y': x + 1}, sys.argv[1])")  # fmt: skip
    for delay in (0.0, 0.013, 0.031):
        process = child.start("-c", code, str(path))
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        process.stderr.close()
        assert set(ad.load(path)) in ({"x"}, {"x", "y"})


def test_errors_while_saving_leave_the_old_file(tmp_path):
    path = tmp_path / "model.pt"
    ad.save({"x": ad.zeros(10)}, path)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        ad.save({"x": ad.zeros(10), "f": lambda: 0}, path)
    assert os.listdir(tmp_path) == ["model.pt"] and set(ad.load(path)) == {"x"}
