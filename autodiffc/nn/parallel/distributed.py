"""DistributedDataParallel: a module in each process of a group, with the mean of their gradients in all of them."""

import contextlib

from ... import distributed
from ..._core import TensorBase
from ..._utils import _flatten_dense_tensors, _unflatten_dense_tensors
from ...autograd.grad_mode import is_grad_enabled, no_grad
from ...distributed import _default
from ..modules.module import Module


class DistributedDataParallel(Module):
    """Calls `module`. Its parameters and buffers begin as they are in the first process; after each backward pass
    every process has the mean of the gradients. find_unused_parameters: parameters that the results of a call do not
    depend on count with zeros, where another process has a gradient for them.

    ValueError without a process group (torch.distributed.init_process_group), RuntimeError for a module without
    parameters that want gradients, and, at the next call, for a pass that left some of them without one.
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0, broadcast_buffers=None, init_sync=True,
                 process_group=None, bucket_cap_mb=None, find_unused_parameters=False, check_reduction=False,
                 gradient_as_bucket_view=False, static_graph=False, delay_all_reduce_named_params=None,
                 param_to_hook_all_reduce=None, mixed_precision=None, device_mesh=None,
                 skip_all_reduce_unused_params=False, bucket_cap_mb_list=None, batched_grad_copy=False,
                 forward_sync_buffers=None):
        super().__init__()
        self.process_group = _default(process_group)
        parameters = [p for p in module.parameters() if p.requires_grad]
        if not parameters:
            raise RuntimeError("DistributedDataParallel is not needed when a module doesn't have any parameter that "
                               "requires a gradient.")
        if device_ids:
            raise ValueError("DistributedDataParallel device_ids and output_device arguments only work with single-"
                             f"device/multiple-device GPU modules or CPU modules, but got device_ids {device_ids}, "
                             f"output_device {output_device}, and module parameters {{device(type='cpu')}}.")
        self.module = module
        self.device_ids = self.output_device = None
        self.dim, self.broadcast_buffers = dim, broadcast_buffers is not False
        self.find_unused_parameters, self.static_graph = find_unused_parameters, static_graph
        self.require_backward_grad_sync = True
        self._alone = self.process_group.size() == 1
        self._reduced = parameters
        self._waiting, self._unused = None, ()
        if not self._alone:
            if init_sync:
                self._from_first([*module.parameters(), *module.buffers()])
            for p in parameters:
                p.register_post_accumulate_grad_hook(self._ready)

    def _from_first(self, tensors):
        """Gives tensors the values that they have in the first process of the group."""
        with no_grad():
            for t in tensors:
                distributed.broadcast(t.data, group=self.process_group, group_src=0)

    def forward(self, *inputs, **kwargs):
        if self._alone:
            return self.module(*inputs, **kwargs)
        if self._waiting:
            names = [n for n, p in self.module.named_parameters() if id(p) in self._waiting]
            raise RuntimeError(
                "Expected to have finished reduction in the prior iteration before starting a new one. This error "
                f"indicates that your module has parameters that were not used in producing loss ({', '.join(names)}). "
                "You can enable unused parameter detection by passing the keyword argument "
                "`find_unused_parameters=True`.")
        if self.broadcast_buffers and self.training and self.require_backward_grad_sync:
            self._from_first(self.module.buffers())
        result = self.module(*inputs, **kwargs)
        if is_grad_enabled() and self.require_backward_grad_sync:
            self._waiting = {id(p) for p in self._reduced}
            self._unused = ()
            if self.find_unused_parameters:
                used = _leaves(result)
                self._unused = [p for p in self._reduced if p._h not in used]
                self._waiting.difference_update(id(p) for p in self._unused)
                if not self._waiting:
                    self._reduce()
        else:
            self._waiting = None
        return result

    def _ready(self, p):
        """A gradient has been added to: after the last one, the means are taken."""
        if self._waiting is None or id(p) not in self._waiting:
            return
        self._waiting.discard(id(p))
        if not self._waiting:
            self._reduce()

    def _reduce(self):
        """The mean of the gradients over the processes, a message for each dtype."""
        self._waiting = None
        with no_grad():
            has = [float(p.grad is not None) for p in self._reduced]
            if self.find_unused_parameters:
                flags = self._reduced[0].new_tensor(has)
                distributed.all_reduce(flags, group=self.process_group)
                wanted = [p for p, n in zip(self._reduced, flags.tolist()) if n]
            else:
                wanted = self._reduced
            for p in wanted:
                if p.grad is None:
                    p.grad = p.detach().clone().zero_()
            kinds = {}
            for p in wanted:
                kinds.setdefault(p.grad.dtype, []).append(p.grad)
            for grads in kinds.values():
                flat = _flatten_dense_tensors(grads)
                distributed.all_reduce(flat, group=self.process_group)
                flat.div_(self.process_group.size())
                for g, mean in zip(grads, _unflatten_dense_tensors(flat, grads)):
                    g.copy_(mean)

    @contextlib.contextmanager
    def no_sync(self):
        """A block whose gradients are not exchanged: they add up until the next pass outside of it."""
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    def join(self, divide_by_initial_world_size=True, enable=True, throw_on_early_termination=False):
        """A block for uneven inputs. NotImplementedError in a group of several processes."""
        if not self._alone and enable:
            raise NotImplementedError("DistributedDataParallel.join is not supported by autodiffc: give every process "
                                      "as many batches, as DistributedSampler does")
        return contextlib.nullcontext()

    def register_comm_hook(self, state, hook) -> None:
        """NotImplementedError: gradients are exchanged as they are."""
        raise NotImplementedError("DistributedDataParallel.register_comm_hook is not supported by autodiffc")


def _leaves(result):
    """The handles of the tensors whose gradients a backward pass from a result would add to."""
    stack = [result]
    nodes, seen, found = [], set(), set()
    while stack:
        x = stack.pop()
        if isinstance(x, TensorBase):
            if x.grad_fn is not None:
                nodes.append(x.grad_fn)
            else:
                found.add(x._h)
        elif isinstance(x, dict):
            stack.extend(x.values())
        elif isinstance(x, (list, tuple)):
            stack.extend(x)
    while nodes:
        node = nodes.pop()
        if node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None:
            found.add(variable._h)
        nodes.extend(n for n, _ in node.next_functions if n is not None)
    return found
