/* What the files of this directory share: CPython's limited API, and tensors as its objects. */
#pragma once
#include <patchlevel.h>
#if PY_VERSION_HEX >= 0x030b0000
#define Py_LIMITED_API 0x030b0000 /* the first with Py_buffer; every function used here is in 3.10 too */
#endif
#include <Python.h>
#include <structmember.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include "../autodiffc.h"
#include "tensor_object.h"

/* Functions written in Python: those that raise, convert, or take what the functions in C of the same name do
 * not. */
enum in_python {
    IN_FAIL,
    IN_OPERATE,
    IN_TO_NUMPY,
    IN_UNARY,
    IN_BINARY,
    IN_INTS,
    IN_LISTED,
    IN_JOINED,
    IN_FILLED,
    IN_APPLY,
    IN_GETITEM,
    IN_SETITEM,
    IN_PYTHON_COUNT,
};
extern PyObject *in_python[IN_PYTHON_COUNT];

ad_handle handle_of(PyObject *o); /* of a Tensor; 0 for anything else */
PyObject *wrap(ad_handle h);      /* the Tensor of a new reference, or the core's error */
int add_functions(PyObject *module);
PyObject *program_call(PyObject *module, PyObject *items);
PyObject *profile_filter(PyObject *module, PyObject *items);
PyObject *get_item(PyObject *self, PyObject *index);
int set_item(PyObject *self, PyObject *index, PyObject *value);
