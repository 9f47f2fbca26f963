"""What the processes of a group compute together. The first process of a group gathers, reduces in the order of the
ranks and sends the result to all, so that every process has the same bits."""

import pickle

import numpy as np

from .._core import TensorBase
from .._ops import arithmetic, compare
from .._ops.from_data import frombuffer
from ..autograd.grad_mode import no_grad
from . import ReduceOp, Work, _default

ARRAY, OBJECT, POINT = range(3)  # kinds of messages: they do not mix
_REDUCE = {ReduceOp.SUM: arithmetic.add, ReduceOp.AVG: arithmetic.add, ReduceOp.PRODUCT: arithmetic.mul,
           ReduceOp.MIN: arithmetic.minimum, ReduceOp.MAX: arithmetic.maximum, ReduceOp.BAND: compare.bitwise_and,
           ReduceOp.BOR: compare.bitwise_or, ReduceOp.BXOR: compare.bitwise_xor}


def _check(t, name):
    if not isinstance(t, TensorBase):
        raise TypeError(f"Invalid function argument. Expected parameter `{name}` of type torch.Tensor, but got "
                        f"{type(t).__name__} instead.")
    return t


def _bytes(t):
    """The values of a tensor, in order, as bytes of nobody else's."""
    t = _check(t, "tensor").detach()
    t = t.contiguous() if not t.is_contiguous() else t
    start = t.storage_offset() * t.dtype.itemsize
    return np.array(t.untyped_storage().array()[start:start + t.numel() * t.dtype.itemsize]).tobytes()


def _from_bytes(data, like, name="the collective"):
    """A tensor of the size and dtype of another one."""
    if len(data) != like.numel() * like.dtype.itemsize:
        raise RuntimeError(f"{name}: another process sends {len(data)} bytes for a tensor of {tuple(like.shape)} of "
                           f"{like.dtype}")
    if not len(data):
        return like.detach().clone()
    return frombuffer(bytearray(data), dtype=like.dtype).reshape(like.shape)


def _fill(t, source):
    with no_grad():
        t.copy_(source)


def _members(group):
    """(group, my number in it, the peers by number). ValueError when this process does not belong to it."""
    group = _default(group)
    me = group.rank()
    if me < 0:
        raise ValueError("this process does not belong to the group")
    return group, me, {k: group.peers[r] for k, r in enumerate(group.ranks) if k != me}


def _collect(group, me, peers, data, kind, root=0):
    """At the root: what each process gives, by number; elsewhere None."""
    if me != root:
        peers[root].send(group.number, kind, data)
        return None
    return [data if k == root else peers[k].receive(group.number, kind) for k in range(group.size())]


def _spread(group, me, peers, parts, kind, root=0):
    """From the root to each process its part, which is returned."""
    if me != root:
        return peers[root].receive(group.number, kind)
    for k, peer in peers.items():
        peer.send(group.number, kind, parts[k])
    return parts[root]


def _everywhere(group, me, peers, data, kind):
    """What each process gives, by number, at every process."""
    for peer in peers.values():
        peer.send(group.number, kind, data)
    return [data if k == me else peers[k].receive(group.number, kind) for k in range(group.size())]


def _number(group, rank, in_group, name):
    """The number in a group of a process given by its rank in the world, or in the group."""
    if in_group is not None:
        return in_group
    if rank is None:
        raise ValueError(f"Must specify {name} or group_{name}")
    return group.ranks.index(rank)


def _done(async_op, result=None):
    return Work(result) if async_op else None


def _reduced(parts, like, op):
    if op not in _REDUCE:
        raise NotImplementedError(f"this ReduceOp ({op}) is not supported by autodiffc")
    with no_grad():
        total = _from_bytes(parts[0], like)
        for p in parts[1:]:
            total = _REDUCE[op](total, _from_bytes(p, like))
        return total / len(parts) if op == ReduceOp.AVG else total


def barrier(group=None, async_op=False, device_ids=None, timeout=None):
    """Returns when every process of the group has come to it."""
    group, me, peers = _members(group)
    _everywhere(group, me, peers, b"", OBJECT)
    return _done(async_op)


def monitored_barrier(group=None, timeout=None, wait_all_ranks=False):
    """barrier()."""
    return barrier(group)


def all_reduce(tensor, op=ReduceOp.SUM, group=None, async_op=False):
    """Writes to tensor, in each process, the sum (or another op) over the processes."""
    group, me, peers = _members(group)
    _check(tensor, "tensor")
    if peers:
        parts = _collect(group, me, peers, _bytes(tensor), ARRAY)
        total = _bytes(_reduced(parts, tensor, op)) if parts else None
        _fill(tensor, _from_bytes(_spread(group, me, peers, [total] * group.size(), ARRAY), tensor))
    return _done(async_op, tensor)


