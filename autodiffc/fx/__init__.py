"""Not supported: see autodiffc._absent."""

from .. import _absent

_absent.module(__name__, ("node", "proxy", "graph", "graph_module", "interpreter", "immutable_collections", "traceback",
                          "experimental", "passes"), extra=("wrap",))
