"""python -m autodiffc: scripts written for PyTorch run on the library, and otherwise as under python."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap

import pytest

import autodiffc

HOME = str(pathlib.Path(autodiffc.__file__).parents[1])
"""Where the package under test is found, whatever the working directory."""


def python(*args, cwd=None, path=(), **env):
    where = os.pathsep.join([*map(str, path), HOME, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run([sys.executable, *map(str, args)], capture_output=True, text=True, cwd=cwd,
                          env={**os.environ, "PYTHONPATH": where, **env})


def run(*args, **options):
    return python("-m", "autodiffc", *args, **options)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


# ---- torch is the library itself ----


def test_script_sees_our_modules_under_torchs_names(tmp_path):
    write(tmp_path / "helper.py", "import torch\nVALUE = torch.ones(2).sum().item()\n")
    script = write(tmp_path / "train.py", """
        import sys, torch, autodiffc
        import torch.autograd as autograd, torch.nn.functional as F
        from torch import Tensor, nn
        import helper, pickle, copy, inspect
        assert torch is autodiffc and autograd is autodiffc.autograd and Tensor is autodiffc.Tensor
        assert F is autodiffc.nn.functional is nn.functional
        assert torch.__spec__.name == "autodiffc"
        layer = pickle.loads(pickle.dumps(copy.deepcopy(nn.Linear(2, 3))))
        assert type(layer) is autodiffc.nn.Linear and "def forward" in inspect.getsource(nn.Linear)
        print(__name__, sys.argv[1:], helper.VALUE, __file__ == sys.argv[0])
    """)
    done = run(script, "--lr", "0.1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "__main__ ['--lr', '0.1'] 2.0 True"


def test_code_and_module(tmp_path):
    assert run("-c", "import torch, sys; print(torch.zeros(1).item(), sys.argv)", "x").stdout == "0.0 ['-c', 'x']\n"
    write(tmp_path / "prog.py", "import torch\nprint(__name__, torch.__name__)\n")
    assert run("-m", "prog", cwd=tmp_path).stdout == "__main__ autodiffc\n"


def test_star_import(tmp_path):
    done = run("-c", "from torch import *; from torch.nn import *; save; load; print(Linear(2, 1)(zeros(1, 2)).shape)")
    assert done.stdout == "torch.Size([1, 1])\n", done.stderr


def test_import_without_a_hook():
    code = "import autodiffc as torch; F = torch.nn.functional; print(F.relu(torch.tensor([-1., 2.])).tolist())"
    assert python("-c", code).stdout == "[0.0, 2.0]\n"


def test_uninstall_gives_the_name_back():
    code = """
        import builtins, importlib.util, sys, autodiffc
        before = builtins.__import__, importlib.util.find_spec, importlib._bootstrap._gcd_import, list(sys.meta_path)
        autodiffc.install(); autodiffc.install(); import torch, torch.nn; assert torch is autodiffc
        autodiffc.uninstall()
        assert not [n for n in sys.modules if n.partition(".")[0] == "torch"]
        after = builtins.__import__, importlib.util.find_spec, importlib._bootstrap._gcd_import, list(sys.meta_path)
        print(before == after)
    """
    done = python("-c", textwrap.dedent(code))
    assert done.stdout == "True\n", done.stderr


def test_ipython_extension():
    code = "import autodiffc as a; a.load_ipython_extension(None); import torch; a.unload_ipython_extension(None)"
    assert python("-c", code + "; print(torch is a)").stdout == "True\n"


# ---- as under python ----

SELF = """
    import os, sys, threading
    main = sys.modules["__main__"]
    print(__name__, __file__, __package__, __spec__ and __spec__.name, type(__loader__).__name__, sys.argv, sys.path[0])
    print(main.__dict__ is globals(), sorted(n for n in globals() if n.startswith("__")), __builtins__ is not None)
    f = threading.Thread(target=lambda: print(threading.current_thread() is not threading.main_thread()))
    f.start(); f.join()