def reduce(tensor, dst=None, op=ReduceOp.SUM, group=None, async_op=False, group_dst=None):
    """all_reduce(), at one process only."""
    group, me, peers = _members(group)
    root = _number(group, dst, group_dst, "dst")
    parts = _collect(group, me, peers, _bytes(tensor), ARRAY, root)
    if parts and peers:
        _fill(tensor, _reduced(parts, tensor, op))
    return _done(async_op, tensor)


def broadcast(tensor, src=None, group=None, async_op=False, group_src=None):
    """Writes to tensor what it is at one process."""
    group, me, peers = _members(group)
    root = _number(group, src, group_src, "src")
    data = _spread(group, me, peers, [_bytes(tensor)] * group.size() if me == root else None, ARRAY, root)
    if me != root:
        _fill(tensor, _from_bytes(data, tensor))
    return _done(async_op, tensor)


def all_gather(tensor_list, tensor, group=None, async_op=False):
    """Writes the tensor of each process to tensor_list, by rank."""
    group, me, peers = _members(group)
    _count(tensor_list, group, "all_gather")
    for t, data in zip(tensor_list, _everywhere(group, me, peers, _bytes(tensor), ARRAY)):
        _fill(t, _from_bytes(data, t))
    return _done(async_op, tensor_list)


def _count(tensors, group, name):
    if len(tensors) != group.size():
        raise ValueError(f"{name}: {len(tensors)} tensors for a group of {group.size()} processes")


def all_gather_into_tensor(output_tensor, input_tensor, group=None, async_op=False):
    """Writes the tensors of all processes to one, one after the other."""
    size = _members(group)[0].size()
    return all_gather(list(output_tensor.view(size, -1).unbind(0)), input_tensor.reshape(-1), group, async_op)


def gather(tensor, gather_list=None, dst=None, group=None, async_op=False, group_dst=None):
    """Writes the tensor of each process to gather_list, at one process."""
    group, me, peers = _members(group)
    root = 0 if dst is None and group_dst is None else _number(group, dst, group_dst, "dst")
    parts = _collect(group, me, peers, _bytes(tensor), ARRAY, root)
    if parts:
        _count(gather_list or [], group, "gather")
        for t, data in zip(gather_list, parts):
            _fill(t, _from_bytes(data, t))
    return _done(async_op, gather_list)


def scatter(tensor, scatter_list=None, src=None, group=None, async_op=False, group_src=None):
    """Writes to tensor one of the tensors that one process has."""
    group, me, peers = _members(group)
    root = 0 if src is None and group_src is None else _number(group, src, group_src, "src")
    if me == root:
        _count(scatter_list or [], group, "scatter")
    parts = [_bytes(t) for t in scatter_list] if me == root else None
    _fill(tensor, _from_bytes(_spread(group, me, peers, parts, ARRAY, root), tensor))
    return _done(async_op, tensor)


def reduce_scatter(output, input_list, op=ReduceOp.SUM, group=None, async_op=False):
    """Writes to output the sum over the processes of the tensor in their lists that has this one's rank."""
    group, me, peers = _members(group)
    _count(input_list, group, "reduce_scatter")
    for k, peer in peers.items():
        peer.send(group.number, ARRAY, _bytes(input_list[k]))
    mine = _bytes(input_list[me])
    parts = [mine if k == me else peers[k].receive(group.number, ARRAY) for k in range(group.size())]
    _fill(output, _reduced(parts, output, op))
    return _done(async_op, output)


def reduce_scatter_tensor(output, input, op=ReduceOp.SUM, group=None, async_op=False):
    """reduce_scatter() of the equal parts of one tensor."""
    size = _members(group)[0].size()
    return reduce_scatter(output.view(-1), list(input.reshape(size, -1).unbind(0)), op, group, async_op)


def all_to_all(output_tensor_list, input_tensor_list, group=None, async_op=False):
    """Process k gives tensor j of its list to process j, which writes it to tensor k of its own."""
    group, me, peers = _members(group)
    _count(input_tensor_list, group, "all_to_all")
    _count(output_tensor_list, group, "all_to_all")
    for k, peer in peers.items():
        peer.send(group.number, ARRAY, _bytes(input_tensor_list[k]))
    _fill(output_tensor_list[me], input_tensor_list[me])
    for k, peer in peers.items():
        t = output_tensor_list[k]
        _fill(t, _from_bytes(peer.receive(group.number, ARRAY), t))
    return _done(async_op, output_tensor_list)


