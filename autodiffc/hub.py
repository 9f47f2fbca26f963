"""torch.hub: models of local folders, and files by their URL (http, https, file). Repositories are not downloaded: what
would be is named, and where to put it."""

import hashlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile

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


_CHUNK = 1 << 17


def download_url_to_file(url, dst, hash_prefix=None, progress=True):
    """Writes what a URL (http, https or file) gives to dst, all of it or nothing.

    hash_prefix: the beginning of its SHA-256; RuntimeError when it is another. progress: shown on stderr.
    urllib's errors (URLError, HTTPError) when there is nothing to be had.
    """
    from urllib.request import Request, urlopen

    dst = os.path.expanduser(dst)
    digest = hashlib.sha256()
    with urlopen(Request(url, headers={"User-Agent": "torch.hub"})) as source:
        length = source.headers.get("Content-Length")
        fd, partial = tempfile.mkstemp(prefix=os.path.basename(dst) + ".", suffix=".partial",
                                       dir=os.path.dirname(dst) or ".")
        try:
            with os.fdopen(fd, "wb") as f, _bar()(total=int(length) if length else None, disable=not progress, unit="B",
                                                  unit_scale=True, unit_divisor=1024) as bar:
                for chunk in iter(lambda: source.read(_CHUNK), b""):
                    f.write(chunk)
                    digest.update(chunk)
                    bar.update(len(chunk))
            found = digest.hexdigest()
            if hash_prefix is not None and found[:len(hash_prefix)] != hash_prefix:
                raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{found}")')
            shutil.move(partial, dst)
        finally:
            if os.path.exists(partial):
                os.remove(partial)


_download_url_to_file = download_url_to_file
_HASH = re.compile(r"-([a-f0-9]*)\.")


def load_state_dict_from_url(url, model_dir=None, map_location=None, progress=True, check_hash=False, file_name=None,
                             weights_only=False):
    """torch.load of the file in model_dir (get_dir()/checkpoints) that has the name of the url's; it is downloaded when
    it is not there. check_hash: the name ends in -<beginning of the SHA-256>, which is compared (RuntimeError)."""
    from urllib.parse import urlparse

    folder = os.path.join(get_dir(), "checkpoints") if model_dir is None else model_dir
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, file_name or os.path.basename(urlparse(url).path))
    if not os.path.exists(path):
        sys.stderr.write(f'Downloading: "{url}" to {path}\n')
        named = _HASH.search(os.path.basename(path)) if check_hash else None
        download_url_to_file(url, path, named.group(1) if named else None, progress)
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


def _bar():
    try:
        from tqdm import tqdm
    except ImportError:
        return _Quiet
    return tqdm


def __getattr__(name):
    if name == "tqdm":
        return _bar()
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from ._hook import missing

    raise missing.attribute(__name__, name)
