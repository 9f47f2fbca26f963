"""The results: rows that are printed as they come, kept as CSV, drawn, and written as docs/performance.md."""

import csv
import statistics

FIXED = ("section", "case", "unit", "autodiffc", "roofline")


def number(text):
    return float(text) if text else None


class Table:
    """Rows of section, case, unit, our figure, the share of the roofline (or None), and each peer's figure."""

    def __init__(self, rows=()):
        self.rows = list(rows)

    def add(self, section, case, unit, ours, roofline=None, **peers):
        row = dict(section=section, case=case, unit=unit, autodiffc=ours, roofline=roofline)
        row.update({p: v for p, v in peers.items() if v})
        self.rows.append(row)
        text = "  ".join(f"{p} {row[p]:10.2f} ({r:5.2f}x)" for p, r in ratios(row).items())
        share = f"  {roofline:5.1%} of the roofline" if roofline else ""
        print(f"{section:11s} {case:52s} {ours:10.2f} {unit}  {text}{share}", flush=True)

    @classmethod
    def load(cls, path):
        with open(path, newline="") as f:
            read = list(csv.DictReader(f))
        text = ("section", "case", "unit")
        return cls([{k: v if k in text else number(v) for k, v in r.items() if v or k in FIXED} for r in read])

    def save(self, path):
        names = list(dict.fromkeys([*FIXED, *(k for row in self.rows for k in row)]))
        with open(path, "w", newline="") as f:
            writer = csv.DictWriter(f, names)
            writer.writeheader()
            writer.writerows(self.rows)


def ratios(row):
    """{peer: its figure over ours}"""
    return {p: v / row["autodiffc"] for p, v in row.items() if p not in FIXED and v}


def best_ratio(row):
    """Against the best of the peers, or None where there are none."""
    return min(ratios(row).values(), default=None)


def sections(rows):
    found = {}
    for row in rows:
        found.setdefault(row["section"], []).append(row)
    return found


def summary(rows):
    """(geometric mean, smallest, number) of the ratios to the best peer, or None."""
    known = [r for r in map(best_ratio, rows) if r]
    return (statistics.geometric_mean(known), min(known), len(known)) if known else None


def picture(rows, path):
    """Every case as a dot on a logarithmic scale, a line for each section; the geometric means as bars."""
    try:
        import matplotlib
    except ImportError:
        print("no picture: matplotlib is not installed (pip install 'autodiffc[bench]')")
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = "autodiffc"  # the same rows give the same file
    shown = {name: s for name, members in sections(rows).items() if (s := [r for r in map(best_ratio, members) if r])}
    if not shown:
        return
    fig, ax = plt.subplots(figsize=(9, 0.36 * len(shown) + 1.2), layout="constrained")
    for k, values in enumerate(shown.values()):
        # side by side rather than on top of each other, in an order that does not follow the values
        height = [k + 0.3 * ((7 * i % 11) / 5 - 1) for i in range(len(values))]
        ax.scatter(values, height, s=9, alpha=0.55, color="tab:blue", linewidth=0)
        ax.plot([statistics.geometric_mean(values)] * 2, [k - 0.38, k + 0.38], color="tab:red", linewidth=2)
    ax.set_yticks(range(len(shown)), [f"{name} ({len(values)})" for name, values in shown.items()])
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.set_xscale("log")
    ax.axvline(1, color="black", linewidth=0.8)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    ax.set_xlabel("times faster (or smaller) than the best peer; red: geometric mean")
    ax.grid(axis="x", alpha=0.3)
    fig.savefig(path, dpi=110, metadata={"Date": None} if str(path).endswith("svg") else None)


METHOD = """\
Every library runs in processes of its own, because two of them in one process wait for each other's threads. The
processes take turns, round after round; each gives the best of a few averages of a case, and the figure is the median
over the rounds. A ratio is the peer's figure over ours: above 1, autodiffc is faster (or smaller). "Best" is the ratio
to the fastest of the peers shown.

The roofline share is the least time that the machine could need over the time taken: the larger of the case's
floating-point operations over the peak rate and its bytes over the memory's bandwidth, both measured on this machine
in the same run (`benchmarks/roofline.py`; the table below names the library that reached each). What moves less than
1 MB is held against the second-level caches' rate instead. A share can pass 100 % where the data stays in a cache that
is faster than what it is held against, or where an algorithm gets by with fewer operations (Winograd's convolution).
"""