def all_to_all_single(output, input, output_split_sizes=None, input_split_sizes=None, group=None, async_op=False):
    """all_to_all() of the parts of one tensor along its first dimension."""
    size = _members(group)[0].size()
    parts = [t.split(s if s else t.shape[0] // size) for t, s in
             ((output, output_split_sizes), (input, input_split_sizes))]
    return all_to_all(list(parts[0]), list(parts[1]), group, async_op)


# ---- Python objects: pickled, so only between processes that trust one another ----


def all_gather_object(object_list, obj, group=None) -> None:
    """Puts the object of each process into object_list."""
    group, me, peers = _members(group)
    for k, data in enumerate(_everywhere(group, me, peers, pickle.dumps(obj), OBJECT)):
        object_list[k] = pickle.loads(data)


def gather_object(obj, object_gather_list=None, dst=None, group=None, group_dst=None) -> None:
    """Puts the object of each process into a list at one process."""
    group, me, peers = _members(group)
    root = 0 if dst is None and group_dst is None else _number(group, dst, group_dst, "dst")
    for k, data in enumerate(_collect(group, me, peers, pickle.dumps(obj), OBJECT, root) or ()):
        object_gather_list[k] = pickle.loads(data)


def broadcast_object_list(object_list, src=None, group=None, device=None, group_src=None) -> None:
    """Replaces the objects of a list by those that one process has in it."""
    group, me, peers = _members(group)
    root = 0 if src is None and group_src is None else _number(group, src, group_src, "src")
    data = [pickle.dumps(list(object_list))] * group.size() if me == root else None
    data = _spread(group, me, peers, data, OBJECT, root)
    if me != root:
        object_list[:] = pickle.loads(data)


def scatter_object_list(scatter_object_output_list, scatter_object_input_list=None, src=None, group=None,
                        group_src=None) -> None:
    """Puts one of the objects that one process has into the first place of a list."""
    group, me, peers = _members(group)
    root = 0 if src is None and group_src is None else _number(group, src, group_src, "src")
    parts = [pickle.dumps(o) for o in scatter_object_input_list] if me == root else None
    scatter_object_output_list[0] = pickle.loads(_spread(group, me, peers, parts, OBJECT, root))


# ---- one process to another ----


def _peer(group, number):
    group, me, peers = _members(group)
    if number not in peers:
        raise ValueError(f"process {number} cannot exchange messages with process {me} of {group.size()}")
    return group, peers[number]


def send(tensor, dst=None, group=None, tag=0, group_dst=None) -> None:
    """Sends a tensor to another process, which calls recv()."""
    group, peer = _peer(group, _number(_default(group), dst, group_dst, "dst"))
    peer.send(group.number, POINT + tag, _bytes(tensor))


def isend(tensor, dst=None, group=None, tag=0, group_dst=None):
    """send(); a Work."""
    send(tensor, dst, group, tag, group_dst)
    return Work(tensor)


def recv(tensor, src=None, group=None, tag=0, group_src=None) -> int:
    """Writes to tensor what another process sends; returns that process's rank."""
    if src is None and group_src is None:
        raise NotImplementedError("recv() from any process is not supported by autodiffc: name the source")
    number = _number(_default(group), src, group_src, "src")
    group, peer = _peer(group, number)
    _fill(tensor, _from_bytes(peer.receive(group.number, POINT + tag), tensor, "recv"))
    return group.ranks[number]


class _Receiving(Work):
    """A recv() that waits until it is asked for."""

    def __init__(self, *args):
        super().__init__(args[0])
        self.args = args

    def wait(self, timeout=None) -> bool:
        if self.args:
            args, self.args = self.args, None
            recv(*args)
        return True

    is_completed = is_success = wait


def irecv(tensor, src=None, group=None, tag=0, group_src=None):
    """A Work whose wait() is recv()."""
    return _Receiving(tensor, src, group, tag, group_src)


class P2POp:
    """A call of isend or irecv, for batch_isend_irecv()."""

    def __init__(self, op, tensor, peer=None, group=None, tag=0, group_peer=None):
        self.op, self.tensor, self.peer, self.group = op, tensor, peer, group
        self.tag, self.group_peer = tag, group_peer


def batch_isend_irecv(p2p_op_list):
    """Makes the calls; a list of Works."""
    return [p.op(p.tensor, p.peer, p.group, p.tag, p.group_peer) for p in p2p_op_list]


def send_object_list(object_list, dst=None, group=None, device=None, group_dst=None, use_batch=False) -> None:
    """Sends a list of objects to another process."""
    group, peer = _peer(group, _number(_default(group), dst, group_dst, "dst"))
    peer.send(group.number, OBJECT, pickle.dumps(list(object_list)))


def recv_object_list(object_list, src=None, group=None, device=None, group_src=None, use_batch=False) -> int:
    """Replaces the objects of a list by those that another process sends."""
    number = _number(_default(group), src, group_src, "src")
    group, peer = _peer(group, number)
    object_list[:] = pickle.loads(peer.receive(group.number, OBJECT))
    return group.ranks[number]
