"""torch.distributed for one process: a group of one, whose collectives copy. Larger ones raise NotImplementedError."""

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
    """This process alone."""

    def __init__(self, backend="gloo", name=""):
        self.backend, self.group_name = Backend(backend), name

    def rank(self) -> int:
        return 0

    def size(self) -> int:
        return 1

    def name(self) -> str:
        return str(self.backend)


class Work:
    """What an async_op returns: done already."""

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
        from ..jit import Future

        made = Future()
        made.set_result(self._result)
        return made


class _Group:
    WORLD = None


group = GroupMember = _Group
default_pg_timeout = None


def is_available() -> bool:
    """True."""
    return True


def is_initialized() -> bool:
    return _Group.WORLD is not None


def is_gloo_available() -> bool:
    """True: groups of one process."""
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


def _from_environment(name, given):
    if given >= 0:
        return given
    found = os.environ.get(name)
    if found is None:
        raise ValueError("Error initializing torch.distributed using env:// rendezvous: environment variable "
                         f"{name} expected, but not set")
    return int(found)


def init_process_group(backend=None, init_method=None, timeout=None, world_size=-1, rank=-1, store=None, group_name="",
                       pg_options=None, device_id=None, _ranks=None):
    """The default group, of this process alone. NotImplementedError when world_size (or WORLD_SIZE) is not 1."""
    if is_initialized():
        raise ValueError("trying to initialize the default process group twice!")
    if backend is not None and Backend(backend) == "nccl" and world_size <= 1 and "WORLD_SIZE" not in os.environ:
        raise RuntimeError("Distributed package doesn't have NCCL built in")
    if init_method is None or init_method.startswith("env://"):
        rank = _from_environment("RANK", rank)
        world_size = _from_environment("WORLD_SIZE", world_size)
    if world_size != 1:
        raise NotImplementedError(
            f"init_process_group: a group of {world_size} processes is not supported by autodiffc; run the script as "
            "one process (WORLD_SIZE=1), which uses all cores through threads")
    if rank not in (0, -1):
        raise ValueError(f"init_process_group: rank {rank} in a group of one process")
    _Group.WORLD = ProcessGroup("gloo" if backend is None else backend.rpartition(":")[2], group_name)


def destroy_process_group(group=None) -> None:
    """Ends the group. AssertionError when there is none."""
    if group is None and not is_initialized():
        raise AssertionError("Process group cannot be None")
    if group is None or group is _Group.WORLD:
        _Group.WORLD = None


def _default(group=None):
    if not is_initialized():
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")
    return group if group is not None else _Group.WORLD


def get_rank(group=None) -> int:
    """0."""
    return _default(group).rank()


def get_world_size(group=None) -> int:
    """1."""
    return _default(group).size()


def get_backend(group=None) -> str:
    return _default(group).backend


def get_node_local_rank(fallback_rank=None) -> int:
    found = os.environ.get("LOCAL_RANK", fallback_rank)
    if found is None:
        raise RuntimeError("LOCAL_RANK is not in the environment. Consider passing fallback_rank to allow "
                           "`get_node_local_rank` to work, assuming you are not running in a multi-device context.")
    return int(found)


def get_process_group_ranks(group=None) -> list:
    _default(group)
    return [0]


def get_global_rank(group, group_rank) -> int:
    return 0


def get_group_rank(group, global_rank) -> int:
    return 0


def new_group(ranks=None, timeout=None, backend=None, pg_options=None, use_local_synchronization=False, group_desc=None,
              device_id=None, sort_ranks=True):
    """Another group of this process."""
    world = _default()
    if ranks is not None and list(ranks) != [0]:
        raise ValueError(f"new_group: ranks {list(ranks)} of a world of one process")
    return ProcessGroup(backend or world.backend)


def _done(group, async_op, result=None):
    _default(group)
    return Work(result) if async_op else None


def barrier(group=None, async_op=False, device_ids=None, timeout=None):
    """Returns at once."""
    return _done(group, async_op)


def monitored_barrier(group=None, timeout=None, wait_all_ranks=False):
    """Returns at once."""
    return _done(group, False)


