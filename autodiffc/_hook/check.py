"""python -m autodiffc --check: reads scripts without running them and says which names of PyTorch are there."""

import ast
import os
import sys
import warnings

from . import coverage, missing
from .coverage import MISSING, PARTLY, SUPPORTED, UNKNOWN, resolve, status  # noqa: F401

_PLAIN = (str, bytes, bytearray, list, tuple, dict, set, frozenset, int, float, complex, range, slice, memoryview)
_TENSOR_RESULTS = {"tensor", "zeros", "ones", "rand", "randn", "empty", "full", "arange", "linspace", "eye", "cat",
                   "stack", "zeros_like", "ones_like", "rand_like", "randn_like", "empty_like", "full_like",
                   "from_numpy", "as_tensor", "randint", "randperm", "matmul", "mm", "bmm", "einsum", "exp", "log",
                   "sigmoid", "tanh", "relu", "softmax", "log_softmax", "sqrt", "sum", "mean", "where", "clamp",
                   "abs", "pow", "add", "mul", "sub", "div", "Tensor", "FloatTensor", "LongTensor", "transpose",
                   "squeeze", "unsqueeze", "reshape", "flatten", "gather"}


def _others():
    """Attribute names that objects other than tensors have."""
    import collections
    import io

    import numpy as np

    from ..nn import Module
    from ..optim import Optimizer

    names = set()
    for cls in (*_PLAIN, np.ndarray, np.generic, Module, Optimizer, io.TextIOWrapper, collections.deque,
                collections.Counter, np.random.RandomState, np.random.Generator):
        names.update(dir(cls))
    names.update(dir(np))
    return names | {"grad", "names", "values", "indices", "apply", "plot", "fit", "data", "is_shared", "new"}


class _Scope:
    """What names mean in a function, class or module: a PyTorch path, TENSOR, or None for anything else."""

    def __init__(self, parent=None):
        self.parent, self.names = parent, {}

    def get(self, name):
        scope = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return None


TENSOR = object()


