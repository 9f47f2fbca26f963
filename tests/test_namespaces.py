"""Namespaces of devices and processes that are not there answer as a PyTorch for the CPU does."""

import ast
import contextlib
import datetime
import functools
import gzip
import hashlib
import http.server
import io
import json
import os
import pathlib
import textwrap
import threading
import urllib.error
import warnings

import numpy as np
import pytest

import autodiffc as T
from autodiffc import nn

from . import child

NO_CUDA = "Torch not compiled with CUDA enabled"


# ---- devices ----


def test_cuda_is_not_there():
    assert T.cuda.is_available() is False and T.cuda.device_count() == 0 and not T.cuda.is_initialized()
    assert T.cuda.manual_seed(1) is None and T.cuda.manual_seed_all(1) is None and T.cuda.empty_cache() is None
    assert T.cuda.max_memory_allocated() == 0 and T.cuda.get_rng_state_all() == [] and not T.cuda.is_bf16_supported()
    for call in (T.cuda.current_device, T.cuda.synchronize, T.cuda.get_device_name, T.cuda.init, T.cuda.get_rng_state):
        with pytest.raises(AssertionError, match=NO_CUDA):
            call()
    with pytest.raises(AssertionError, match=NO_CUDA):
        T.cuda.set_device(0)
    with pytest.raises(ValueError, match="Expected a cuda device, but got: cpu"):
        T.cuda.set_device("cpu")
    T.cuda.set_device(-1)
    with T.cuda.device(-1), T.cuda.stream(None):
        pass
    for call in (T.cuda.Event, T.cuda.Stream):
        with pytest.raises(RuntimeError):
            call()
    with pytest.raises(TypeError, match="type torch.cuda.FloatTensor not available"):
        T.cuda.FloatTensor(2)
    assert not isinstance(T.ones(1), T.cuda.FloatTensor)


@pytest.mark.parametrize("move", [lambda: T.ones(1).cuda(), lambda: T.ones(1).to("cuda"),
                                  lambda: T.ones(1).to(T.device("cuda:0")), lambda: nn.Linear(1, 1).cuda(),
                                  lambda: nn.Linear(1, 1).to("cuda"), lambda: T.zeros(1, device="cuda"),
                                  lambda: nn.Linear(1, 1, device="cuda"), lambda: T.tensor([1], device="cuda")])
def test_moving_to_cuda_raises_pytorchs_error(move):
    with pytest.raises(AssertionError, match=NO_CUDA):
        move()


def test_other_devices():
    assert not T.backends.mps.is_available() and not T.backends.mps.is_built() and not T.mps.is_available()
    assert not T.xpu.is_available() and T.xpu.device_count() == 0 and T.cpu.is_available()
    assert not T.accelerator.is_available() and T.accelerator.current_accelerator() is None
    assert T.accelerator.device_count() == 0
    for call, error in ((T.mps.synchronize, RuntimeError), (T.xpu.synchronize, AssertionError),
                        (T.accelerator.synchronize, RuntimeError), (T.accelerator.current_device_index, RuntimeError)):
        with pytest.raises(error):
            call()
    with pytest.raises(RuntimeError, match="mps"):
        T.ones(1).to("mps")
    device = T.accelerator.current_accelerator() if T.accelerator.is_available() else T.device("cpu")
    assert T.ones(1, device=device).device.type == "cpu"


def test_backends_settings_are_remembered():
    cudnn = T.backends.cudnn
    before = cudnn.benchmark
    cudnn.benchmark, cudnn.deterministic = True, True
    T.backends.cuda.matmul.allow_tf32 = True
    with cudnn.flags(enabled=False, benchmark=False):
        assert not cudnn.enabled and not cudnn.benchmark
    assert cudnn.enabled and cudnn.benchmark and cudnn.version() is None and not cudnn.is_available()
    cudnn.benchmark = before
    assert T.backends.cpu.get_cpu_capability() in ("AVX512", "AVX2", "NEON", "DEFAULT")
    T.backends.cuda.enable_flash_sdp(False)
    assert not T.backends.cuda.flash_sdp_enabled()
    T.backends.cuda.enable_flash_sdp(True)


