"""Not supported: see autodiffc._absent."""

from .. import _absent

_absent.module(__name__)
