"""Builds autodiffc._native, the binding of the C core, through cffi's API mode."""

import os
import pathlib
import sys

import cffi

ROOT = pathlib.Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"


def cdef() -> str:
    """The marked region of the public header, unchanged, and what C may call back."""
    text = (CSRC / "autodiffc.h").read_text()
    region = text.split("/* BEGIN CDEF */")[1].split("/* END CDEF */")[0]
    return region + """
    extern "Python" {
        int py_backward(int64_t, int, ad_handle *, int, ad_handle *);
        ad_handle py_hook(int64_t, ad_handle);
        void py_drop(int64_t);
    }
    int check_interrupt(void);
    """


SOURCE = """
#include "autodiffc.h"

/* Runs Python's signal handlers, so that Ctrl-C is answered inside a long call. What they raise waits in
 * autodiffc._core.interrupt until that call has returned. */
static int check_interrupt(void) {
    PyGILState_STATE s = PyGILState_Ensure();
    int raised = PyErr_CheckSignals() != 0;
    if (raised) {
        PyObject *type, *value, *trace, *module = NULL;
        PyErr_Fetch(&type, &value, &trace);
        PyErr_NormalizeException(&type, &value, &trace);
        if (value) module = PyImport_AddModule("autodiffc._core"); /* borrowed */
        if (!module || PyObject_SetAttrString(module, "interrupt", value)) PyErr_Clear();
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(trace);
    }
    PyGILState_Release(s);
    return raised;
}
"""


def sources() -> list[str]:
    """C files relative to the project, as setuptools wants them."""
    return [os.path.relpath(p, ROOT) for d in ("", "ops", "isa") for p in sorted((CSRC / d).glob("*.c"))]


ffibuilder = cffi.FFI()
ffibuilder.cdef(cdef())
flags = ["-std=gnu11", "-O2", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-Wall", "-Wextra",
         "-Wno-unused-parameter", "-Wno-missing-field-initializers"]
flags += os.environ.get("AUTODIFFC_CFLAGS", "").split()
ffibuilder.set_source(
    "autodiffc._native",
    SOURCE,
    sources=sources(),
    include_dirs=["csrc"],
    depends=[os.path.relpath(p, ROOT) for p in CSRC.rglob("*") if p.suffix in (".h", ".def")],
    extra_compile_args=flags,
    extra_link_args=os.environ.get("AUTODIFFC_LDFLAGS", "").split()
    + ([] if sys.platform == "darwin" else ["-lm", "-lpthread"]),
    py_limited_api=True,
)