class Reader(ast.NodeVisitor):
    """Collects {PyTorch path: lines} and {(path, keyword): lines} of one file."""

    def __init__(self, text_of=None):
        self.scope = _Scope()
        self.used, self.keywords = {}, {}
        self.guarded = 0  # inside try: ... except ImportError
        self.defined = set()  # attributes and methods that the file itself gives its objects

    # ---- what names mean ----

    def note(self, path, node):
        self.used.setdefault(path, []).append(node.lineno)

    def visit_Import(self, node):
        for a in node.names:
            if a.name.partition(".")[0] != "torch":
                continue
            self.note(a.name, node)
            if a.asname:
                self.scope.names[a.asname] = a.name
            else:
                self.scope.names["torch"] = "torch"

    def visit_ImportFrom(self, node):
        if node.level or (node.module or "").partition(".")[0] != "torch":
            for a in node.names:
                self.scope.names[a.asname or a.name] = None
            return
        self.note(node.module, node)
        for a in node.names:
            if a.name == "*":
                owner = resolve(node.module)
                listed = getattr(owner, "__all__", None) or [n for n in dir(owner) if not n.startswith("_")]
                for n in {*listed, *missing.torch_names().get(node.module, ())}:
                    self.scope.names.setdefault(n, f"{node.module}.{n}")
            else:
                self.note(f"{node.module}.{a.name}", node)
                self.scope.names[a.asname or a.name] = f"{node.module}.{a.name}"

    def _function(self, node):
        for d in getattr(node, "decorator_list", ()):
            self.visit(d)
        outer, self.scope = self.scope, _Scope(self.scope)
        a = node.args
        for p in (*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))):
            self.scope.names[p.arg] = None
            if p.annotation is not None:
                self.visit(p.annotation)
                if self.path(p.annotation) == "torch.Tensor":
                    self.scope.names[p.arg] = TENSOR
        for default in (*a.defaults, *filter(None, a.kw_defaults)):
            self.visit(default)
        if getattr(node, "returns", None) is not None:
            self.visit(node.returns)
        body = node.body if isinstance(node.body, list) else [node.body]
        for name in _bound(body):
            self.scope.names.setdefault(name, None)
        for statement in body:
            self.visit(statement)
        self.scope = outer

    def visit_FunctionDef(self, node):
        self.scope.names.setdefault(node.name, None)
        self.defined.add(node.name)
        self._function(node)

    visit_AsyncFunctionDef = visit_FunctionDef
    visit_Lambda = _function

    def visit_ClassDef(self, node):
        for n in (*node.bases, *node.decorator_list, *node.keywords):
            self.visit(n)
        self.scope.names[node.name] = None
        outer, self.scope = self.scope, _Scope(self.scope)
        for statement in node.body:
            self.visit(statement)
        self.scope = outer

    def _comprehension(self, node):
        outer, self.scope = self.scope, _Scope(self.scope)
        for g in node.generators:
            self.visit(g.iter)
            self._bind(g.target, None)
            for test in g.ifs:
                self.visit(test)
        for part in ("elt", "key", "value"):
            if hasattr(node, part):
                self.visit(getattr(node, part))
        self.scope = outer

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _comprehension

    def visit_Assign(self, node):
        self.visit(node.value)
        meaning = self.path(node.value) or (TENSOR if self.is_tensor(node.value) else None)
        for t in node.targets:
            self._bind(t, meaning)
            self.visit(t)

    def visit_AnnAssign(self, node):
        self.visit(node.annotation)
        if node.value is not None:
            self.visit(node.value)
            self._bind(node.target, self.path(node.value) or (TENSOR if self.is_tensor(node.value) else None))
        self.visit(node.target)

    def visit_For(self, node):
        self.visit(node.iter)
        self._bind(node.target, None)
        for n in (*node.body, *node.orelse):
            self.visit(n)

    visit_AsyncFor = visit_For

    def visit_With(self, node):
        for item in node.items:
            self.visit(item.context_expr)
            if item.optional_vars is not None:
                self._bind(item.optional_vars, None)
        for n in node.body:
            self.visit(n)

    visit_AsyncWith = visit_With

    def _bind(self, target, meaning):
        if isinstance(target, ast.Name):
            self.scope.names[target.id] = meaning
        elif isinstance(target, (ast.Tuple, ast.List)):
            for t in target.elts:
                self._bind(t, None)
        elif isinstance(target, ast.Starred):
            self._bind(target.value, None)
        elif isinstance(target, ast.Attribute):
            self.defined.add(target.attr)

    # ---- what expressions mean ----

    def path(self, node):
        """The PyTorch path of an expression, or None."""
        if isinstance(node, ast.Name):
            found = self.scope.get(node.id)
            return found if isinstance(found, str) else None
        if isinstance(node, ast.Attribute):
            owner = self.path(node.value)
            return f"{owner}.{node.attr}" if owner is not None else None
        return None

    def is_tensor(self, node):
        """Whether an expression is evidently a Tensor."""
        if isinstance(node, ast.Name):
            return self.scope.get(node.id) is TENSOR
        if isinstance(node, ast.Call):
            path = self.path(node.func)
            if path is not None:
                owner, _, name = path.rpartition(".")
                return owner in ("torch", "torch.nn.functional") and name in _TENSOR_RESULTS
            if isinstance(node.func, ast.Attribute) and self.is_tensor(node.func.value):
                return node.func.attr not in ("item", "tolist", "numpy", "size", "dim", "numel", "stride", "max", "min",
                                              "sort", "topk", "split", "chunk", "unbind", "data_ptr", "storage")
            return False
        if isinstance(node, ast.BinOp):
            return self.is_tensor(node.left) or self.is_tensor(node.right)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return self.is_tensor(node.operand)
        return isinstance(node, ast.Attribute) and node.attr in ("T", "data") and self.is_tensor(node.value)

    # ---- uses ----

    def visit_Name(self, node):
        found = self.scope.get(node.id)
        if isinstance(found, str) and isinstance(node.ctx, ast.Load):
            self.note(found, node)

    def visit_Attribute(self, node):
        path = self.path(node)
        if path is not None:
            self.note(_known_part(path), node)
            return
        self.visit(node.value)
        if isinstance(node.ctx, ast.Load):
            self.method(node)

    def method(self, node):
        name = node.attr
        if name in missing.torch_names()["torch.Tensor"] and (self.is_tensor(node.value) or unique(name)):
            self.used.setdefault(("Tensor", name), []).append(node.lineno)

    def visit_Call(self, node):
        path = self.path(node.func)
        if path is not None:
            for k in node.keywords:
                if k.arg is not None:
                    self.keywords.setdefault((path, k.arg), []).append(node.lineno)
        self.generic_visit(node)

    def results(self):
        """[(PyTorch path, lines)] of the whole file, in the order of the names."""
        found = {}
        for path, lines in self.used.items():
            if isinstance(path, tuple):
                if path[1] in self.defined:
                    continue
                path = f"torch.Tensor.{path[1]}"
            found.setdefault(path, []).extend(lines)
        return sorted((p, sorted(set(lines))) for p, lines in found.items())


def _bound(body):
    """The names that statements of a function bind, but for imports and nested functions."""
    names, stack = set(), list(body)
    while stack:
        n = stack.pop()
        if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(n.name)
            continue
        if isinstance(n, ast.Lambda):
            continue
        if isinstance(n, (ast.Global, ast.Nonlocal)):
            names.difference_update(n.names)
            continue
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store):
            names.add(n.id)
        stack.extend(ast.iter_child_nodes(n))
    return names


