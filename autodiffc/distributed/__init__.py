"""torch.distributed between processes on CPUs: groups, and collectives over TCP (_processes.py, _collectives.py)."""

import os
import sys

from .. import _absent

_ABSENT = ("fsdp", "fsdp.fully_sharded_data_parallel", "fsdp.wrap", "fsdp.api", "rpc", "rpc.api", "rpc.functions",
           "rpc.options", "tensor", "tensor.parallel", "tensor.experimental", "_tensor", "_tensor.device_mesh",
           "_tensor.api", "pipelining", "pipeline", "pipeline.sync", "checkpoint", "checkpoint.default_planner",
           "checkpoint.state_dict", "checkpoint.state_dict_loader", "checkpoint.state_dict_saver", "optim",
           "optim.optimizer", "nn", "nn.functional", "autograd", "device_mesh", "algorithms", "algorithms.join",
           "algorithms._checkpoint", "algorithms._checkpoint.checkpoint_wrapper", "algorithms.ddp_comm_hooks",
           "elastic", "elastic.multiprocessing", "elastic.multiprocessing.errors", "launch", "run", "_composable",
           "_composable.fsdp", "_shard", "utils")


class ReduceOp:
    """How a reduction joins what the processes have."""

    SUM, AVG, PRODUCT, MIN, MAX, BAND, BOR, BXOR, PREMUL_SUM, UNUSED = range(10)

    class RedOpType:
        SUM, AVG, PRODUCT, MIN, MAX, BAND, BOR, BXOR, PREMUL_SUM, UNUSED = range(10)


reduce_op = ReduceOp


class Backend(str):
    """The name of a backend, in lower case."""

    UNDEFINED, GLOO, NCCL, UCC, MPI, XCCL = "undefined", "gloo", "nccl", "ucc", "mpi", "xccl"

    def __new__(cls, name):
        if not isinstance(name, str):
            raise ValueError("Backend constructor parameter must be string-ish")
        return str.__new__(cls, name.lower())


class DistError(RuntimeError):
    """A fault of communication: never raised here."""


DistBackendError = DistNetworkError = DistStoreError = DistError


class ProcessGroup:
    """Some of the processes that init_process_group() joined, by their ranks in the world."""

    def __init__(self, backend="gloo", ranks=(0,), mine=0, peers=None, number=0, name=""):
        self.backend, self.group_name = Backend(backend), name
        self.ranks, self.mine, self.peers, self.number = list(ranks), mine, peers or {}, number

    def rank(self) -> int:
        return self.ranks.index(self.mine) if self.mine in self.ranks else -1

    def size(self) -> int:
        return len(self.ranks)

    def name(self) -> str:
        return str(self.backend)


class Work:
    """What an async_op returns: done already, as collectives here are when they return."""

    def __init__(self, result=None):
        self._result = result

    def wait(self, timeout=None) -> bool:
        return True

    is_completed = is_success = wait

    def exception(self):
        return None

    def result(self):
        return self._result

    def get_future(self):
        from ..futures import Future

        made = Future()
        made.set_result(self._result)
        return made


class _Group:
    WORLD = None
    number = 0


group = GroupMember = _Group
default_pg_timeout = None


def is_available() -> bool:
    """True."""
    return True


def is_initialized() -> bool:
    return _Group.WORLD is not None


def is_gloo_available() -> bool:
    """True: processes on CPUs."""
    return True


def is_nccl_available() -> bool:
    return False


is_mpi_available = is_ucc_available = is_xccl_available = is_nccl_available


def is_backend_available(backend) -> bool:
    return backend == "gloo"


def is_torchelastic_launched() -> bool:
    """Whether torchrun started this process."""
    return os.environ.get("TORCHELASTIC_RUN_ID") is not None


def get_default_backend_for_device(device) -> str:
    """gloo, the backend for the CPU."""
    from .. import _dtype

    kind = _dtype.device(device).type
    return {"cpu": "gloo", "cuda": "nccl", "xpu": "xccl"}.get(kind, "gloo")


def _of_environment(name):
    if name not in os.environ:
        raise ValueError("Error initializing torch.distributed using env:// rendezvous: environment variable "
                         f"{name} expected, but not set")
    return os.environ[name]


