"""Lets threadpoolctl find the thread pool and limit it: user_api and internal_api "autodiffc".

threadpoolctl is not imported for that. When it is there already, the controller is registered at once; otherwise
a finder waits on sys.meta_path for whoever imports it.
"""

import sys

from . import _native

_NAME = "threadpoolctl"


def register(threadpoolctl):
    """Adds the controller to the module threadpoolctl, once."""
    lib, path = _native.lib, _native.__file__

    class AutodiffcController(threadpoolctl.LibController):
        """The private pool of autodiffc."""

        user_api = "autodiffc"
        internal_api = "autodiffc"
        filename_prefixes = ("_native.",)

        def get_num_threads(self):
            return lib.ad_get_num_threads()

        def set_num_threads(self, num_threads):
            lib.ad_set_num_threads(num_threads)

        def get_version(self):
            if not threadpoolctl._realpath(path) == self.filepath:
                raise OSError("another package's _native")  # threadpoolctl then looks further
            from .version import autodiffc as __version__

            return __version__

    threadpoolctl.register(AutodiffcController)


class _Watch:
    """A finder that finds nothing itself: it has the real one's loader call register() afterwards."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != _NAME:
            return None
        for finder in sys.meta_path:
            if finder is cls:
                continue
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None else None
            if spec is not None and spec.loader is not None:
                spec.loader = _Loader(spec.loader)
                return spec
        return None


class _Loader:
    def __init__(self, loader):
        self._loader = loader

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        if _Watch in sys.meta_path:
            sys.meta_path.remove(_Watch)
            register(module)

    def __getattr__(self, name):
        return getattr(self._loader, name)


def install():
    """Registers now, or when threadpoolctl is imported."""
    module = sys.modules.get(_NAME)
    if module is not None and hasattr(module, "register"):
        register(module)
    elif _Watch not in sys.meta_path:
        sys.meta_path.insert(0, _Watch)