"""


@pytest.mark.parametrize("how", ["name", "./name", "absolute", "link", "folder", "-m", "-m package"])
def test_a_program_finds_itself_as_under_python(tmp_path, how):
    write(tmp_path / "sub" / "prog.py", SELF)
    write(tmp_path / "sub" / "__main__.py", SELF)
    write(tmp_path / "sub" / "__init__.py", "")
    (tmp_path / "link.py").symlink_to(tmp_path / "sub" / "prog.py")
    args = {"name": ["sub/prog.py"], "./name": ["./sub/../sub/prog.py"], "absolute": [tmp_path / "sub" / "prog.py"],
            "link": ["link.py"], "folder": ["sub"], "-m": ["-m", "sub.prog"], "-m package": ["-m", "sub"]}[how]
    plain, ours = python(*args, "a", "-b", cwd=tmp_path), run(*args, "a", "-b", cwd=tmp_path)
    assert plain.returncode == 0, plain.stderr
    assert ours.stdout == plain.stdout and ours.stderr == plain.stderr


FAULTS = {
    "raise": "def f():\n    return 1 / 0\n\nf()\n",
    "deep": "import broken\n",
    "chained": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('x') from e\n",
    "syntax": "x = (1\n",
    "exit": "import sys\nsys.exit(3)\n",
    "exit text": "import sys\nsys.exit('no such luck')\n",
    "exit in atexit": "import atexit, sys\natexit.register(print, 'bye')\nsys.exit(4)\n",
    "os exit": "import os\nos._exit(5)\n",
    "hook": "import sys\nsys.excepthook = lambda *a: print(a[0], a[2].tb_frame.f_code.co_name)\n1 / 0\n",
    "thread": "import threading\ndef f():\n    raise ValueError(1)\nt = threading.Thread(target=f, name='T')\n"
              "t.start()\nt.join()\n",
    "import": "import no_such_module\n",
    "group": "raise KeyError('k')\n",
}


@pytest.mark.parametrize("kind", FAULTS)
def test_ends_as_under_python(tmp_path, kind):
    write(tmp_path / "broken.py", "def g():\n    raise RuntimeError('inside')\n\ng()\n")
    script = write(tmp_path / "prog.py", FAULTS[kind])
    plain, ours = python(script), run(script)
    assert (ours.returncode, ours.stdout) == (plain.returncode, plain.stdout)
    assert ours.stderr == plain.stderr


def test_interrupt_ends_by_its_signal(tmp_path):
    script = write(tmp_path / "prog.py", "import atexit\natexit.register(print, 'bye')\nraise KeyboardInterrupt\n")
    plain, ours = python(script), run(script)
    assert ours.returncode == plain.returncode == -signal.SIGINT
    assert ours.stdout == plain.stdout == "bye\n" and ours.stderr == plain.stderr


def test_tracebacks_hold_the_scripts_frames_only(tmp_path):
    script = write(tmp_path / "s.py", "import torch\n\ntorch.ones(2) + torch.ones(3)\n")
    done = run(script)
    assert done.returncode == 1 and "RuntimeError: The size of tensor a (2)" in done.stderr
    assert done.stderr.splitlines()[1] == f'  File "{script}", line 3, in <module>'
    assert "runpy" not in done.stderr and "_hook" not in done.stderr and "__main__.py" not in done.stderr
    done = run("-c", "import torch\n1 / 0")
    assert done.stderr.startswith('Traceback (most recent call last):\n  File "<string>", line 2, in <module>\n')


def test_standard_input(tmp_path):
    done = subprocess.run([sys.executable, "-m", "autodiffc", "-", "x"], input="import sys, torch\nprint(sys.argv)\n",
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": HOME})
    assert done.stdout == "['-', 'x']\n", done.stderr


def test_usage_and_what_cannot_be_run(tmp_path):
    done = run("no_such_script.py")
    assert done.returncode == 2 and "can't open file" in done.stderr and "No such file or directory" in done.stderr
    assert run().returncode == 2
    assert "usage:" in run("--help").stdout
    for args, text in {("--no-such-option",): "unknown option", ("-m",): "argument expected for the -m option",
                       ("-c",): "argument expected", ("-m", "no_such_module"): "No module named no_such_module",
                       ("-m", "json"): "is a package and cannot be directly executed"}.items():
        done = run(*args)
        assert done.returncode in (1, 2) and text in done.stderr and "Traceback" not in done.stderr
    bad = write(tmp_path / "x.ipynb", "{")
    done = run(bad)
    assert done.returncode == 2 and "is no notebook" in done.stderr and "Traceback" not in done.stderr


# ---- child processes ----

CHILDREN = """
    import multiprocessing, sys
    import torch

    def work(queue, x):
        import torch.nn as nn
        queue.put((torch.__name__, float(torch.tensor([x]).sum()), nn.Linear(1, 1).in_features, sys.argv[1:]))

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        queue = context.Queue()
        children = [context.Process(target=work, args=(queue, x)) for x in (1.0, 2.0)]
        for c in children:
            c.start()
        print(sorted(queue.get(timeout=60) for _ in children))
        for c in children:
            c.join()
        print([c.exitcode for c in children])
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_child_processes(tmp_path, method):
    script = write(tmp_path / "sub" / "prog.py", CHILDREN)
    done = run(script, method, cwd=tmp_path)
    rows = [("autodiffc", x, 1, [method]) for x in (1.0, 2.0)]
    assert done.stdout == f"{rows}\n[0, 0]\n", done.stderr
    (tmp_path / "prog.py").write_text(script.read_text())
    assert run("-m", "prog", method, cwd=tmp_path).stdout == done.stdout