def test_settings():
    T.set_float32_matmul_precision("high")
    assert T.get_float32_matmul_precision() == "high"
    with pytest.warns(UserWarning, match="no effect"):
        T.set_float32_matmul_precision("x")
    T.use_deterministic_algorithms(True, warn_only=True)
    assert T.are_deterministic_algorithms_enabled() and T.get_deterministic_debug_mode() == 1
    T.use_deterministic_algorithms(False)
    T.set_default_device("cpu")
    assert T.get_default_device() == T.device("cpu")
    with pytest.raises(AssertionError, match=NO_CUDA):
        T.set_default_device("cuda")
    T.set_default_tensor_type(T.DoubleTensor)
    assert T.ones(1).dtype is T.float64
    T.set_default_tensor_type("torch.FloatTensor")
    with pytest.raises(TypeError, match="torch.cuda.FloatTensor not available"):
        T.set_default_tensor_type("torch.cuda.FloatTensor")


def test_version():
    v = T.__version__
    assert v.startswith("2.13.0+") and v >= "2.6" and v > (1, 13) and v < "3" and not v < "2.13" and v == (2, 13)
    assert v.split("+")[0] == "2.13.0" and tuple(int(x) for x in v.split(".")[:2]) == (2, 13)
    assert T.version.cuda is None and T.version.__version__ == v and v != "2.12.0"


# ---- older constructors, constants ----


def test_constants_and_older_constructors():
    assert T.pi == np.pi and T.inf == np.inf and np.isnan(T.nan) and T.e == np.e and T.newaxis is None
    x = T.ones(2, 3, dtype=T.int32)
    assert x.new(2, 2).dtype is T.int32 and x.new([1, 2]).tolist() == [1, 2] and x.new().shape == (0,)
    assert x.new(T.Size([2, 1])).shape == (2, 1)
    with pytest.raises(TypeError, match="data must be a sequence"):
        x.new(2.5)
    with pytest.warns(UserWarning, match="non-inplace resize"):
        assert x.resize(3, 2).shape == (3, 2)
    with pytest.raises(RuntimeError, match="requested resize to 7"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x.resize(7)
    assert x.type() == "torch.IntTensor" and x.type(T.DoubleTensor).dtype is T.float64
    with pytest.raises(RuntimeError, match="CUDA"):
        x.type("torch.cuda.FloatTensor")
    assert nn.modules.utils._pair(3) == (3, 3) and nn.modules.utils._triple((1, 2, 3)) == (1, 2, 3)


# ---- wrappers ----


def test_data_parallel_runs_the_module():
    net = nn.DataParallel(nn.Linear(2, 3))
    assert list(net.state_dict()) == ["module.weight", "module.bias"] and net.device_ids == []
    x = T.ones(1, 2)
    assert T.equal(net(x), net.module(x)) and T.equal(nn.parallel.data_parallel(net.module, x), net(x))


@pytest.fixture
def group():
    T.distributed.init_process_group("gloo", init_method="tcp://127.0.0.1:1", world_size=1, rank=0)
    yield T.distributed
    T.distributed.destroy_process_group()


def test_a_group_of_one_process(group):
    assert group.is_available() and group.is_initialized() and group.get_rank() == 0 and group.get_world_size() == 1
    x, parts = T.ones(2), [T.zeros(2)]
    assert group.all_reduce(x) is None and group.all_reduce(x, async_op=True).wait()
    group.all_gather(parts, x)
    group.broadcast(x, src=0)
    group.barrier()
    assert parts[0].tolist() == [1, 1] and group.get_backend() == "gloo"
    objects = [None]
    group.all_gather_object(objects, "a")
    assert objects == ["a"]
    net = nn.parallel.DistributedDataParallel(nn.Linear(2, 1))
    with net.no_sync():
        net(T.ones(1, 2)).sum().backward()
    assert net.module.weight.grad.tolist() == [[1, 1]] and "module.weight" in net.state_dict()
    with pytest.raises(ValueError, match="1 is not in"):
        group.send(x, 1)
    with pytest.raises(ValueError, match="twice"):
        group.init_process_group("gloo", world_size=1, rank=0)


def test_without_a_group(monkeypatch):
    for call in (T.distributed.get_rank, T.distributed.get_world_size, T.distributed.barrier,
                 lambda: T.distributed.all_reduce(T.ones(1)),
                 lambda: nn.parallel.DistributedDataParallel(nn.Linear(1, 1))):
        with pytest.raises(ValueError, match="Default process group has not been initialized"):
            call()
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="environment variable RANK expected"):
        T.distributed.init_process_group("gloo")
    with pytest.raises(ValueError, match="environment variable MASTER_ADDR expected"):
        T.distributed.init_process_group("gloo", world_size=4, rank=0)
    with pytest.raises(RuntimeError, match="doesn't have NCCL built in"):
        T.distributed.init_process_group("nccl", world_size=1, rank=0)
    with pytest.raises(ValueError, match="rank 3 of a world of 2"):
        T.distributed.init_process_group("gloo", world_size=2, rank=3)
    with pytest.raises(RuntimeError, match="No rendezvous handler"):
        T.distributed.init_process_group("gloo", "http://x", world_size=2, rank=0)
    with pytest.raises(RuntimeError, match="only 1 of 2 processes"):
        T.distributed.init_process_group("gloo", "tcp://127.0.0.1:0", world_size=2, rank=0,
                                         timeout=datetime.timedelta(seconds=0.2))
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    T.distributed.init_process_group()
    T.distributed.destroy_process_group()
    assert not T.distributed.is_initialized()


