"""How tensors go through queues and pipes: shared memory as an open file, other memory as bytes."""

from multiprocessing import reduction

from .. import _dtype
from ..nn.parameter import Parameter
from ..tensor import Tensor
from . import _shared


def rebuild_tensor(cls, handle, nbytes, name, offset, sizes, strides, requires_grad):
    """The tensor in the process that receives it."""
    block = _shared.Block.on(handle.detach(), nbytes)
    t = _shared.tensor_on(block, _dtype.named(name), offset, sizes, strides)
    return cls(t, requires_grad) if issubclass(cls, Parameter) else t.requires_grad_(requires_grad)


def reduce_tensor(t):
    """What a tensor is sent as. RuntimeError for one that was computed and requires grad."""
    if t.requires_grad and not t.is_leaf:
        raise RuntimeError("Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd does "
                           "not support crossing process boundaries.  If you just want to transfer the data, call "
                           "detach() on the tensor before serializing (e.g., putting it on the queue).")
    block = _shared.block_of(t)
    if block is None:
        return t.__reduce_ex__(2)
    geometry = t.storage_offset(), tuple(t.shape), tuple(t.stride()), t.requires_grad
    return rebuild_tensor, (type(t), reduction.DupFd(block.fd), block.nbytes, t.dtype.name, *geometry)


def init_reductions():
    """Tells multiprocessing; done when torch.multiprocessing is imported."""
    reduction.ForkingPickler.register(Tensor, reduce_tensor)
    reduction.ForkingPickler.register(Parameter, reduce_tensor)


init_reductions()
