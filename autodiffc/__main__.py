"""python -m autodiffc: runs a program written for PyTorch with torch resolved to autodiffc."""

import sys

USAGE = """\
usage: python -m autodiffc [--everywhere] SCRIPT [ARGS ...]
       python -m autodiffc [--everywhere] NOTEBOOK.ipynb [ARGS ...]
       python -m autodiffc [--everywhere] -m MODULE [ARGS ...]
       python -m autodiffc [--everywhere] -c CODE [ARGS ...]
       python -m autodiffc --check FILE ...

Runs a program written for PyTorch, unchanged, with `import torch` resolved to autodiffc.

  --everywhere  installed third-party packages get autodiffc as torch too, not only the program's own files
  --check       reads the files without running them and says which names of PyTorch that they use are supported
"""


def _run(argv):
    from ._hook import install, run

    everywhere = False
    while argv and argv[0] == "--everywhere":
        everywhere, argv = True, argv[1:]
    if not argv:
        print(USAGE, end="", file=sys.stderr)
        return 2
    first = argv[0]
    sys.argv = list(argv)
    if first in ("-m", "-c"):
        if len(argv) < 2:
            raise run.CannotRun(f"argument expected for the {first} option\n{USAGE}", 2)
        del sys.argv[:1]
        if first == "-c":
            sys.argv[0] = "-c"
        install(everywhere)
        return run.execute(*(run.module if first == "-m" else run.command)(argv[1]))
    if first.startswith("-") and first != "-":
        raise run.CannotRun(f"unknown option {first}\n{USAGE}", 2)
    install(everywhere, None if first == "-" else first)
    if first.endswith(".ipynb"):
        from ._hook.notebook import notebook

        return run.execute(*notebook(first))
    return run.execute(*run.script(first))


def main(argv):
    if not argv:
        print(USAGE, end="", file=sys.stderr)
        return 2
    if argv[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    if argv[0] in ("--check", "--coverage"):
        from ._hook import check

        return check.main(argv[1:]) if argv[0] == "--check" else check.write_coverage(argv[1:])
    from ._hook.run import CannotRun

    try:
        return _run(argv)
    except CannotRun as e:
        print(f"{sys.executable} -m autodiffc: {e}", file=sys.stderr)
        return e.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