DISTRIBUTED = """
    import sys
    import autodiffc as torch, autodiffc.distributed as dist, autodiffc.multiprocessing as mp
    from autodiffc import nn
    from autodiffc.nn.parallel import DistributedDataParallel as DDP

    def collectives(rank, world):
        x, y = torch.full((3,), rank + 1.0), torch.arange(2.0) * rank
        dist.all_reduce(x)
        dist.broadcast(y, src=1)
        half = torch.ones(2, dtype=torch.bfloat16) * rank
        dist.all_reduce(half, op=dist.ReduceOp.AVG)
        whole, part = torch.zeros(world, dtype=torch.int64), torch.zeros(1)
        dist.all_gather_into_tensor(whole, torch.tensor([rank]))
        dist.reduce_scatter(part, [torch.tensor([k + rank * 10.0]) for k in range(world)])
        top = torch.tensor([float(rank)])
        dist.reduce(top, dst=0, op=dist.ReduceOp.MAX)
        mine = torch.zeros(1)
        dist.scatter(mine, [torch.tensor([k * 10.0]) for k in range(world)] if rank == 0 else None, src=0)
        parts = [torch.zeros(1) for _ in range(world)]
        dist.all_to_all(parts, [torch.tensor([rank * 10.0 + k]) for k in range(world)])
        pair, got = dist.new_group([0, 2]), torch.zeros(1)
        if rank in (0, 2):
            got += 1
            dist.all_reduce(got, group=pair)
        to, frm, ring = (rank + 1) % world, (rank - 1) % world, torch.zeros(1)
        for work in dist.batch_isend_irecv([dist.P2POp(dist.isend, torch.tensor([float(rank)]), to),
                                            dist.P2POp(dist.irecv, ring, frm)]):
            work.wait()
        objects = [None] * world
        dist.all_gather_object(objects, {"rank": rank})
        return [x[0], y[1], half[0], whole.tolist(), part, top if rank == 0 else None, mine,
                [p.item() for p in parts], got, ring, [o["rank"] for o in objects]]

    def training(rank, world):
        torch.manual_seed(rank)
        net = DDP(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)))
        opt, g = torch.optim.SGD(net.parameters(), 0.1), torch.Generator().manual_seed(rank)
        for k in range(3):
            opt.zero_grad()
            with net.no_sync():
                net(torch.randn(4, 2, generator=g)).pow(2).mean().backward()
            net(torch.randn(4, 2, generator=g)).pow(2).mean().backward()
            opt.step()
        same = [None] * world
        dist.all_gather_object(same, net.module[0].weight.tolist())
        two = DDP(nn.ModuleList([nn.Linear(1, 1, bias=False) for _ in range(3)]), find_unused_parameters=True)
        two.module.forward = lambda x: two.module[min(rank, 1)](x)
        two(torch.ones(1, 1)).sum().backward()
        lazy = DDP(nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)]))
        lazy.module.forward = lambda x: lazy.module[0](x)
        lazy(torch.ones(1, 1)).sum().backward()
        try:
            lazy(torch.ones(1, 1))
        except RuntimeError as e:
            said = "1.weight, 1.bias" in str(e)
        grads = [m.weight.grad for m in two.module]
        return [all(s == same[0] for s in same), said, grads[0], grads[1], grads[2]]

    def work(rank, world, where, queue):
        dist.init_process_group("gloo", init_method=where, rank=rank, world_size=world)
        rows = collectives(rank, world) + training(rank, world)
        queue.put((rank, [r.item() if isinstance(r, torch.Tensor) else r for r in rows]))
        dist.barrier()
        dist.destroy_process_group()

    if __name__ == "__main__":
        queue = mp.get_context("spawn").SimpleQueue()
        mp.spawn(work, args=(3, sys.argv[1], queue), nprocs=3)
        for row in sorted(queue.get() for _ in range(3)):
            print(row)
"""


