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
        int py_node_hook(int64_t, int, int, ad_handle *, int, const ad_handle *);
        int64_t py_trace(int64_t);
        void py_blame(int64_t, const char *);
        int64_t py_pack(ad_handle);
        ad_handle py_unpack(int64_t);
        void py_refused(void);
    }
    int check_interrupt(void);
    void *let_go(void);
    void take_back(void *state);
    intptr_t dlpack_capsule(intptr_t managed, int versioned);
    intptr_t dlpack_open(intptr_t capsule, int *versioned);
    int make_handle_class(void);
    void use_tensor_class(intptr_t tensor, const intptr_t *functions);
    intptr_t import_switch(intptr_t usual, intptr_t ours, intptr_t leave);
    """


SOURCE = """
#include "autodiffc.h"
#include "python/tensor_object.h"
#include "python/import_switch.h"

/* The binding's functions keep the interpreter's lock: giving it up and taking it again costs more than
 * a small operation. The core gives it up itself around work that takes longer (execute() in op.c, the replay in
 * replay.c). */
#undef Py_BEGIN_ALLOW_THREADS
#undef Py_END_ALLOW_THREADS
#define Py_BEGIN_ALLOW_THREADS {
#define Py_END_ALLOW_THREADS }

static void *let_go(void) { return PyEval_SaveThread(); }
static void take_back(void *state) { PyEval_RestoreThread(state); }

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

/* A capsule that nobody opened releases what it holds. */
static void dlpack_drop(PyObject *capsule) {
    for (int versioned = 0; versioned < 2; versioned++) {
        const char *name = versioned ? "dltensor_versioned" : "dltensor";
        if (PyCapsule_IsValid(capsule, name))
            ad_dlpack_release((intptr_t)PyCapsule_GetPointer(capsule, name), versioned);
    }
}

/* A new capsule around an exported struct, as the address of a new reference. */
static intptr_t dlpack_capsule(intptr_t managed, int versioned) {
    PyGILState_STATE s = PyGILState_Ensure();
    PyObject *c = PyCapsule_New((void *)managed, versioned ? "dltensor_versioned" : "dltensor", dlpack_drop);
    if (!c) PyErr_Clear();
    PyGILState_Release(s);
    return (intptr_t)c;
}

/* Takes the struct out of a capsule, which is marked as used; 0 when it holds none. */
static intptr_t dlpack_open(intptr_t capsule, int *versioned) {
    PyGILState_STATE s = PyGILState_Ensure();
    PyObject *c = (PyObject *)capsule;
    intptr_t managed = 0;
    for (*versioned = 0; *versioned < 2 && !managed; ++*versioned) {
        const char *name = *versioned ? "dltensor_versioned" : "dltensor";
        if (!PyCapsule_IsValid(c, name)) continue;
        managed = (intptr_t)PyCapsule_GetPointer(c, name);
        PyCapsule_SetName(c, *versioned ? "used_dltensor_versioned" : "used_dltensor");
        if (managed) break;
    }
    PyGILState_Release(s);
    return managed;
}
"""


def sources() -> list[str]:
    """C files relative to the project, as setuptools wants them; first those that take longest."""
    return [os.path.relpath(p, ROOT) for d in ("isa", "", "ops", "python") for p in sorted((CSRC / d).glob("*.c"))]


ffibuilder = cffi.FFI()
ffibuilder.cdef(cdef())
flags = ["-std=gnu11", "-O2", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-g0", "-Wall", "-Wextra",
         "-Wno-unused-parameter", "-Wno-missing-field-initializers"]
own_flags = os.environ.get("AUTODIFFC_CFLAGS", "").split()
# Symbols and unwind tables would be half a megabyte; they are for debuggers, and flags of one's own keep them.
flags += own_flags or ["-fno-asynchronous-unwind-tables"]
ffibuilder.set_source(
    "autodiffc._native",
    SOURCE,
    sources=sources(),
    include_dirs=["csrc"],
    depends=[os.path.relpath(p, ROOT) for p in CSRC.rglob("*") if p.suffix in (".h", ".def")],
    extra_compile_args=flags,
    extra_link_args=os.environ.get("AUTODIFFC_LDFLAGS", "").split()
    + ([] if sys.platform == "darwin" else ["-lm", "-lpthread"] + ([] if own_flags else ["-Wl,--strip-all"])),
    py_limited_api=True,
)