def _known_part(path):
    """A path without what follows a function or an object: torch.cuda.is_available of torch.cuda.is_available.x."""
    parts = path.split(".")
    for k in range(2, len(parts)):
        prefix = ".".join(parts[:k])
        found = resolve(prefix, coverage._Nothing)
        if found is coverage._Nothing:
            return prefix if prefix not in missing.torch_names() else path
        if not isinstance(found, (type, type(sys))) or coverage.is_absent(found) and isinstance(found, type):
            return prefix
    return path


_unique = {}


def unique(name):
    """Whether only tensors have an attribute of a name. A single word is anybody's: solver.solve()."""
    if "_" not in name:
        return False
    if not _unique:
        others = _others()
        _unique.update((n, n not in others) for n in missing.torch_names()["torch.Tensor"])
    return _unique.get(name, False)


def source_of(path):
    """The Python of a script or notebook. ValueError with the reason when it cannot be read."""
    try:
        if path.endswith(".ipynb"):
            from . import notebook, run

            try:
                cells = notebook.cells(path)
            except run.CannotRun as e:
                raise ValueError(str(e)) from None
            return "\n".join(notebook.python(text, None) for _, text, _ in cells)
        with open(path, "rb") as f:
            return f.read()
    except OSError as e:
        raise ValueError(f"can't open file {path!r}: {e.strerror}") from None


def read(source, name="<script>"):
    """What a script's source uses: {"names": [(path, lines, status, why)], "keywords": [(path, keyword, lines)]}."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(source, name)
        except (SyntaxError, ValueError) as e:
            raise ValueError(f"{name} is not Python 3: {e}") from None
    reader = Reader()
    reader.visit(tree)
    names = []
    for path, lines in reader.results():
        kind, why = status(path)
        names.append((path, lines, kind, why))
    odd = []
    for (path, keyword), lines in sorted(reader.keywords.items()):
        if status(path)[0] in (SUPPORTED, PARTLY):
            taken = coverage.keywords(path)
            if taken is not None and keyword not in taken:
                odd.append((path, keyword, sorted(set(lines))))
    return {"names": names, "keywords": odd}


def _lines(lines):
    shown = ", ".join(map(str, lines[:4])) + (", ..." if len(lines) > 4 else "")
    return f"line {shown}" if len(lines) == 1 else f"lines {shown}"


def report(path, verbose=False):
    """Prints what a file uses; returns the number of names that are missing."""
    found = read(source_of(path), path)
    by = {}
    for row in found["names"]:
        by.setdefault(row[2], []).append(row)
    lacking = [*by.get(MISSING, ()), *by.get(UNKNOWN, ())]
    parts = by.get(PARTLY, [])
    print(f"{path}: {len(by.get(SUPPORTED, ()))} names supported, {len(parts) + len(found['keywords'])} partly, "
          f"{len(lacking)} missing")
    if verbose:
        for name, lines, _, _ in by.get(SUPPORTED, ()):
            print(f"  supported  {name} ({_lines(lines)})")
    for name, lines, _, why in parts:
        print(f"  partly     {name} ({_lines(lines)}): {why}")
    for name, keyword, lines in found["keywords"]:
        print(f"  partly     {name} ({_lines(lines)}): does not take the keyword {keyword}")
    for name, lines, kind, why in lacking:
        known = "" if kind == MISSING else "PyTorch 2.13 has no such name"
        text = "; ".join(filter(None, (known, why)))
        print(f"  missing    {name} ({_lines(lines)}){': ' + text if text else ''}")
    return len(lacking)


def _files(paths):
    for path in paths:
        if os.path.isdir(path):
            for folder, dirs, names in os.walk(path):
                dirs[:] = sorted(d for d in dirs if not d.startswith("."))
                yield from (os.path.join(folder, n) for n in sorted(names) if n.endswith((".py", ".ipynb")))
        else:
            yield path


def main(argv):
    """The exit status: 0 when nothing is missing, 1 when something is, 2 for a file that cannot be read."""
    verbose = any(a in ("-v", "--verbose") for a in argv)
    paths = [a for a in argv if a not in ("-v", "--verbose")]
    if not paths:
        print("usage: python -m autodiffc --check [-v] FILE ...", file=sys.stderr)
        return 2
    lacking = unread = 0
    for path in _files(paths):
        try:
            lacking += bool(report(path, verbose))
        except ValueError as e:
            print(f"{path}: cannot be read: {e}", file=sys.stderr)
            unread += 1
    return 2 if unread else 1 if lacking else 0


def write_coverage(argv):
    """Prints docs/coverage.md, or writes it to a file."""
    text = coverage.document()
    if argv:
        with open(argv[0], "w", encoding="utf-8") as f:
            f.write(text)
    else:
        print(text, end="")
    return 0
