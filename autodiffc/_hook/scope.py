"""Whose `import torch` is meant: the program's own files, and packages known to work with this library."""

import functools
import os
import sys

ALLOWED = {
    "einops", "einops_exts", "einx", "gymnasium", "nflows", "safetensors", "tensorboard", "tensorboardX", "torch_ema",
    "torchdiffeq", "torchsummary", "torchvision", "tyro", "x_transformers",
}
"""Packages that get this library wherever they are installed."""

_SITE = ("site-packages", "dist-packages")
_STDLIB = os.path.dirname(os.path.realpath(os.__file__))
_OWN = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
_HOOK = os.path.dirname(os.path.realpath(__file__))


def _within(path, folder):
    return path == folder or path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)


def _in_site(path, folder=""):
    """Whether a folder of installed packages lies between `folder` and the file."""
    return any(part in _SITE for part in path[len(folder):].split(os.sep))


@functools.lru_cache(4096)
def is_stdlib(path):
    """Whether a file belongs to Python itself: it imports on behalf of others."""
    if path.startswith("<frozen "):
        return True
    path = os.path.realpath(path)
    return _within(path, _STDLIB) and not _in_site(path, _STDLIB)


class Scope:
    """Which importers get this library as torch."""

    def __init__(self, roots, foreign=(), everywhere=False, script=None):
        self.roots = sorted({os.path.realpath(r) for r in roots}, key=len, reverse=True)
        self.foreign = [f for f in {os.path.realpath(f) for f in foreign} if f not in self.roots]
        self.everywhere, self.script = everywhere, script
        self.known = {}

    @classmethod
    def of_process(cls, everywhere=False, script=None):
        """The program's folders: the script's directory, the working directory, PYTHONPATH entries."""
        main = script or getattr(sys.modules.get("__main__"), "__file__", None)
        roots = [os.path.dirname(os.path.abspath(main))] if main and not _within(os.path.realpath(main), _OWN) else []
        try:
            roots.append(os.getcwd())
        except OSError:  # the working directory is gone
            pass
        if not sys.flags.ignore_environment:
            roots += [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
        return cls(roots, [p for p in sys.path if p], everywhere, script)

    def takes_file(self, path):
        """Whether the file of an importer is one of the program's own."""
        found = self.known.get(path)
        if found is None:
            found = self.known[path] = self._takes(os.path.realpath(path))
        return found

    def _takes(self, path):
        if _within(path, _OWN):
            return True
        root = next((r for r in self.roots if _within(path, r)), None)
        if root is not None:
            return not _in_site(path, root) and not is_stdlib(path)
        return not (_in_site(path) or is_stdlib(path) or any(_within(path, f) for f in self.foreign))

    def takes(self, frame):
        """Whether a frame that imports torch is to get this library."""
        if self.everywhere or frame is None:
            return True
        names = frame.f_globals
        package = str(names.get("__name__", "")).partition(".")[0]
        if package in ALLOWED:
            return True
        path = names.get("__file__") or frame.f_code.co_filename
        if not isinstance(path, str) or path.startswith("<"):  # typed in, or made by exec()
            return True
        return self.takes_file(path)


def importer():
    """The frame that an import is for: the innermost one that is neither Python's nor this package's."""
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if not is_stdlib(path) and not path.startswith(_HOOK + os.sep):
            return frame
        frame = frame.f_back
    return None
