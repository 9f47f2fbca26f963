"""The handle that a hook's registration returns."""
from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict
from collections.abc import MutableMapping
from typing import Any

_next_id = itertools.count()


class RemovableHandle:
    """Removes one hook from the dictionary it was registered in.

    The dictionaries are held weakly, so that a handle that outlives its module does not keep it alive.
    ``extra_dict`` is a further dictionary (or a list of them) with an entry under the same id. A handle is a
    context manager: leaving the block removes the hook. Removing twice is harmless.
    """

    def __init__(self, hooks_dict: MutableMapping, *, extra_dict: Any = None) -> None:
        self.id = next(_next_id)
        extras = [] if extra_dict is None else extra_dict if isinstance(extra_dict, list) else [extra_dict]
        self._refs = tuple(weakref.ref(d) for d in (hooks_dict, *extras))

    def remove(self) -> None:
        for ref in self._refs:
            hooks = ref()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()

    def __getstate__(self) -> tuple:
        return self.id, tuple(ref() for ref in self._refs)

    def __setstate__(self, state: tuple) -> None:
        global _next_id
        self.id, dicts = state
        self._refs = tuple(weakref.ref(OrderedDict() if d is None else d) for d in dicts)
        _next_id = itertools.count(max(next(_next_id), self.id + 1))


def register(hooks_dict: MutableMapping, hook: Any, *, prepend: bool = False, extra_dict: Any = None
             ) -> RemovableHandle:
    """Put ``hook`` into ``hooks_dict`` (an OrderedDict when ``prepend`` is used) and return its handle."""
    handle = RemovableHandle(hooks_dict, extra_dict=extra_dict)
    hooks_dict[handle.id] = hook
    if prepend:
        hooks_dict.move_to_end(handle.id, last=False)
    return handle
