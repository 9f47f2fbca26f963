"""All rows: CASES of every module in tests/cases."""

import importlib
import pkgutil

from . import cases
from .case import Case


def gather() -> list[Case]:
    found, seen = [], {}
    for module in sorted(m.name for m in pkgutil.iter_modules(cases.__path__)):
        for case in importlib.import_module(f"{cases.__name__}.{module}").CASES:
            seen[case.name] = seen.get(case.name, 0) + 1
            if seen[case.name] > 1:
                case.id = f"{case.name}-{seen[case.name]}"
            found.append(case)
    return found


CASES = gather()
BY_ID = {case.id: case for case in CASES}