def test_several_processes(tmp_path):
    script = tmp_path / "work.py"
    script.write_text(textwrap.dedent(DISTRIBUTED))
    done = child.run(str(script), f"file://{tmp_path}/meet")
    assert done.returncode == 0, done.stderr
    rows = [ast.literal_eval(line) for line in done.stdout.splitlines()]
    for rank, row in rows:
        to_all = [float(10 * k + rank) for k in range(3)]
        assert row[:5] == [6.0, 1.0, 1.0, [0, 1, 2], 3 * rank + 30.0]
        assert row[5:8] == [2.0 if rank == 0 else None, rank * 10.0, to_all]
        assert row[8:11] == [0.0 if rank == 1 else 2.0, (rank - 1) % 3, [0, 1, 2]]
        assert row[11:13] == [True, True] and row[13] == pytest.approx(1 / 3) and row[14] == pytest.approx(2 / 3)
        assert row[15] is None


def test_jit_returns_what_it_is_given():
    @T.jit.script
    def f(x):
        return x + 1

    class Net(T.jit.ScriptModule):
        __constants__ = ["n"]

        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        @T.jit.script_method
        def forward(self, x):
            return self.helper(self.layer(x))

        @T.jit.ignore
        def helper(self, x):
            return x

        @T.jit.unused
        def other(self):
            return 1

    assert f(T.ones(1)).item() == 2 and Net()(T.ones(1, 2)).shape == (1, 2)
    net = nn.Linear(2, 2)
    assert T.jit.trace(net, T.ones(1, 2)) is net and T.jit.script(net) is net and not T.jit.is_scripting()
    with pytest.raises(NotImplementedError, match="torch.jit.save is not supported"):
        T.jit.save(net, "x.pt")


def test_hub_from_a_folder(tmp_path):
    (tmp_path / "hubconf.py").write_text("from helper import make\ndef net(n, scale=1):\n    'A net.'\n"
                                         "    return make(n) * scale\n")
    (tmp_path / "helper.py").write_text("make = int\n")
    assert T.hub.load(str(tmp_path), "net", 2, source="local", scale=3) == 6
    with pytest.raises(NotImplementedError, match="source='local'"):
        T.hub.load("no/such", "net")
    with pytest.raises(ValueError, match="Unknown source"):
        T.hub.load("no/such", "net", source="x")
    T.save({"a": T.ones(2)}, tmp_path / "net.pth")
    assert T.utils.model_zoo.load_url("https://x.y/net.pth?z=1", str(tmp_path))["a"].tolist() == [1, 1]


def test_hub_downloads(tmp_path, capsys):
    source, folder = tmp_path / "there", tmp_path / "here"
    source.mkdir()
    folder.mkdir()
    T.save({"a": T.arange(3)}, source / "net.pth")
    data = (source / "net.pth").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    url = (source / "net.pth").as_uri()
    T.hub.download_url_to_file(url, str(folder / "x"), digest[:8], progress=False)
    assert (folder / "x").read_bytes() == data
    with pytest.raises(RuntimeError, match="invalid hash value"):
        T.hub.download_url_to_file(url, str(folder / "y"), "0" * 8, progress=False)
    with pytest.raises(urllib.error.URLError):
        T.hub.download_url_to_file(url + "no", str(folder / "y"), progress=False)
    assert os.listdir(folder) == ["x"]
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(source))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        named = f"http://127.0.0.1:{server.server_port}/net.pth"
        got = T.hub.load_state_dict_from_url(named, str(folder), file_name=f"net-{digest[:8]}.pth", check_hash=True)
        server.shutdown()
    assert got["a"].tolist() == [0, 1, 2] and "Downloading" in capsys.readouterr().err
    assert T.hub.load_state_dict_from_url("https://x.y/z", str(folder), file_name=f"net-{digest[:8]}.pth")["a"][2] == 2


def test_attention_kernels():
    from autodiffc.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel([SDPBackend.MATH, SDPBackend.FLASH_ATTENTION]):
        pass
    with pytest.raises(AssertionError), sdpa_kernel("math"):
        pass


# ---- several processes ----


