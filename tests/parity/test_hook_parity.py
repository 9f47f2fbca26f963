"""A third party's PyTorch beside a script on this library."""

import textwrap

import pytest

from ..test_hook import python, run, write


@pytest.mark.parametrize("first", ["party", "script"])
def test_a_third_partys_pytorch_stays_its_own(tmp_path, first):
    site = tmp_path / "venv" / "site-packages"
    write(site / "party.py", """
        import torch, torch.nn as nn
        import torch.nn.functional as F

        def step():
            import torch.utils.data
            from torch import optim
            net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
            opt = optim.SGD(net.parameters(), 0.1)
            F.mse_loss(net(torch.ones(2, 3)), torch.zeros(2, 1)).backward()
            opt.step()
            return torch.__name__, type(net[0]).__module__, repr(torch.zeros(2)), str(net)
    """)
    imports = ["import party", "import torch, torch.nn as nn"]
    script = write(tmp_path / "app" / "s.py", "import sys\nsys.path.append({!r})\n{}\n{}\n".format(
        str(site), *(imports if first == "party" else imports[::-1])) + textwrap.dedent("""
        import autodiffc, importlib
        print(party.step()[:2])
        assert party.torch is not torch is autodiffc and party.nn is not nn is autodiffc.nn
        assert type(party.torch.ones(1)) is not torch.Tensor and not isinstance(party.torch.ones(1), torch.Tensor)
        import torch.nn.functional as F, torch.optim
        assert F is autodiffc.nn.functional and torch.optim is autodiffc.optim
        assert importlib.import_module("torch.nn.functional") is F
        assert all(m.__name__.startswith("autodiffc") for n, m in sys.modules.items() if n.split(".")[0] == "torch")
        print(torch.ones(2), party.step()[2])
    """))
    done = run(script)
    assert done.stdout == "('torch', 'torch.nn.modules.linear')\ntensor([1., 1.]) tensor([0., 0.])\n", done.stderr


def test_install_after_pytorch_is_refused():
    done = python("-c", "import torch, autodiffc; autodiffc.install()")
    assert done.returncode == 1 and "RuntimeError: PyTorch itself is imported already" in done.stderr
