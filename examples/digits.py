"""Trains a classifier on scikit-learn's bundled handwritten digits, with autodiffc or with PyTorch.

    python examples/digits.py [--backend autodiffc|torch] [--epochs 30] [--seed 0] [--compile]

Prints the loss of each epoch, the accuracy on the test digits and the time, and writes a picture beside the
script, in out/: the curves, and the test digits that the classifier got wrong with what it took them for.
With both backends the same seed gives the same losses.
"""

import argparse
import importlib
import json
import pathlib
import time

import numpy as np
from sklearn.datasets import load_digits
from tqdm import tqdm

OUT = pathlib.Path(__file__).parent / "out"


def load_data(torch, seed=0, test_share=0.2):
    """The 1,797 digits of 8x8 pixels, shuffled and split: x_train, y_train, x_test, y_test."""
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    x = (digits.data[order] / 16.0).astype(np.float32)
    y = digits.target[order].astype(np.int64)
    split = int(len(y) * (1 - test_share))
    return [torch.from_numpy(a) for a in (x[:split], y[:split], x[split:], y[split:])]


def train(torch, epochs=30, batch=32, seed=0, compiled=False, progress=True):
    """Trains; returns the model, the history and the seconds that training took."""
    nn, F = importlib.import_module(torch.__name__ + ".nn"), importlib.import_module(torch.__name__ + ".nn.functional")
    optim = importlib.import_module(torch.__name__ + ".optim")
    torch.manual_seed(seed)
    x_train, y_train, x_test, y_test = load_data(torch)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 10))
    optimizer = optim.Adam(model.parameters(), lr=2e-3)

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    if compiled:
        step = torch.compile(step)
    history = {"loss": [], "train accuracy": [], "test accuracy": []}

    def accuracy(x, y):
        with torch.no_grad():
            return (model(x).argmax(dim=1) == y).float().mean().item()

    start = time.perf_counter()
    bar = tqdm(range(epochs), unit="epoch", disable=not progress)
    for _ in bar:
        model.train()
        order = torch.randperm(len(x_train))
        total = 0.0
        for i in range(0, len(x_train) - batch + 1, batch):
            rows = order[i : i + batch]
            total += step(x_train[rows], y_train[rows]).item()
        model.eval()
        history["loss"].append(total / (len(x_train) // batch))
        history["train accuracy"].append(accuracy(x_train, y_train))
        history["test accuracy"].append(accuracy(x_test, y_test))
        bar.set_postfix(loss=f"{history['loss'][-1]:.4f}", test=f"{history['test accuracy'][-1]:.1%}")
    return model, history, time.perf_counter() - start


def picture(torch, model, history, path):
    """Loss and accuracy curves, and the test digits that were taken for something else."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    _, _, x, y = load_data(torch)
    with torch.no_grad():
        guess = model(x).argmax(dim=1)
    wrong = [k for k in range(len(y)) if guess[k].item() != y[k].item()]
    fig = plt.figure(figsize=(11, 6), layout="constrained")
    left, right = fig.subfigures(1, 2, width_ratios=[1.1, 1])
    loss, acc = left.subplots(2, 1, sharex=True)
    loss.plot(history["loss"], color="tab:red")
    loss.set(ylabel="training loss", yscale="log")
    acc.plot(history["train accuracy"], label="training digits")
    acc.plot(history["test accuracy"], label="test digits")
    acc.set(xlabel="epoch", ylabel="accuracy")
    acc.legend()
    for ax in (loss, acc):
        ax.grid(alpha=0.3)
    right.suptitle(f"{len(wrong)} of {len(y)} test digits taken for another: what they are, as what")
    shown = min(len(wrong), 16)
    columns = max(int(np.ceil(np.sqrt(shown))), 1)
    rows = max(-(-shown // columns), 1)
    for n, ax in enumerate(np.ravel(right.subplots(rows, columns))):
        ax.axis("off")
        if n < shown:
            k = wrong[n]
            ax.imshow(x[k].numpy().reshape(8, 8), cmap="gray_r")
            ax.set_title(f"{y[k].item()} as {guess[k].item()}", fontsize=9)
    path.parent.mkdir(exist_ok=True)
    fig.savefig(path, dpi=110)
    plt.close(fig)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backend", choices=["autodiffc", "torch"], default="autodiffc")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile", action="store_true", help="record the step once and replay it")
    parser.add_argument("--losses", type=pathlib.Path, help="write the loss of each epoch to this JSON file")
    args = parser.parse_args()
    torch = importlib.import_module(args.backend)
    model, history, seconds = train(torch, args.epochs, seed=args.seed, compiled=args.compile)
    path = OUT / f"digits_{args.backend}.png"
    picture(torch, model, history, path)
    if args.losses:
        args.losses.write_text(json.dumps(history["loss"]))
    print(f"test accuracy {history['test accuracy'][-1]:.1%}, loss {history['loss'][-1]:.4f}, {seconds:.2f} s for "
          f"{args.epochs} epochs with {args.backend}; picture: {path}")


if __name__ == "__main__":
    main()