# ---- notebooks ----


def notebook(path, *cells):
    listed = [{"cell_type": "code", "metadata": {"tags": ["raises-exception"] if "# fails" in c else []},
               "source": textwrap.dedent(c).strip("\n").splitlines(True)} for c in cells]
    listed.insert(1, {"cell_type": "markdown", "source": ["# Text\n"]})
    path.write_text(json.dumps({"cells": listed, "nbformat": 4, "metadata": {}}))
    return path


def test_notebook(tmp_path):
    nb = notebook(
        tmp_path / "n.ipynb",
        "%matplotlib inline\n!pip install torch\nimport torch\nx = torch.ones(2)",
        "files = !ls\nfor k in range(2):\n    !echo {k}\n    x = x + 1\nprint(x.tolist(), files)\nx?",
        "%%time\ntext = '''\n%s\n''' % x.sum().item()\nprint(text.strip(), __name__)\ndisplay(5)",
        "%%bash\necho no",
        "%%writefile made.py\nimport torch\nVALUE = torch.zeros(3).numel()",
        "import made, sys\nprint(made.VALUE, sys.argv[1:])\nget_ipython().run_line_magic('load_ext', 'x')",
    )
    done = run(nb, "a", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[3.0, 3.0] []\n6.0 __main__\n5\n3 ['a']\n"
    skipped = [line.partition("skipped ")[2] for line in done.stderr.splitlines()]
    assert skipped == ["%matplotlib inline", "files = !ls", "!echo {k}", "x?", "%%bash and its cell"]
    assert "pip" not in done.stderr and "n.ipynb, cell 1, line 1" in done.stderr


def test_notebook_errors_name_the_cell(tmp_path):
    done = run(notebook(tmp_path / "n.ipynb", "x = 1", "def f():\n    return x / 0\n\nf()"))
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[1] == f'  File "{tmp_path}/n.ipynb, cell 2", line 4, in <module>' and lines[2] == "    f()"
    assert lines[-1] == "ZeroDivisionError: division by zero"
    done = run(notebook(tmp_path / "n.ipynb", "1 / 0  # fails", "print(2)"))
    assert done.returncode == 0 and done.stdout == "2\n" and done.stderr.count("ZeroDivisionError") == 1
    done = run(notebook(tmp_path / "n.ipynb", "x = (1"))
    assert done.returncode == 1 and "SyntaxError" in done.stderr and "cell 1" in done.stderr


# ---- scope ----

PROBE = """
    import importlib, importlib.util, sys

    def lazily():
        try:
            import torch.nn.functional as F
            return F.__name__
        except ModuleNotFoundError as e:
            return e.name

    def by_name():
        try:
            return importlib.import_module("torch").__name__
        except ModuleNotFoundError as e:
            return e.name

    def found():
        return importlib.util.find_spec("torch") is not None

    def if_used(x):
        if "torch" not in sys.modules:
            return "unused"
        import torch
        return isinstance(x, torch.Tensor)

    try:
        import torch
        from torch import nn
        HAVE = torch.__name__
    except ImportError as e:
        HAVE = str(e)
"""


@pytest.fixture
def site(tmp_path):
    """A folder of installed packages (a .pth file of the real one names it), with packages that probe for torch."""
    folder = tmp_path / "venv" / "lib" / "site-packages"
    write(folder / "probe.py", PROBE)
    write(folder / "probe2.py", PROBE)
    write(folder / "einops_exts" / "__init__.py", PROBE)
    return folder


ASK = """
    import sys
    sys.path.append({site!r})
    import probe
    import torch
    import probe2, einops_exts
    for p in (probe, probe2, einops_exts):
        print(p.HAVE, p.lazily(), p.by_name(), p.found(), p.if_used(torch.ones(1)))
    import autodiffc, torch.nn
    assert sys.modules["torch"] is torch is autodiffc and sys.modules["torch.nn"] is torch.nn is autodiffc.nn
    assert not torch.cuda.is_available()
"""


@pytest.fixture
def no_torch():
    if importlib_finds_torch():
        pytest.skip("PyTorch is installed here")


def importlib_finds_torch():
    return python("-c", "import torch").returncode == 0


def test_third_parties_see_what_they_would_without(tmp_path, site, no_torch):
    done = run(write(tmp_path / "app" / "s.py", ASK.format(site=str(site))))
    without = "No module named 'torch' torch torch False True"
    ours = "autodiffc autodiffc.nn.functional autodiffc True True"
    assert done.stdout.splitlines() == [without, without, ours], done.stderr
    done = run("--everywhere", tmp_path / "app" / "s.py")
    assert done.stdout.splitlines() == [ours] * 3, done.stderr


def test_own_folders_are_in_scope(tmp_path):
    """The script's directory, the working directory, PYTHONPATH entries, and what the script adds to sys.path."""
    for folder in ("scripts", "cwd", "path", "added", "cwd/venv/site-packages"):
        write(tmp_path / folder / f"in_{folder.replace('/', '_').replace('-', '_')}.py", PROBE)
    script = write(tmp_path / "scripts" / "s.py", f"""
        import sys
        sys.path += ["", {str(tmp_path / "added")!r}, {str(tmp_path / "cwd/venv/site-packages")!r}]
        import in_scripts, in_cwd, in_path, in_added, in_cwd_venv_site_packages as site
        print(in_scripts.HAVE, in_cwd.HAVE, in_path.HAVE, in_added.HAVE, site.HAVE != "autodiffc")
    """)
    done = run(script, cwd=tmp_path / "cwd", path=[tmp_path / "path"])
    assert done.stdout == "autodiffc autodiffc autodiffc autodiffc True\n", done.stderr


def test_imports_of_other_things_leave_no_frame(tmp_path, site):
    """A fault in a module is shown as under python, whoever imports it, and however."""
    write(site / "party.py", "import faulty\n")
    write(site / "faulty.py", "raise ValueError('inside')\n")
    for how in ("import party", "import importlib; importlib.import_module('party')"):
        script = write(tmp_path / "s.py", f"import sys\nsys.path.append({str(site)!r})\n{how}\n")
        assert run(script).stderr == python(script).stderr


# ---- what is missing ----


def test_what_is_missing_is_named(tmp_path):
    cases = {
        "import torch.no_such_part": "autodiffc has no module for torch.no_such_part, and neither has PyTorch",
        "import torch\ntorch.sparse_csr_tensor": "use torch.sparse_coo_tensor",
        "import torch\ntorch.no_such_function": "has no attribute 'no_such_function'",
        "from torch import no_such_function": "cannot import name 'no_such_function' from 'torch'",
        "import torch.nn as nn\nnn.Linaer": "nn.Linear",
    }
    for code, text in cases.items():
        script = write(tmp_path / "s.py", code + "\n")
        done = run(script)
        assert done.returncode == 1
        if text:
            assert text in done.stderr, done.stderr
        assert done.stderr.startswith(f'Traceback (most recent call last):\n  File "{script}"')