COMPANY = """\
Two processes at once have a processor each, and one cache and one memory together. What that leaves was measured with
one thread to each process, bound to a processor: of the work of one process that has both processors to itself, linear
regression (40 MB, read twice a step) then does 0.63 to 1.27, depending on where the host puts the two processors, about
0.70 where they are near each other; AdamW on 10 million parameters (280 MB a step) 0.85 to 1.11; ResNet-8, which
computes, 0.95 to 1.5. A process that has to wait for a processor works with fewer threads for a while
(`csrc/pool.c`), which it finds out within some tens of milliseconds.

The machine may be two at different times: where a virtual machine's processors are now in one core complex of the host
and now in two, a cache line goes between them in 40 or in 250 ns, and a step whose threads exchange what they compute
takes up to 1.8 times as long (an LSTM 1.4, a ResNet 1.7, PyTorch's as well). Only ratios of processes that took turns
mean anything.
"""


def figure(x):
    return f"{x:.3g}" if abs(x) < 100 else f"{x:,.0f}"


def markdown(rows, roofs, machine, command, drawn=None):
    """The text of docs/performance.md; `drawn` is the picture's file name."""
    from . import headlines  # it reads rows as this module does

    lines = ["# Performance", "", f"Made by `{command}`; not edited by hand.", "", METHOD]
    lines += ["## At a glance", "", "Ratios to the best peer, unless one is named.", "", *headlines.lines(rows), ""]
    if shared := headlines.neighbours(rows):
        lines += ["Training steps that share the two processors with another process:", "", *shared, "", COMPANY]
    lines += [f"![every case, a line for each section]({drawn})", ""] if drawn else []
    lines += ["## Machine", ""]
    lines += [f"- {what}: {value}" for what, value in machine.items()]
    if roofs:
        names = [n for n in next(iter(roofs.values()))]
        lines += ["", "| best rate reached | " + " | ".join(f"{n} thread{'s' * (n > 1)}" for n in roofs) + " |"]
        lines += ["|---|" + "---|" * len(roofs)]
        labels = {"memory": "copy or add, 400 MB", "cache": "copy or add, 0.4 MB"}
        for what in names:
            unit = "GB/s" if what in labels else "GFLOP/s"
            cells = [f"{r[what][0]:,.0f} {unit} ({r[what][1]})" for r in roofs.values()]
            lines += [f"| {labels.get(what, what + ' multiply-adds')} | " + " | ".join(cells) + " |"]
    lines += ["", "## Sections", "", "Ratios to the best peer.", ""]
    lines += ["| section | cases | geometric mean | smallest |", "|---|---|---|---|"]
    for section, members in sections(rows).items():
        s = summary(members)
        lines += [f"| {section} | {s[2]} | {s[0]:.2f} | {s[1]:.2f} |"] if s else []
    for section, members in sections(rows).items():
        peers = list(dict.fromkeys(p for r in members for p in ratios(r)))
        shared = any(r["roofline"] for r in members)
        head = ["case", "unit", "autodiffc", *peers]
        head += (["best"] if peers else []) + (["roofline"] if shared else [])
        lines += ["", f"## {section[0].upper() + section[1:].replace('_', ' ')}", ""]
        lines += ["| " + " | ".join(head) + " |", "|" + "---|" * 2 + "---:|" * (len(head) - 2)]
        for r in members:
            cells = [r["case"], r["unit"], figure(r["autodiffc"])]
            by = ratios(r)
            cells += [f"{figure(r[p])} ({by[p]:.2f})" if p in by else "" for p in peers]
            cells += [f"{best_ratio(r):.2f}" if by else ""] if peers else []
            cells += [f"{r['roofline']:.0%}" if r["roofline"] else ""] if shared else []
            lines += ["| " + " | ".join(cells) + " |"]
    return "\n".join(lines) + "\n"
