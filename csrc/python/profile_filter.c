/* What a recording of Python's calls lets through (_capture/reads.py).
 *
 * The interpreter tells a profile function of each call and return, of C functions as well: some thousands in
 * one training step, most of them this package's own. Nearly all are of no interest, and it takes a function
 * in Python longer to find that out than the call took. */
#include "python.h"

enum { OTHER, CALL, RETURN, C_CALL };

/* Which event it is. The interpreter gives the same few strings each time, which are remembered by address.
 */
static int event_of(PyObject *text) {
    static PyObject *seen[8];
    static int means[8], n;
    for (int k = 0; k < n; k++)
        if (seen[k] == text) return means[k];
    int event = !PyUnicode_Check(text)                              ? OTHER
                : !PyUnicode_CompareWithASCIIString(text, "call")   ? CALL
                : !PyUnicode_CompareWithASCIIString(text, "return") ? RETURN
                : !PyUnicode_CompareWithASCIIString(text, "c_call") ? C_CALL
                                                                    : OTHER;
    if (n < 8) {
        Py_INCREF(text);
        seen[n] = text;
        means[n++] = event;
    }
    return event;
}

static int known_as(PyObject *dict, const void *address,
                    PyObject **value) { /* borrowed; 1 found, 0 not, -1 error */
    PyObject *key = PyLong_FromVoidPtr((void *)address);
    *value = key ? PyDict_GetItemWithError(dict, key) : NULL;
    Py_XDECREF(key);
    return *value ? 1 : PyErr_Occurred() ? -1 : 0;
}

/* self: what is known of code objects by address (None: nothing to see), harmless C functions and classes of
 * objects whose C methods are harmless by address, and the function that looks at the rest. */
static PyObject *event(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    PyObject *found = NULL;
    int status = 1, what;
    if (n != 3) {
        PyErr_SetString(PyExc_TypeError, "a profile function takes three arguments");
        return NULL;
    }
    what = event_of(args[1]);
    if (what == CALL || what == RETURN) {
        PyCodeObject *code = PyFrame_GetCode((PyFrameObject *)args[0]);
        status = known_as(PyTuple_GetItem(self, 0), code, &found);
        Py_DECREF((PyObject *)code);
        if (status > 0 && found != Py_None) status = 0;
    } else if (what == C_CALL) {
        PyObject *owner = PyCFunction_Check(args[2]) ? PyCFunction_GetSelf(args[2]) : NULL;
        bool plain = !owner || PyModule_Check(owner);
        if (owner && PyType_Check(owner)) status = 0;
        else
            status = known_as(PyTuple_GetItem(self, 1),
                              plain ? (const void *)args[2] : (const void *)Py_TYPE(owner), &found);
    }
    if (status < 0) return NULL;
    if (status) Py_RETURN_NONE;
    return PyObject_CallFunctionObjArgs(PyTuple_GetItem(self, 2), args[0], args[1], args[2], NULL);
}

static PyMethodDef method = {"event", (PyCFunction)(void (*)(void))event, METH_FASTCALL,
                             "A profile function that passes on what is not known to be of no interest."};

PyObject *profile_filter(PyObject *module, PyObject *items) {
    if (!PyTuple_Check(items) || PyTuple_Size(items) != 3 || !PyDict_Check(PyTuple_GetItem(items, 0)) ||
        !PyDict_Check(PyTuple_GetItem(items, 1))) {
        PyErr_SetString(PyExc_TypeError, "profile_filter(): wrong items");
        return NULL;
    }
    return PyCFunction_NewEx(&method, items, NULL);
}