WORK = """
    import sys
    import autodiffc as torch
    import autodiffc.multiprocessing as mp
    from autodiffc import nn

    def add(rank, model, queue, given):
        with torch.no_grad():
            model.weight.add_(rank + 1)
        given.fill_(7)
        queue.put((rank, torch.full((2,), float(rank))))

    def fail(rank):
        if rank == 1:
            raise ValueError("inside")

    def leave(rank):
        sys.exit(3)

    if __name__ == "__main__":
        model = nn.Linear(1, 1, bias=False)
        with torch.no_grad():
            model.weight.zero_()
        assert not model.weight.is_shared() and model.share_memory() is model and model.weight.is_shared()
        queue = mp.get_context(sys.argv[1]).SimpleQueue()
        plain = torch.zeros(2)
        mp.start_processes(add, (model, queue, plain), nprocs=2, start_method=sys.argv[1])
        got = sorted((queue.get() for _ in range(2)), key=lambda r: r[0])
        print(model.weight.item(), [t.tolist() for _, t in got], plain.tolist())
        queue.put(model.weight)
        same = queue.get()
        same.data.fill_(9)
        print(model.weight.item(), type(same).__name__, same.requires_grad)
        for target, kind in ((fail, mp.ProcessRaisedException), (leave, mp.ProcessExitedException)):
            try:
                mp.spawn(target, nprocs=2)
            except kind as e:
                print(kind.__name__, "ValueError: inside" in str(e), getattr(e, "exit_code", None))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_tensors_in_several_processes(tmp_path, method):
    script = tmp_path / "work.py"
    script.write_text(textwrap.dedent(WORK))
    done = child.run(str(script), method)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "3.0 [[0.0, 0.0], [1.0, 1.0]] [0.0, 0.0]"
    assert lines[1] == "9.0 Parameter True"
    assert lines[2:] == ["ProcessRaisedException True None", "ProcessExitedException False 3"]


def test_share_memory_keeps_values_and_refuses_what_was_computed():
    x = T.arange(6.0).reshape(2, 3).t()
    assert x.share_memory_() is x and x.is_shared() and x.tolist() == [[0, 3], [1, 4], [2, 5]]
    x.add_(1)
    assert x[0, 0] == 1 and x.stride() == (1, 3)
    from autodiffc.multiprocessing.reductions import reduce_tensor

    with pytest.raises(RuntimeError, match="non-leaf tensor"):
        reduce_tensor(T.ones(1, requires_grad=True) * 2)
    empty = T.zeros(0, 3).share_memory_()
    assert empty.shape == (0, 3)


def test_multiprocessing_has_pythons_names():
    import autodiffc.multiprocessing as mp

    assert mp.cpu_count() >= 1 and mp.get_context("spawn").Process and mp.current_process().name
    assert mp.get_sharing_strategy() == "file_descriptor"
    mp.set_sharing_strategy("file_system")


# ---- autocast, GradScaler ----


def test_autocast_casts_what_pytorch_casts():
    x, layer = T.randn(4, 3), nn.Linear(3, 2)
    with T.autocast("cpu"):
        y = layer(x)
        assert y.dtype is T.bfloat16 and (x @ x.t()).dtype is T.bfloat16 and (x + x).dtype is T.float32
        assert nn.functional.softmax(y, -1).dtype is T.bfloat16 and (x.double() @ x.double().t()).dtype is T.float64
        loss = nn.functional.cross_entropy(y, T.tensor([0, 1, 0, 1]))
        assert loss.dtype is T.float32 and T.is_autocast_enabled("cpu")
        with T.autocast("cpu", enabled=False):
            assert layer(x).dtype is T.float32
        with T.autocast("cpu", dtype=T.float16):
            assert layer(x).dtype is T.float16
        assert layer(x).dtype is T.bfloat16
    loss.backward()
    assert layer.weight.grad.dtype is T.float32 and layer(x).dtype is T.float32
    np.testing.assert_allclose(y.detach().float().numpy(), layer(x).detach().numpy(), atol=0.05)
    assert T.autocast("cpu")(lambda: layer(x))().dtype is T.bfloat16 and not T.is_autocast_enabled("cpu")


def test_autocast_of_devices_that_are_not_there():
    with pytest.warns(UserWarning, match="CUDA is not available"), T.autocast("cuda"):
        assert nn.Linear(1, 1)(T.ones(1, 1)).dtype is T.float32
    with pytest.warns(FutureWarning):
        T.cuda.amp.autocast(enabled=False)
    with pytest.warns(UserWarning, match="target dtype is not supported"):
        T.autocast("cpu", dtype=T.float32)
    with pytest.raises(ValueError, match="of type `str`"):
        T.autocast(T.device("cpu"))
    with pytest.raises(RuntimeError):
        T.autocast("no_such_device")


def test_grad_scaler():
    p = nn.Parameter(T.ones(2))
    opt = T.optim.SGD([p], 0.5)
    scaler = T.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2)
    for k, factor in enumerate((1.0, float("inf"), 1.0, 1.0)):
        opt.zero_grad()
        scaler.scale((p * factor).sum()).backward()
        if k == 2:
            scaler.unscale_(opt)
            assert p.grad.tolist() == [1, 1]
        scaler.step(opt)
        scaler.update()
    assert p.tolist() == [-0.5, -0.5] and scaler.get_scale() == 4.0
    state = scaler.state_dict()
    assert state["scale"] == 4.0 and state["_growth_tracker"] == 0
    other = T.amp.GradScaler("cpu")
    other.load_state_dict(state)
    assert other.get_scale() == 4.0
    with pytest.raises(AssertionError, match="_scale is None"):
        T.amp.GradScaler("cpu").step(opt)
    with pytest.warns(UserWarning, match="Disabling"):
        off = T.amp.GradScaler()
    assert not off.is_enabled() and off.scale(p) is p and off.get_scale() == 1.0 and off.state_dict() == {}
    off.step(opt)
    off.update()


# ---- profiler ----


def test_profiler(tmp_path):
    from autodiffc.profiler import ProfilerActivity, profile, record_function

    layer = nn.Linear(8, 8)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as prof, record_function("a range"):
        for _ in range(3):
            layer(T.ones(4, 8)).tanh().sum().backward()
    events = {e.key: e for e in prof.key_averages()}
    assert events["aten::linear"].count == events["aten::tanh"].count == 3 and events["a range"].count == 1
    assert all(0 <= e.self_cpu_time_total <= e.cpu_time_total for e in events.values())
    table = prof.key_averages(group_by_input_shape=True).table(sort_by="cpu_time_total", row_limit=2)
    assert "Self CPU %" in table and len(table.splitlines()) == 7
    with pytest.raises(AttributeError, match="no_such"):
        prof.key_averages().table(sort_by="no_such")
    prof.export_chrome_trace(str(tmp_path / "trace.json"))
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    before = prof.key_averages()
    layer(T.ones(4, 8))
    assert {e.key: e.count for e in before} == {e.key: e.count for e in prof.key_averages()}


def test_profiler_tells_shapes_memory_and_stacks(tmp_path):
    from autodiffc.profiler import profile, record_function

    x, y = T.ones(16, 8), T.ones(8, 4)
    with profile(record_shapes=True, profile_memory=True, with_stack=True) as prof, record_function("outer"):
        kept = x @ y
        x[:2] @ y
        del x
        other = threading.Thread(target=lambda: y.exp())
        other.start()
        other.join()
    products = [e for e in prof.events() if e.key == "aten::mm"]
    assert [e.input_shapes for e in products] == [[[16, 8], [8, 4]], [[2, 8], [8, 4]]]
    assert products[0].cpu_memory_usage >= kept.nbytes and products[0].time_range.elapsed_us() > 0
    assert products[0].cpu_parent.key == "outer" and products[0].thread == threading.get_ident()
    assert "test_profiler_tells" in products[0].stack[0]
    assert next(e for e in prof.events() if e.key == "aten::exp").thread == other.ident
    assert all(0 <= e.self_cpu_time_total <= e.cpu_time_total for e in prof.events())
    shapes = [e.input_shapes for e in prof.key_averages(group_by_input_shape=True) if e.key == "aten::mm"]
    assert len(shapes) == 2 and prof.key_averages()[0].input_shapes == ()
    table = prof.key_averages(group_by_input_shape=True, group_by_stack_n=2).table(sort_by="self_cpu_memory_usage")
    assert all(name in table for name in ("Input Shapes", "CPU Mem", "Source Location", "[[16, 8], [8, 4]]"))
    prof.export_chrome_trace(str(tmp_path / "trace.json.gz"))
    with gzip.open(tmp_path / "trace.json.gz") as f:
        found = [e for e in json.load(f)["traceEvents"] if e["name"] == "aten::mm"]
    assert found[0]["args"]["Input Dims"] == [[16, 8], [8, 4]] and found[0]["dur"] > 0 and found[0]["ts"] > 0
    prof.export_stacks(str(tmp_path / "stacks.txt"))
    with profile() as plain:
        y.exp()
    assert plain.events()[0].input_shapes == () and "Mem" not in plain.key_averages().table()


def test_profiler_schedule():
    from autodiffc.profiler import ProfilerAction as A
    from autodiffc.profiler import profile, schedule

    plan = schedule(wait=1, warmup=1, active=2, repeat=1, skip_first=1)
    assert [plan(k) for k in range(6)] == [A.NONE, A.NONE, A.WARMUP, A.RECORD, A.RECORD_AND_SAVE, A.NONE]
    seen = []
    with profile(schedule=plan, on_trace_ready=lambda p: seen.append((p.step_num, p.key_averages()))) as prof:
        for _ in range(7):
            T.ones(3).exp()
            prof.step()
    assert [n for n, _ in seen] == [4] and {e.key: e.count for e in seen[0][1]}["aten::exp"] == 2


def test_older_profiler_prints_its_table():
    with T.autograd.profiler.profile(use_cuda=False) as prof:
        T.ones(3).exp()
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        print(prof)
    assert "aten::exp" in text.getvalue()


# ---- testing ----


def test_assert_close():
    close = T.testing.assert_close
    close(T.ones(2), T.ones(2) + 1e-7)
    close({"a": [1, T.ones(1)]}, {"a": [1, T.ones(1)]})
    close(T.tensor([np.nan]), T.tensor([np.nan]), equal_nan=True)
    close(1.0, 1.0 + 1e-9)
    for a, b, text in ((T.ones(2), T.tensor([1, 1.1]), r"Mismatched elements: 1 / 2 \(50.0%\)"),
                       (T.ones(2), T.ones(3), "'shape' do not match"),
                       (T.ones(2), T.ones(2).double(), "'dtype' do not"),
                       ([1, 2], [1, 3], r"Expected 3 but got 2(.|\n)*item \[1\]"), ({"a": 1}, {"b": 1}, "Missing keys"),
                       (T.tensor([1]), T.tensor([2]), "not equal"), ([T.ones(1)], [], "length of the sequences"),
                       (T.tensor(1.0), T.tensor(2.0), "Scalars are not close")):
        with pytest.raises(AssertionError, match=text):
            close(a, b)
    with pytest.raises(TypeError, match="No comparison pair"):
        close(T.ones(2), [1, 1])
    with pytest.raises(AssertionError, match="mine"):
        close(1, 2, msg=lambda m: "mine " + m)
    close(T.ones(2), T.ones(2).double(), check_dtype=False)
    T.testing.assert_allclose(T.ones(2), [1, 1])
    made = T.testing.make_tensor((3, 4), dtype=T.float32, device="cpu", low=0, high=1, requires_grad=True)
    assert made.shape == (3, 4) and made.requires_grad and 0 <= made.min() and made.max() <= 1


# ---- tensorboard ----


def test_summary_writer(tmp_path):
    pytest.importorskip("tensorboardX")
    from autodiffc.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as w:
        w.add_scalar("loss", T.tensor(0.5, requires_grad=True), 1)
        w.add_scalars("both", {"a": T.tensor(1.0), "b": 2.0}, 1)
        w.add_histogram("weights", T.randn(10), 1)
        w.add_image("picture", T.rand(3, 4, 4), 1)
        w.add_text("text", "words", 1)
        assert w.log_dir == str(tmp_path)
    assert sum(p.stat().st_size for p in pathlib.Path(tmp_path).rglob("*tfevents*")) > 300


def test_summary_writer_says_what_it_needs(tmp_path):
    (tmp_path / "tensorboardX.py").write_text("raise ImportError('not here')\n")
    done = child.run("-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import autodiffc.utils.tensorboard")
    assert done.returncode == 1 and "pip install tensorboardX" in done.stderr


def test_flat_tensors():
    from autodiffc._utils import _flatten_dense_tensors, _unflatten_dense_tensors

    parts = [T.ones(2, 2), T.zeros(3)]
    flat = _flatten_dense_tensors(parts)
    assert flat.shape == (7,) and [p.shape for p in _unflatten_dense_tensors(flat, parts)] == [(2, 2), (3,)]


# ---- what packages with compiled operators do when they are imported ----


def test_registrations_of_operators_are_accepted():
    lib = T.library.Library("party", "FRAGMENT")
    lib.define("op(Tensor x) -> Tensor")
    assert lib.impl("op", lambda x: x, "CPU") is None
    f = T.library.register_fake("party::op")(lambda x: x)
    assert f(3) == 3 and T.fx.wrap("name") == "name" and T.onnx.register_custom_op_symbolic("a::b", f, 11) is None
    assert T._C.DispatchKeySet(T._C.DispatchKey.AutocastCPU) | T._C.DispatchKeySet(T._C.DispatchKey.AutocastCUDA)
    with T._C._ExcludeDispatchKeyGuard(None):
        pass
    with pytest.raises(OSError, match="cannot be loaded"):
        T.ops.load_library("x.so")
    T._assert(True, "fine")
    with pytest.raises(AssertionError, match="mine"):
        T._assert(False, "mine")
    with pytest.raises(RuntimeError, match="mine"):
        T._check(False, lambda: "mine")


def test_custom_operators_are_their_functions():
    @T.library.custom_op("party::double", mutates_args=())
    def double(x: T.Tensor) -> T.Tensor:
        return x * 2

    @double.register_fake
    def _(x):
        return x

    x = T.ones(2, requires_grad=True)
    double(x).sum().backward()
    assert x.grad.tolist() == [2, 2]
    double.register_autograd(lambda ctx, g: g * ctx.k, setup_context=lambda ctx, inputs, output: setattr(ctx, "k", 5))
    x.grad = None
    double(x).sum().backward()
    assert x.grad.tolist() == [5, 5]


def test_nested_structures():
    from collections import OrderedDict, namedtuple

    from autodiffc.utils import _pytree as p

    Pair = namedtuple("Pair", "a b")
    tree = {"x": [1, (2, None)], "y": Pair(3, OrderedDict(z=4))}
    leaves, spec = p.tree_flatten(tree)
    assert leaves == [1, 2, None, 3, 4] and p.tree_unflatten(leaves, spec) == tree and spec.num_leaves == 5
    assert p.tree_map(lambda x, y: (x, y), [1, 2], [3, 4]) == [(1, 3), (2, 4)]
    assert p.tree_map_only(int, lambda x: -x, tree)["y"].b["z"] == -4 and p.tree_structure(tree) == spec
    assert p.tree_leaves([1, (2, 3)], is_leaf=lambda x: isinstance(x, tuple)) == [1, (2, 3)]
    assert p.tree_any(lambda x: x == 4, tree) and not p.tree_all(lambda x: x == 4, tree)

    class Mine:
        def __init__(self, a, b):
            self.a, self.b = a, b

    p.register_pytree_node(Mine, lambda m: ([m.a], m.b), lambda children, b: Mine(children[0], b))
    mapped = p.tree_map(lambda x: x + 1, [Mine(1, "keep")])
    assert mapped[0].a == 2 and mapped[0].b == "keep"
    with pytest.raises(ValueError, match="already registered"):
        p.register_pytree_node(Mine, None, None)
    with pytest.raises(ValueError, match="leaves"):
        p.tree_unflatten([1], spec)


def test_gradients_lent_to_shared_parameters():
    mine, shared = nn.Linear(2, 1), nn.Linear(2, 1).share_memory()
    mine(T.ones(1, 2)).sum().backward()
    for p, q in zip(shared.parameters(), mine.parameters()):
        assert p._grad is None
        p._grad = q.grad
    assert shared.weight.grad.data_ptr() == shared.weight._grad.data_ptr() == mine.weight.grad.data_ptr()


def test_make_subclass():
    class Mine(T.Tensor):
        pass

    x = T.ones(2)
    y = T.Tensor._make_subclass(Mine, x, True)
    assert type(y) is Mine and y.requires_grad and y.is_leaf and y.data_ptr() == x.data_ptr()


def test_futures():
    from autodiffc.futures import Future, collect_all, wait_all

    a, b = Future(), Future()
    seen = []
    c = a.then(lambda f: f.wait() + 1)
    a.add_done_callback(lambda f: seen.append(f.value()))
    both = collect_all([a, b])
    with pytest.raises(RuntimeError, match="no value yet"):
        a.value()
    a.set_result(1)
    assert c.wait() == 2 and seen == [1] and not both.done()
    b.set_result(2)
    assert wait_all([a, b]) == [1, 2] and wait_all([]) == []
    with pytest.raises(RuntimeError, match="already"):
        a.set_result(3)
    bad = Future()
    bad.set_exception(KeyError("mine"))
    with pytest.raises(KeyError, match="mine"):
        wait_all([bad.then(lambda f: f.wait())])
    assert T.jit.wait(T.jit.fork(lambda x: x * 2, 4)) == 8
