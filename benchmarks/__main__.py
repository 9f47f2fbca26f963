"""Measures autodiffc beside PyTorch (and JAX where it is installed) in one run, prints ratios, and saves a
table (CSV) and a picture.

    python -m benchmarks [overhead operations steps convolutions files install] [--threads 2] [--quick]
                         [--out benchmarks/out]

A ratio is the peer's time over autodiffc's: above 1, autodiffc is faster. Without PyTorch the absolute times are
printed.
"""

import argparse
import csv
import importlib
import importlib.util
import pathlib
import statistics
import subprocess
import sys

import autodiffc

from . import install, operations, overhead, steps
from .timing import side_by_side

SECTIONS = ["overhead", "operations", "steps", "convolutions", "files", "install"]


def available(name):
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


class Table:
    """Rows of (section, case, variant, ours, peers), printed as they come."""

    def __init__(self):
        self.rows = []

    def add(self, section, case, unit, ours, **peers):
        ratios = {peer: value / ours for peer, value in peers.items() if value}
        self.rows.append(dict(section=section, case=case, unit=unit, autodiffc=ours, **peers,
                              **{f"ratio {p}": r for p, r in ratios.items()}))
        text = "  ".join(f"{p} {peers[p]:10.2f} ({r:5.2f}x)" for p, r in ratios.items())
        print(f"{section:11s} {case:44s} {ours:10.2f} {unit}  {text}", flush=True)

    def save(self, path):
        names = list(dict.fromkeys(k for row in self.rows for k in row))
        with open(path, "w", newline="") as f:
            writer = csv.DictWriter(f, names)
            writer.writeheader()
            writer.writerows(self.rows)


def run_overhead(table, torch, rounds):
    ours, theirs = overhead.cases(autodiffc), overhead.cases(torch) if torch else {}
    for case, fn in ours.items():
        t = side_by_side({"ad": fn, **({"torch": theirs[case]} if torch else {})}, rounds)
        table.add("overhead", case, "us", t["ad"], **({"torch": t["torch"]} if torch else {}))


def run_operations(table, torch, rounds):
    for cases in (operations.cases, operations.backward_cases):
        for label, sizes in operations.SIZES.items():
            if cases is operations.backward_cases and label == "1e7":
                continue
            ours, theirs = cases(autodiffc, sizes), cases(torch, sizes) if torch else {}
            for case, fn in ours.items():
                t = side_by_side({"ad": fn, **({"torch": theirs[case]} if torch else {})}, rounds)
                name = f"{case}{' (and backward)' if cases is operations.backward_cases else ''}, {label} elements"
                table.add("operations", name, "us", t["ad"], **({"torch": t["torch"]} if torch else {}))