def all_reduce(tensor, op=ReduceOp.SUM, group=None, async_op=False):
    """Leaves the tensor as it is."""
    return _done(group, async_op, tensor)


def reduce(tensor, dst=None, op=ReduceOp.SUM, group=None, async_op=False, group_dst=None):
    """Leaves the tensor as it is."""
    return _done(group, async_op, tensor)


def broadcast(tensor, src=None, group=None, async_op=False, group_src=None):
    """Leaves the tensor as it is."""
    return _done(group, async_op, tensor)


def _copy(to, source, group, async_op):
    from ..autograd.grad_mode import no_grad

    _default(group)
    with no_grad():
        to.copy_(source.reshape(to.shape))
    return _done(group, async_op, to)


def _only(tensors, name):
    if len(tensors) != 1:
        raise ValueError(f"{name}: {len(tensors)} tensors for a group of one process")
    return tensors[0]


def all_gather(tensor_list, tensor, group=None, async_op=False):
    """Copies tensor to tensor_list[0]."""
    return _copy(_only(tensor_list, "all_gather"), tensor, group, async_op)


def gather(tensor, gather_list=None, dst=None, group=None, async_op=False, group_dst=None):
    """Copies tensor to gather_list[0]."""
    return _copy(_only(gather_list or [], "gather"), tensor, group, async_op)


def scatter(tensor, scatter_list=None, src=None, group=None, async_op=False, group_src=None):
    """Copies scatter_list[0] to tensor."""
    return _copy(tensor, _only(scatter_list or [], "scatter"), group, async_op)


def reduce_scatter(output, input_list, op=ReduceOp.SUM, group=None, async_op=False):
    """Copies input_list[0] to output."""
    return _copy(output, _only(input_list, "reduce_scatter"), group, async_op)


def all_to_all(output_tensor_list, input_tensor_list, group=None, async_op=False):
    """Copies input_tensor_list[0] to output_tensor_list[0]."""
    return _copy(_only(output_tensor_list, "all_to_all"), _only(input_tensor_list, "all_to_all"), group, async_op)


def all_gather_into_tensor(output_tensor, input_tensor, group=None, async_op=False):
    """Copies input_tensor to output_tensor."""
    return _copy(output_tensor, input_tensor, group, async_op)


def reduce_scatter_tensor(output, input, op=ReduceOp.SUM, group=None, async_op=False):
    """Copies input to output."""
    return _copy(output, input, group, async_op)


def all_to_all_single(output, input, output_split_sizes=None, input_split_sizes=None, group=None, async_op=False):
    """Copies input to output."""
    return _copy(output, input, group, async_op)


def all_gather_object(object_list, obj, group=None) -> None:
    """object_list[0] = obj."""
    _default(group)
    object_list[0] = obj


def gather_object(obj, object_gather_list=None, dst=None, group=None, group_dst=None) -> None:
    """object_gather_list[0] = obj."""
    _default(group)
    if object_gather_list is not None:
        object_gather_list[0] = obj


def broadcast_object_list(object_list, src=None, group=None, device=None, group_src=None) -> None:
    """Leaves the list as it is."""
    _default(group)


def scatter_object_list(scatter_object_output_list, scatter_object_input_list=None, src=None, group=None,
                        group_src=None) -> None:
    """Moves the only object over."""
    _default(group)
    scatter_object_output_list[0] = scatter_object_input_list[0]


def _alone(name):
    def function(*args, **kwargs):
        _default()
        raise RuntimeError(f"{name}: there is no other process in the group")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "RuntimeError: the group has one process."
    return function


for _name in ("send", "recv", "isend", "irecv", "send_object_list", "recv_object_list", "batch_isend_irecv"):
    globals()[_name] = _alone(_name)


def __getattr__(name):
    from .._hook import missing

    path = f"torch.distributed.{name}"
    if name in missing.torch_names().get("torch.distributed", ()) and not name.startswith("_"):
        made = _absent.absent(path)
        setattr(sys.modules[__name__], name, made)
        return made
    raise missing.attribute(__name__, name)


_absent.submodules(__name__, _ABSENT)
