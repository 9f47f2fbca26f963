"""The comparison of a script between the libraries, on a script."""

import subprocess
import sys

from ..child import ROOT

SCRIPT = """
import sys
import torch
from torch import nn

torch.manual_seed(int(sys.argv[1]))
model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters(), 1e-2)
x = torch.randn(32, 3)
for _ in range(30):
    optimizer.zero_grad()
    (model(x) - x.prod(1, keepdim=True)).square().mean().backward()
    optimizer.step()
"""


def test_losses_of_a_script_agree(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    command = [sys.executable, "-m", "benchmarks.script", "--steps", "20", str(path), "3"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    rows = {line[:28].strip(): line[28:].split() for line in done.stdout.splitlines()}
    assert rows["backward calls"] == ["20", "20"]
    assert float(rows["first ten, worst difference"][0]) < 1e-4
    ours, theirs = (float(v) for v in rows["mean of the last tenth"])
    assert abs(ours - theirs) < 1e-4 * abs(theirs)
