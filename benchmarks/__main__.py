"""Measures autodiffc beside PyTorch, NumPy's OpenBLAS and JAX, where they are installed.

Prints ratios and shares of the roofline, and saves a table (CSV), a picture and, with --write, a page with its picture.

    python -m benchmarks [SECTION ...] [--threads 2] [--quick] [--only TEXT] [--compile] [--out benchmarks/out]
                         [--write docs/performance.md]

A ratio is the peer's time over autodiffc's: above 1, autodiffc is faster. Without PyTorch the absolute times are
printed. Sections that are not run keep the rows of the table saved before, so that a page can be made in parts.
"""

import argparse
import importlib
import importlib.util
import os
import pathlib
import platform
import shlex
import statistics
import subprocess
import sys
import time

import autodiffc

from . import install, roofline, steps
from . import table as tables
from .table import Table

# A section is a module that is run as `python -m benchmarks.SECTION LIBRARY THREADS` and prints its cases with
# timing.show(). It is run for autodiffc and torch, or for what its LIBRARIES names. To add one, add its name here.
MODULES = [
    "overhead",
    "operations",
    "elementwise",
    "products",
    "inference",
    "convolutions",
    "images",
    "reductions",
    "indexing",
    "attention",
    "recurrent",
    "optimizers",
    "transforms",
    "files",
    "memory",
    "neighbours",
]
OWN = ["steps", "install"]  # measured in ways of their own, below
WITHOUT_ROOF = {"memory", "neighbours", "install", "steps"}
SECTIONS = [*MODULES, *OWN]


def available(name):
    return importlib.util.find_spec(name) is not None


def environment(threads):
    """Of a process with so many threads: OpenMP's and OpenBLAS's are set before their libraries are loaded, and
    OpenBLAS's threads sleep soon after a product (2**22 cycles), so that they are not in the others' way."""
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads),
            "OPENBLAS_THREAD_TIMEOUT": "22"}


def output(module, *arguments, threads):
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment(threads))
    return done.stdout


def outputs(module, libraries, arguments, threads):
    """(library, line) of all libraries' processes at once, which take turns case by case."""
    env = {**environment(threads), "BENCHMARKS_TURNS": "1"}
    running = dict.fromkeys(libraries)
    while running:
        for library in list(running):
            process = running[library]
            if process is None:
                command = [sys.executable, "-m", f"benchmarks.{module}", library, str(threads), *arguments]
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
                process = running[library] = subprocess.Popen(command, text=True, env=env, **pipes)
            else:
                time.sleep(0.01)  # for the threads of the library before to fall asleep
                process.stdin.write("\n")
                process.stdin.flush()
            line = process.stdout.readline()
            if line.strip():
                yield library, line
            elif not line:
                process.communicate()
                del running[library]
                if process.returncode:
                    raise subprocess.CalledProcessError(process.returncode, process.args)


def run_module(section, table, args, roof):
    """Each library in processes of its own, taking turns: round by round, or case by case (a module's TURNS)."""
    module = importlib.import_module(f"benchmarks.{section}")
    libraries = getattr(module, "LIBRARIES", ("autodiffc", "torch"))
    libraries = [x for x in libraries if available(x.split("-")[0])]
    samples, needs = {}, {}
    for _ in range(args.rounds):
        if getattr(module, "TURNS", False):
            lines = outputs(section, libraries, args.only, args.threads)
        else:
            texts = (
                (x, output(section, x, str(args.threads), *args.only, threads=args.threads)) for x in libraries
            )
            lines = ((library, line) for library, text in texts for line in text.splitlines())
        for library, line in lines:
            case, unit, value, *need = line.rstrip("\n").split("\t")
            samples.setdefault((case, unit), {}).setdefault(library, []).append(float(value))
            if library == "autodiffc":
                needs[case] = need
    for (case, unit), by in samples.items():
        t = {library: statistics.median(values) for library, values in by.items()}
        ours = t.pop("autodiffc")
        flops, moved, dtype = [*needs[case], *("0", "0", "float32")[len(needs[case]) :]]
        share = roof and unit == "us" and roofline.share(roof, ours, float(flops), float(moved), dtype)
        table.add(section, case, unit, ours, share or None, **t)