def init_process_group(backend=None, init_method=None, timeout=None, world_size=-1, rank=-1, store=None, group_name="",
                       pg_options=None, device_id=None, _ranks=None):
    """Joins the processes of a group: world_size of them, of which this is number `rank`. They meet where init_method
    says: env:// (the default: MASTER_ADDR, MASTER_PORT, RANK, WORLD_SIZE), tcp://host:port or file:///path.

    RuntimeError for nccl, and when not all of them come within the timeout (a timedelta; 30 minutes).
    """
    if is_initialized():
        raise ValueError("trying to initialize the default process group twice!")
    if store is not None:
        raise NotImplementedError("init_process_group: stores are not supported by autodiffc; pass init_method")
    if init_method is None or init_method.startswith("env://"):
        rank = int(_of_environment("RANK")) if rank < 0 else rank
        world_size = int(_of_environment("WORLD_SIZE")) if world_size < 0 else world_size
    if backend is not None and "gloo" not in Backend(backend) and Backend(backend) != "undefined":
        raise RuntimeError(f"Distributed package doesn't have {backend.upper()} built in")
    if world_size < 1 or not 0 <= rank < world_size:
        raise ValueError(f"init_process_group: rank {rank} of a world of {world_size} processes")
    peers = {}
    if world_size > 1:
        if init_method is None or init_method.startswith("env://"):
            init_method = f"tcp://{_of_environment('MASTER_ADDR')}:{_of_environment('MASTER_PORT')}"
        from . import _processes

        peers = _processes.connect(init_method, rank, world_size, timeout.total_seconds() if timeout else 1800.0)
    _Group.WORLD = ProcessGroup("gloo", range(world_size), rank, peers, 0, group_name)
    _Group.number = 0


def destroy_process_group(group=None) -> None:
    """Ends the group. AssertionError when there is none."""
    if group is None and not is_initialized():
        raise AssertionError("Process group cannot be None")
    if group is None or group is _Group.WORLD:
        for peer in _Group.WORLD.peers.values():
            peer.close()
        _Group.WORLD = None


def _default(group=None):
    if not is_initialized():
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")
    return group if group is not None else _Group.WORLD


def get_rank(group=None) -> int:
    """The number of this process in the group, -1 when it does not belong to it."""
    return _default(group).rank()


def get_world_size(group=None) -> int:
    """How many processes the group has, -1 when this one does not belong to it."""
    group = _default(group)
    return group.size() if group.rank() >= 0 else -1


def get_backend(group=None) -> str:
    return _default(group).backend


def get_node_local_rank(fallback_rank=None) -> int:
    found = os.environ.get("LOCAL_RANK", fallback_rank)
    if found is None:
        raise RuntimeError("LOCAL_RANK is not in the environment. Consider passing fallback_rank to allow "
                           "`get_node_local_rank` to work, assuming you are not running in a multi-device context.")
    return int(found)


def get_process_group_ranks(group=None) -> list:
    return list(_default(group).ranks)


def get_global_rank(group, group_rank) -> int:
    return group.ranks[group_rank]


def get_group_rank(group, global_rank) -> int:
    return group.ranks.index(global_rank)


def new_group(ranks=None, timeout=None, backend=None, pg_options=None, use_local_synchronization=False, group_desc=None,
              device_id=None, sort_ranks=True):
    """A group of some of the processes. Every process of the world calls it, in the same order."""
    world = _default()
    ranks = list(world.ranks) if ranks is None else sorted(ranks) if sort_ranks else list(ranks)
    if not set(ranks) <= set(world.ranks) or len(set(ranks)) != len(ranks):
        raise ValueError(f"new_group: ranks {ranks} of a world of {world.size()} processes")
    _Group.number += 1
    return ProcessGroup(backend or world.backend, ranks, world.mine, world.peers, _Group.number)


from ._collectives import (  # noqa: E402,F401
    P2POp,
    all_gather,
    all_gather_into_tensor,
    all_gather_object,
    all_reduce,
    all_to_all,
    all_to_all_single,
    barrier,
    batch_isend_irecv,
    broadcast,
    broadcast_object_list,
    gather,
    gather_object,
    irecv,
    isend,
    monitored_barrier,
    recv,
    recv_object_list,
    reduce,
    reduce_scatter,
    reduce_scatter_tensor,
    scatter,
    scatter_object_list,
    send,
    send_object_list,
)


def __getattr__(name):
    from .._hook import missing

    path = f"torch.distributed.{name}"
    if name in missing.torch_names().get("torch.distributed", ()) and not name.startswith("_"):
        made = _absent.absent(path)
        setattr(sys.modules[__name__], name, made)
        return made
    raise missing.attribute(__name__, name)


_absent.submodules(__name__, _ABSENT)
