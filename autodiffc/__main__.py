"""python -m autodiffc SCRIPT [ARGS], -m MODULE [ARGS] or -c CODE [ARGS]: runs it with torch resolved to autodiffc."""

import os
import runpy
import sys

from ._hook import install

USAGE = "usage: python -m autodiffc SCRIPT [ARGS ...] | -m MODULE [ARGS ...] | -c CODE [ARGS ...]"


def main(argv):
    if not argv or argv[0] in ("-h", "--help"):
        print(__doc__ + "\n\n" + USAGE)
        return 0 if argv else 2
    install()
    kind = argv[0]
    if kind in ("-m", "-c"):
        if len(argv) < 2:
            print(USAGE, file=sys.stderr)
            return 2
        sys.path[0] = "" if kind == "-c" else os.getcwd()
        if kind == "-m":
            sys.argv = argv[1:]
            runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = ["-c", *argv[2:]]
            main_module = sys.modules["__main__"] = type(sys)("__main__")
            exec(compile(argv[1], "<string>", "exec"), main_module.__dict__)
        return 0
    if not os.path.exists(kind):
        print(f"python -m autodiffc: can't open file {os.path.abspath(kind)!r}: no such file", file=sys.stderr)
        return 2
    sys.argv = list(argv)
    sys.path[0] = os.path.dirname(os.path.abspath(kind))
    runpy.run_path(kind, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
