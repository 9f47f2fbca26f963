"""Not supported: see autodiffc._absent."""

from .. import _absent


def wrap(fn_or_name):
    """fn_or_name itself: nothing is traced that the function could be kept out of."""
    return fn_or_name


_absent.module(__name__, ("node", "proxy", "graph", "graph_module", "interpreter", "immutable_collections", "traceback",
                          "experimental", "passes"))
