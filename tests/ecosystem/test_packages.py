"""Other packages with our tensors, run as scripts that import torch: pytest -m ecosystem."""

import importlib.util
import textwrap

import pytest

from .. import child

pytestmark = pytest.mark.ecosystem

SCRIPTS = {
    "einops": """
        from einops import einsum, pack, rearrange, reduce, repeat, unpack
        from einops.layers.torch import EinMix, Rearrange, Reduce
        y = rearrange(x, 'a b c -> b (a c)')
        assert y.shape == (3, 8) and y.tolist() == x.permute(1, 0, 2).reshape(3, 8).tolist()
        assert reduce(x, 'a b c -> a', 'max').tolist() == [11, 23]
        assert repeat(x, 'a b c -> a b (c d)', d=2).shape == (2, 3, 8)
        assert einsum(x, x, 'a b c, a b c -> a').tolist() == [506, 3818]
        packed, shapes = pack([x, x[:, :, 0]], 'a b *')
        assert [t.shape for t in unpack(packed, shapes, 'a b *')] == [(2, 3, 4), (2, 3)]
        net = torch.nn.Sequential(Rearrange('b c w -> b (c w)'), torch.nn.Linear(12, 6))
        net(x).sum().backward()
        assert net[1].weight.grad.shape == (6, 12) and Reduce('b c w -> b c', 'mean')(x).shape == (2, 3)
        assert EinMix('b c w -> b c o', 'w o', 'o', w=4, o=2)(x).shape == (2, 3, 2)
    """,
    "safetensors": """
        import os, tempfile
        from safetensors import safe_open
        from safetensors.torch import load, load_file, load_model, save, save_file, save_model
        path = os.path.join(tempfile.mkdtemp(), 'a.safetensors')
        tensors = {'x': x, 'b': torch.ones(3, dtype=torch.bfloat16), 'i': torch.tensor([1, 2])}
        save_file(tensors, path, metadata={'a': 'b'})
        r = load_file(path)
        assert r['x'].equal(x) and r['b'].dtype is torch.bfloat16 and load(save({'x': x}))['x'].equal(x)
        with safe_open(path, framework='pt') as f:
            assert f.get_slice('x')[:, 1].shape == (2, 4) and f.metadata() == {'a': 'b'}
        a, b = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
        save_model(a, path)
        load_model(b, path)
        assert a.weight.equal(b.weight)
        from autodiffc.utils import safetensors as ours
        assert ours.load_file(path)['weight'].equal(a.weight) and ours.load(ours.save({'x': x}))['x'].equal(x)
        ours.save_file({'x': x, 'e': torch.empty(0, 3), 'b': torch.ones(2).bfloat16()}, path)
        assert load_file(path)['e'].shape == (0, 3) and load_file(path)['b'].tolist() == [1, 1]
    """,
    "tensorboardX": """
        import glob, tempfile
        for module in ('tensorboardX', 'torch.utils.tensorboard'):
            SummaryWriter = __import__(module, fromlist=['x']).SummaryWriter
            folder = tempfile.mkdtemp()
            w = SummaryWriter(folder)
            w.add_scalar('a', x.sum(), 1)
            w.add_scalar('b', x.mean().item(), 1)
            w.add_scalars('s', {'a': 1.0, 'b': 2.0}, 1)
            w.add_histogram('h', x, 1)
            w.add_image('i', torch.rand(3, 8, 8), 1)
            w.add_images('is', torch.rand(2, 3, 8, 8), 1)
            w.close()
            assert glob.glob(folder + '/events*')
    """,
    "pandas": """
        import pandas as pd
        assert pd.DataFrame(x[0].numpy()).shape == (3, 4) == pd.DataFrame(x[0]).shape
        frame = pd.DataFrame({'a': x[0, 0], 'b': x[0, 1].tolist()})
        assert torch.tensor(frame.values).shape == (4, 2) and torch.tensor(frame['a']).dtype is torch.float32
        assert torch.from_numpy(frame.to_numpy()).sum() == x[0, :2].sum()
        assert torch.tensor(pd.Series([1, 2])).tolist() == [1, 2]
    """,
    "matplotlib": """
        import io
        import matplotlib
        matplotlib.use('Agg')
        import matplotlib.pyplot as plt
        fig, ax = plt.subplots()
        ax.plot(x[0, 0], x[0, 1])
        ax.plot(torch.ones(3, requires_grad=True).detach())
        ax.scatter(x[0, 0], x[0, 1], c=x[0, 0])
        ax.hist(x.flatten())
        ax.imshow(x[0])
        ax.bar(range(3), x[0, :, 0])
        ax.fill_between(x[0, 0], x[0, 0], x[0, 1])
        ax.errorbar(x[0, 0], x[0, 1], yerr=x[0, 1])
        ax.contourf(x[0], x[0], x[0])
        ax.quiver(x[0], x[0], x[0], x[0])
        fig.savefig(io.BytesIO())
    """,
    "tqdm": """
        from torch.utils.data import DataLoader, TensorDataset
        from tqdm import tqdm, trange
        n = sum(1 for _ in tqdm(DataLoader(TensorDataset(x), batch_size=1))) + sum(1 for _ in tqdm(x))
        bar = trange(3)
        for _ in bar:
            bar.set_postfix(loss=x.sum(), value=x.sum().item())
        assert n == 4
    """,
    "gymnasium": """
        import gymnasium as gym
        env = gym.make('CartPole-v1')
        state, _ = env.reset(seed=0)
        policy = torch.nn.Linear(4, 2)
        for _ in range(20):
            action = torch.multinomial(policy(torch.from_numpy(state)).softmax(-1), 1)
            state, reward, done, cut, _ = env.step(action.item())
            if done or cut:
                state, _ = env.reset()
        env.step(int(torch.tensor(1)))
        pendulum = gym.make('Pendulum-v1')
        pendulum.reset(seed=0)
        pendulum.step(torch.tensor([0.5]).numpy())
        pendulum.step(torch.tensor([0.5]))
        assert torch.as_tensor(env.observation_space.sample()).shape == (4,)
    """,
    "sklearn": """
        from sklearn.metrics import accuracy_score, confusion_matrix, r2_score
        from sklearn.model_selection import train_test_split
        y = torch.tensor([0, 1, 1])
        assert accuracy_score(y, y) == 1 and confusion_matrix(y, y).tolist() == [[1, 0], [0, 2]]
        a, b = train_test_split(torch.arange(10.0), test_size=0.2, random_state=0)
        assert type(a) is torch.Tensor and len(a) == 8 and r2_score(x[0, 0], x[0, 0]) == 1
    """,
    "scipy": """
        import scipy.stats
        assert abs(scipy.stats.pearsonr(x[0, 0], x[0, 1])[0] - 1) < 1e-5 and scipy.stats.norm.pdf(x[0, 0]).shape == (4,)
    """,
    "torchvision": """
        import torchvision
        from torchvision import datasets, models, transforms
        steps = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
                 transforms.Normalize((0.5,) * 3, (0.5,) * 3)]
        data = datasets.FakeData(4, (3, 32, 32), 10, transforms.Compose(steps))
        images, labels = next(iter(torch.utils.data.DataLoader(data, batch_size=2)))
        net = models.resnet18(num_classes=10)
        torch.nn.functional.cross_entropy(net(images), labels).backward()
        assert type(images) is torch.Tensor and net.fc.weight.grad.shape == (10, 512)
        assert torchvision.utils.make_grid(images).shape == (3, 36, 70)
    """,
}
START = "import torch\nx = torch.arange(24.0).reshape(2, 3, 4)\nassert 'torch.Tensor' in str(type(x))\n"


@pytest.mark.parametrize("package", SCRIPTS)
def test_scripts(package):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    done = child.run("-m", "autodiffc", "-c", START + textwrap.dedent(SCRIPTS[package]))
    assert done.returncode == 0, done.stderr


def test_einops_without_torch_in_sight():
    pytest.importorskip("einops")
    code = """
        import sys
        import autodiffc as ad
        from einops import rearrange, reduce, repeat, einsum
        x = ad.arange(24.0).reshape(2, 3, 4).requires_grad_()
        y = rearrange(x, 'a b c -> b (a c)')
        y.sum().backward()
        assert y.shape == (3, 8) and x.grad.shape == x.shape and repeat(x, 'a b c -> a b c d', d=2).shape[-1] == 2
        for op in ('min', 'max', 'sum', 'mean', 'prod'):
            assert reduce(x, 'a b c -> b', op).shape == (3,), op
        assert reduce(x > 3, 'a b c -> a', 'any').tolist() == [True, True]
        assert einsum(x, x, 'a b c, a b c -> ').numel() == 1
        assert 'torch' not in sys.modules
    """
    done = child.run("-c", textwrap.dedent(code))
    assert done.returncode == 0, done.stderr
