"""The build: a cffi extension, compiled a file per core, as one abi3 wheel for CPython 3.10 and later."""

import os
import shutil
import sysconfig
import tempfile
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext


class ParallelBuild(build_ext):
    """Compiles the C files of the extension side by side; setuptools takes them one after the other."""

    def build_extensions(self) -> None:
        self.require_compiler()
        compile_all = self.compiler.compile

        def compile_each(sources, **options):
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                jobs = [pool.submit(compile_all, [s], **options) for s in sources]
                wait(jobs, return_when=FIRST_EXCEPTION)
                pool.shutdown(cancel_futures=True)  # after an error the rest is not worth the wait
                failed = [j.exception() for j in jobs if not j.cancelled() and j.exception()]
                if failed:
                    raise failed[0]
                return [obj for j in jobs for obj in j.result()]

        self.compiler.compile = compile_each
        super().build_extensions()

    def require_compiler(self) -> None:
        """Says what is missing before setuptools' own words, which do not."""
        command = getattr(self.compiler, "compiler_so", None) or ["cl"]
        if shutil.which(command[0]) is None:
            raise SystemExit(
                f"autodiffc is built by a C compiler, GCC or Clang, and {command[0]!r} was not found. Install one (on "
                "Debian or Ubuntu: apt-get install gcc), or name another one in the environment variable CC."
            )
        headers = sysconfig.get_path("include")
        if not any(os.path.exists(os.path.join(d, "Python.h")) for d in (headers, *self.include_dirs)):
            raise SystemExit(
                f"autodiffc is built with Python's C headers, and {headers} has none. Install them (on Debian or "
                "Ubuntu: apt-get install python3-dev)."
            )


class Abi3Wheel(bdist_wheel):
    def finalize_options(self) -> None:
        self.py_limited_api = "cp310"
        super().finalize_options()


# setuptools works in the source tree; where that cannot be written, in a directory of its own.
root = os.path.dirname(os.path.abspath(__file__))
options = {}
if not os.access(root, os.W_OK):
    work = tempfile.mkdtemp(prefix="autodiffc-build-")
    options = {"build": {"build_base": work}, "egg_info": {"egg_base": work}}

setup(
    cffi_modules=["autodiffc/_build_ffi.py:ffibuilder"],
    cmdclass={"build_ext": ParallelBuild, "bdist_wheel": Abi3Wheel},
    options=options,
)
