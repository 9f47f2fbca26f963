"""What the examples share: the command line, the library that runs them, and where pictures and numbers go.

    python examples/NAME.py [--backend autodiffc|torch] [--seed 0] [--out examples/out] [--numbers FILE]
"""

import argparse
import importlib
import json
import pathlib
import sys
import time
from typing import Any

_parser = argparse.ArgumentParser(add_help=False)
_parser.add_argument("--backend", choices=["autodiffc", "torch"], default="autodiffc", help="which library runs it")
_parser.add_argument("--seed", type=int, default=0)
_parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "out", help="for pictures")
_parser.add_argument("--numbers", type=pathlib.Path, help="write the numbers that are shown to this JSON file")
_known, _ = _parser.parse_known_args()

torch: Any = importlib.import_module(_known.backend)
started = time.perf_counter()


def arguments(doc: str, **options: Any) -> argparse.Namespace:
    """The command line: what all examples take, and an option for each further keyword, with its default."""
    parser = argparse.ArgumentParser(description=doc, parents=[_parser],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    return args


def plots() -> Any:
    """matplotlib.pyplot, drawing to files; None, with a word about it, where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        print("no picture: matplotlib is not installed (pip install 'autodiffc[examples]')", file=sys.stderr)
        return None
    matplotlib.use("Agg")
    return importlib.import_module("matplotlib.pyplot")


def save(figure: Any, name: str, args: argparse.Namespace) -> None:
    """Save a picture as OUT/NAME.png."""
    args.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out / f"{name}.png", dpi=100)
    print(f"picture: {args.out / name}.png")


def finish(args: argparse.Namespace, **numbers: Any) -> None:
    """Write the numbers that an example came to, and say how long it took."""
    if args.numbers:
        args.numbers.write_text(json.dumps(numbers))
    print(f"{time.perf_counter() - started:.1f} s with {args.backend}")
