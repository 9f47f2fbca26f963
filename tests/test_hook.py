"""python -m autodiffc: scripts written for PyTorch run with torch resolved to the library."""

import os
import pathlib
import subprocess
import sys
import textwrap

import autodiffc

HOME = str(pathlib.Path(autodiffc.__file__).parents[1])
"""Where the package under test is found, whatever the working directory."""


def run(*args, cwd=None):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [HOME, os.environ.get("PYTHONPATH")]))}
    return subprocess.run([sys.executable, "-m", "autodiffc", *args], capture_output=True, text=True, cwd=cwd, env=env)


def test_script_sees_our_modules_under_torchs_names(tmp_path):
    (tmp_path / "helper.py").write_text("import torch\nVALUE = torch.ones(2).sum().item()\n")
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent("""
        import sys, torch, autodiffc
        import torch.autograd as autograd
        from torch import Tensor
        import helper
        assert torch is autodiffc and autograd is autodiffc.autograd and Tensor is autodiffc.Tensor
        assert torch.__spec__.name == "autodiffc"
        print(__name__, sys.argv[1:], helper.VALUE, __file__ == sys.argv[0])
    """)
    )
    done = run(str(script), "--lr", "0.1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "__main__ ['--lr', '0.1'] 2.0 True"


def test_code_and_module(tmp_path):
    assert run("-c", "import torch, sys; print(torch.zeros(1).item(), sys.argv)", "x").stdout == "0.0 ['-c', 'x']\n"
    (tmp_path / "prog.py").write_text("import torch\nprint(__name__, torch.__name__)\n")
    assert run("-m", "prog", cwd=tmp_path).stdout == "__main__ autodiffc\n"


def test_exit_code_and_traceback_of_the_script(tmp_path):
    script = tmp_path / "s.py"
    script.write_text("import sys\nsys.exit(3)\n")
    assert run(str(script)).returncode == 3
    script.write_text("import torch\ntorch.ones(2) + torch.ones(3)\n")
    done = run(str(script))
    assert done.returncode == 1 and "RuntimeError: The size of tensor a (2)" in done.stderr and "s.py" in done.stderr


def test_what_is_missing_is_named():
    done = run("-c", "import torch.no_such_part")
    assert done.returncode == 1 and "ModuleNotFoundError: autodiffc has no module for torch.no_such_part" in done.stderr


def test_missing_file_and_usage():
    assert run("no_such_script.py").returncode == 2
    assert run().returncode == 2
    assert "usage:" in run("--help").stdout


def test_uninstall_gives_the_name_back():
    code = (
        "import autodiffc, sys; autodiffc.install(); import torch; assert torch is autodiffc;"
        "autodiffc.uninstall(); assert 'torch' not in sys.modules; print('ok')"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "ok\n"