def run_steps(table, torch, rounds):
    """Each library in processes of its own, taking turns."""
    threads, has_jax = autodiffc.get_num_threads(), available("jax") and available("optax")
    for name in steps.STEPS:
        backends = ["autodiffc", "captured", *(["torch"] if torch else [])]
        backends += ["jax"] if has_jax and steps.build_jax(name) else []
        samples = {b: [] for b in backends}
        for _ in range(max(1, rounds // 3)):
            for b in backends:
                command = [sys.executable, "-m", "benchmarks.step_process", b, name, str(threads)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                samples[b].append([float(x) for x in done.stdout.split()])
        t = {b: statistics.median(s[1] for s in samples[b]) for b in backends}
        recording = statistics.median(s[0] for s in samples["captured"]) / 1e3
        table.add("steps", f"{name}: recording", "ms", recording)
        peers = {b: t[b] for b in ("torch", "jax") if b in t}
        table.add("steps", name, "us", t["autodiffc"], **peers)
        table.add("steps", f"{name}, captured", "us", t["captured"], **peers)


def run_processes(section, table, torch, rounds):
    """Each library in processes of its own, taking turns: those that print a line of case, unit and value."""
    libraries = ["autodiffc", *(["torch"] if torch else [])]
    samples = {}
    for _ in range(max(1, rounds // 3)):
        for library in libraries:
            command = [sys.executable, "-m", f"benchmarks.{section}", library, str(autodiffc.get_num_threads())]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            for line in done.stdout.splitlines():
                case, unit, value = line.split("\t")
                samples.setdefault((case, unit), {}).setdefault(library, []).append(float(value))
    for (case, unit), by in samples.items():
        t = {library: statistics.median(values) for library, values in by.items()}
        table.add(section, case, unit, t.pop("autodiffc"), **t)


def run_files(table, torch, rounds):
    run_processes("files", table, torch, rounds)


def run_convolutions(table, torch, rounds):
    run_processes("convolutions", table, torch, rounds)


def run_install(table, torch, rounds):
    peers = ["torch"] if torch else []
    for what, unit, fn in (
        ("import, after numpy", "ms", lambda m: install.import_seconds(m) * 1e3),
        ("installed size", "MB", install.installed_megabytes),
        ("memory after one tensor", "MB", install.resident_megabytes),
        ("memory of 20 steps of the momentum MLP", "MB",
         lambda m: install.step_peak_megabytes(m, "MLP 784-512-512-10, batch 128, momentum")),
    ):
        table.add("install", what, unit, fn("autodiffc"), **{p: fn(p) for p in peers})


def picture(rows, path):
    """The ratios as bars on a logarithmic scale."""
    try:
        import matplotlib
    except ImportError:
        print("no picture: matplotlib is not installed (pip install 'autodiffc[bench]')")
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = [r for r in rows if r.get("ratio torch") or r.get("ratio jax")]
    if not shown:
        return
    fig, ax = plt.subplots(figsize=(10, 0.22 * len(shown) + 1.5), layout="constrained")
    for k, (peer, color) in enumerate((("torch", "tab:orange"), ("jax", "tab:blue"))):
        at = [i + 0.36 * k for i, r in enumerate(shown) if r.get(f"ratio {peer}")]
        ax.barh(at, [r[f"ratio {peer}"] for r in shown if r.get(f"ratio {peer}")], 0.36, color=color, label=peer)
    ax.set_yticks(range(len(shown)), [r["case"] for r in shown], fontsize=7)
    ax.set_ylim(len(shown), -1)
    ax.set_xscale("log")
    ax.axvline(1, color="black", linewidth=0.8)
    ax.set_xlabel("times faster than the peer")
    ax.legend()
    ax.grid(axis="x", alpha=0.3)
    fig.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n\n")[0])
    parser.add_argument("sections", nargs="*", help=f"any of {', '.join(SECTIONS)}; all when none is named")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="three rounds instead of nine")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "out")
    args = parser.parse_args()
    unknown = set(args.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"unknown section {', '.join(sorted(unknown))}")
    torch = available("torch")
    for library in filter(None, (autodiffc, torch)):
        library.set_num_threads(args.threads)
    print(f"autodiffc {autodiffc.__version__}, torch {torch.__version__ if torch else 'not installed'}, "
          f"{args.threads} threads; medians; the ratio in brackets is the peer's figure over autodiffc's")
    table, rounds = Table(), 3 if args.quick else 9
    for section in args.sections or SECTIONS:
        globals()["run_" + section](table, torch, rounds)
    for section in ("overhead", "operations", "steps", "convolutions", "files"):
        ratios = [r["ratio torch"] for r in table.rows if r["section"] == section and r.get("ratio torch")]
        if ratios:
            print(f"{section}: geometric mean {statistics.geometric_mean(ratios):.2f}x torch over {len(ratios)} cases")
    args.out.mkdir(parents=True, exist_ok=True)
    table.save(args.out / "ratios.csv")
    picture(table.rows, args.out / "ratios.png")
    print(f"saved {args.out / 'ratios.csv'} and its picture")


if __name__ == "__main__":
    main()
