"""torch.hub from a local folder. Nothing is downloaded: what would be is named, and where to put it."""

import importlib.util
import os
import sys

_dir = None


def get_dir() -> str:
    """Where downloads would be kept: TORCH_HOME, or ~/.cache/torch, and hub in it."""
    if _dir is not None:
        return _dir
    cache = os.environ.get("XDG_CACHE_HOME", os.path.join("~", ".cache"))
    return os.path.join(os.path.expanduser(os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))), "hub")


def set_dir(d) -> None:
    global _dir
    _dir = os.path.expanduser(d)


def _hubconf(repo):
    path = os.path.join(repo, "hubconf.py")
    spec = importlib.util.spec_from_file_location("hubconf", path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"torch.hub: no hubconf.py in {repo!r}")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, os.fspath(repo))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(os.fspath(repo))
    return module


def _local(repo, source, what):
    if source == "local":
        return repo
    if source != "github":
        raise ValueError(f'Unknown source: "{source}". Allowed values: "github" | "local".')
    folder = os.path.join(get_dir(), repo.replace("/", "_").replace(":", "_"))
    for name in (folder, folder + "_main", folder + "_master"):
        if os.path.isdir(name):
            return name
    raise NotImplementedError(
        f"torch.hub.{what}: autodiffc downloads nothing; clone https://github.com/{repo.partition(':')[0]} and pass "
        "its folder with source='local'")


def _entry(repo, name):
    module = _hubconf(repo)
    found = getattr(module, name, None)
    if not callable(found):
        raise RuntimeError(f"Cannot find callable {name} in hubconf")
    return found


def load(repo_or_dir, model, *args, source="github", trust_repo="check", force_reload=False, verbose=True,
         skip_validation=False, **kwargs):
    """model(*args, **kwargs) of a folder's hubconf.py. NotImplementedError when it would have to be downloaded."""
    return _entry(_local(repo_or_dir, source.lower(), "load"), model)(*args, **kwargs)


def list(github, force_reload=False, skip_validation=False, trust_repo="check", verbose=True):
    """The names that a repository's hubconf.py offers."""
    module = _hubconf(_local(github, "github", "list"))
    return [n for n in dir(module) if callable(getattr(module, n)) and not n.startswith("_")]


def help(github, model, force_reload=False, skip_validation=False, trust_repo="check"):
    """The docstring of a name."""
    return _entry(_local(github, "github", "help"), model).__doc__


def download_url_to_file(url, dst, hash_prefix=None, progress=True):
    """NotImplementedError: nothing is downloaded."""
    raise NotImplementedError(f"torch.hub.download_url_to_file: autodiffc downloads nothing; put {url} at {dst}")


_download_url_to_file = download_url_to_file


def load_state_dict_from_url(url, model_dir=None, map_location=None, progress=True, check_hash=False, file_name=None,
                             weights_only=False):
    """torch.load of the file in model_dir (get_dir()/checkpoints) that has the name of the url's.
    NotImplementedError, with that path, when it is not there."""
    from urllib.parse import urlparse

    folder = os.path.join(get_dir(), "checkpoints") if model_dir is None else model_dir
    path = os.path.join(folder, file_name or os.path.basename(urlparse(url).path))
    if not os.path.exists(path):
        raise NotImplementedError(f"autodiffc downloads nothing: put {url} at {path}")
    from .serialization import load

    return load(path, map_location=map_location, weights_only=weights_only)


def _get_torch_home() -> str:
    """The folder that hub's is in."""
    return os.path.dirname(get_dir())


class _Quiet:
    """Stands for a progress bar where tqdm is not installed: iterates, and shows nothing."""

    def __init__(self, iterable=None, total=None, disable=False, **options):
        self.iterable, self.total, self.n = iterable, total, 0

    def __iter__(self):
        return iter(self.iterable)

    def update(self, n=1):
        self.n += n

    def close(self):
        """Nothing."""

    set_description = set_postfix = update

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False


def __getattr__(name):
    if name == "tqdm":
        try:
            from tqdm import tqdm
        except ImportError:
            return _Quiet
        return tqdm
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from ._hook import missing

    raise missing.attribute(__name__, name)