def run_steps(table, args):
    backends = ["autodiffc", "captured", *(["torch"] if available("torch") else [])]
    backends += ["torch.compile"] if args.compile and available("torch") else []
    in_jax = importlib.import_module("benchmarks.steps_jax").STEPS if available("jax") and available("optax") else {}
    for name in steps.STEPS:
        if args.only and args.only[0] not in name:
            continue
        here = backends + (["jax"] if name in in_jax else [])
        samples = {b: [] for b in here}
        for _ in range(args.rounds):
            for b in here:
                text = output("step_process", b, name, str(args.threads), threads=args.threads)
                samples[b].append([float(x) for x in text.split()])
        t = {b: statistics.median(s[1] for s in samples[b]) for b in here}
        first = {b: statistics.median(s[0] for s in samples[b]) / 1e3 for b in here}
        peers = [b for b in here if b not in ("autodiffc", "captured")]
        compilers = [b for b in peers if b != "torch"]
        table.add("steps", f"{name}: first call", "ms", first["captured"], **{b: first[b] for b in compilers})
        table.add("steps", name, "us", t["autodiffc"], **{b: t[b] for b in peers if b == "torch"})
        table.add("steps", f"{name}, captured", "us", t["captured"], **{b: t[b] for b in peers})


def run_install(table, args):
    peers = ["torch"] if available("torch") else []
    for what, unit, fn in (
        ("import, after numpy", "ms", lambda m: install.import_seconds(m) * 1e3),
        ("installed size", "MB", install.installed_megabytes),
        ("memory after one tensor", "MB", install.resident_megabytes),
        ("memory of 20 steps of the momentum MLP", "MB",
         lambda m: install.step_peak_megabytes(m, "MLP 784-512-512-10, batch 128, momentum")),
    ):
        table.add("install", what, unit, fn("autodiffc"), **{p: fn(p) for p in peers})


def version(name):
    return importlib.import_module(name).__version__ if available(name) else "not installed"


def machine(threads):
    return {
        "processor": autodiffc.show_config().splitlines()[1].removeprefix("processor: "),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, {threads} threads used",
        "versions": ", ".join(f"{n} {version(n)}" for n in ("autodiffc", "torch", "numpy", "jax"))
        + f", Python {platform.python_version()}",
    }


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n\n")[0])
    parser.add_argument("sections", nargs="*", help=f"any of {', '.join(SECTIONS)}; all when none is named")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one round instead of three")
    parser.add_argument("--only", nargs=1, default=[], help="cases whose names hold this text (not every section)")
    parser.add_argument("--compile", action="store_true", help="torch.compile among the peers of steps (slow)")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "out")
    parser.add_argument("--write", type=pathlib.Path, help="write this page, as docs/performance.md")
    args = parser.parse_args()
    args.rounds = 1 if args.quick else 3
    if args.quick:
        os.environ["BENCHMARKS_QUICK"] = "1"
    unknown = set(args.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"unknown section {', '.join(sorted(unknown))}")
    chosen = args.sections or SECTIONS
    described = machine(args.threads)
    print("\n".join(described.values()), "ratios in brackets: the peer's figure over autodiffc's", sep="\n")
    roofs, roof = {}, None
    if args.write or set(chosen) - WITHOUT_ROOF:
        known = [x for x in ("autodiffc", "torch", "numpy") if available(x)]
        roofs = roofline.measure(known, args.threads, environment)
        roof = roofs[args.threads]
        rates = (f"{x} {rate:.0f} {'GB' if x in roofline.SIZES else 'GFLOP'}/s" for x, (rate, _) in roof.items())
        print("roofline: " + ", ".join(rates))
    table = Table()
    for section in chosen:
        if section in MODULES:
            run_module(section, table, args, roof)
        else:
            globals()["run_" + section](table, args)
    for section, rows in tables.sections(table.rows).items():
        if s := tables.summary(rows):
            print(f"{section}: against the best peer, geometric mean {s[0]:.2f}, least {s[1]:.2f}, {s[2]} cases")
    args.out.mkdir(parents=True, exist_ok=True)
    saved = args.out / "ratios.csv"
    new = tables.sections(table.rows)
    old = tables.sections(Table.load(saved).rows) if saved.exists() else {}
    table.rows = [row for s in SECTIONS for row in new.get(s, old.get(s, []))]
    table.save(saved)
    tables.picture(table.rows, args.out / "ratios.png")
    print(f"saved {saved} and its picture")
    if args.write:
        options = [o for o, given in (("--quick", args.quick), ("--compile", args.compile)) if given]
        command = shlex.join(["python", "-m", "benchmarks", *options, "--write", str(args.write)])
        if args.sections:
            command += "` for each of these sections, one after another, with its name before the options: `"
            command += " ".join(tables.sections(table.rows))
        drawn = args.write.with_suffix(".svg")
        tables.picture(table.rows, drawn)
        page = tables.markdown(table.rows, roofs, described, command, drawn.name if drawn.exists() else None)
        args.write.write_text(page)
        print(f"wrote {args.write}")


if __name__ == "__main__":
    main()
