"""The build: a cffi extension, compiled a file per core, as one abi3 wheel for CPython 3.10 and later."""

import os
from concurrent.futures import ThreadPoolExecutor

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext


class ParallelBuild(build_ext):
    """Compiles the C files of the extension side by side; setuptools takes them one after the other."""

    def build_extensions(self) -> None:
        compile_all = self.compiler.compile

        def compile_each(sources, **options):
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                done = [pool.submit(compile_all, [s], **options) for s in sources]
                return [obj for d in done for obj in d.result()]

        self.compiler.compile = compile_each
        super().build_extensions()


class Abi3Wheel(bdist_wheel):
    def finalize_options(self) -> None:
        self.py_limited_api = "cp310"
        super().finalize_options()


setup(
    cffi_modules=["autodiffc/_build_ffi.py:ffibuilder"],
    cmdclass={"build_ext": ParallelBuild, "bdist_wheel": Abi3Wheel},
)
