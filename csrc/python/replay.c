/* A call of a compiled function, in one go: are the arguments, the modules, the Python values and the
 * gradients what they were when it was recorded? Then the program runs. Anything else is for CompiledStep
 * (_capture/step.py), which gets NotImplemented. */
#include "python.h"

#define FEW 32

/* What a call goes by: the items of the tuple that is the function's `self`. */
enum {
    PROGRAM, /* a Program of _capture/record.py, kept */
    HANDLE,
    PATTERN, /* of each argument what it must be: Ellipsis for a tensor, else the object itself */
    NAMES,   /* of those that are given by name, the last */
    CHANGES, /* a list that counts in item 0 what happened to modules, or None */
    COUNTED, /* what it said */
    GUARDS,  /* a tuple of functions that test Python values */
    REFRESH, /* a function that reads the slots and runs the actions, or None */
    FINISH,  /* None when the result is one tensor; else a function of the results and arguments that makes it
              */
    NRESULTS,
    ITEMS
};

static PyObject *not_taken(void) {
    Py_INCREF(Py_NotImplemented);
    return Py_NotImplemented;
}

static PyObject *raise(void) {
    PyObject *none = PyObject_CallObject(in_python[IN_FAIL], NULL);
    Py_XDECREF(none);
    return NULL;
}

/* Whether a function without arguments answers true; -1 for an error. */
static int ask(PyObject *function) {
    PyObject *answer = PyObject_CallObject(function, NULL);
    int yes = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    return yes;
}

/* A tuple of the results, which are new references. */
static PyObject *wrap_all(const ad_handle *outs, Py_ssize_t n) {
    PyObject *made = PyTuple_New(n);
    Py_ssize_t k = 0;
    for (; made && k < n; k++) {
        PyObject *t = wrap(outs[k]);
        if (t) PyTuple_SetItem(made, k, t);
        else {
            Py_DECREF(made);
            made = NULL;
        }
    }
    for (; !made && k < n; k++) ad_release(outs[k]);
    return made;
}

static PyObject *results_of(PyObject *self, PyObject *const *args, Py_ssize_t n, const ad_handle *outs) {
    PyObject *finish = PyTuple_GetItem(self, FINISH), *result = NULL;
    if (finish == Py_None) return wrap(outs[0]);
    PyObject *made = wrap_all(outs, PyLong_AsSsize_t(PyTuple_GetItem(self, NRESULTS)));
    PyObject *given = made ? PyTuple_New(n) : NULL;
    for (Py_ssize_t k = 0; given && k < n; k++) {
        Py_INCREF(args[k]);
        PyTuple_SetItem(given, k, args[k]);
    }
    if (given) result = PyObject_CallFunctionObjArgs(finish, made, given, NULL);
    Py_XDECREF(made);
    Py_XDECREF(given);
    return result;
}

/* Whether the arguments given by name are those that they were. */
static bool same_names(PyObject *now, PyObject *then) {
    Py_ssize_t n = now ? PyTuple_Size(now) : 0;
    if (n != PyTuple_Size(then)) return false;
    for (Py_ssize_t k = 0; k < n; k++) {
        PyObject *a = PyTuple_GetItem(now, k), *b = PyTuple_GetItem(then, k);
        if (a != b && PyUnicode_Compare(a, b)) return false;
    }
    return true;
}

static PyObject *call(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    PyObject *pattern = PyTuple_GetItem(self, PATTERN), *changes = PyTuple_GetItem(self, CHANGES);
    PyObject *guards = PyTuple_GetItem(self, GUARDS), *refresh = PyTuple_GetItem(self, REFRESH);
    ad_handle in[FEW], outs[FEW];
    int64_t nin = 0;
    n += names ? PyTuple_Size(names) : 0;
    if (n != PyTuple_Size(pattern) || ad_capturing() || !same_names(names, PyTuple_GetItem(self, NAMES)))
        return not_taken();
    for (Py_ssize_t k = 0; k < n; k++) {
        PyObject *p = PyTuple_GetItem(pattern, k);
        if (p != Py_Ellipsis) {
            if (p != args[k]) return not_taken();
        } else if (!(in[nin++] = handle_of(args[k]))) return not_taken();
    }
    if (changes != Py_None) {
        PyObject *now = PyList_GetItem(changes, 0), *then = PyTuple_GetItem(self, COUNTED);
        if (now != then && PyLong_AsLongLong(now) != PyLong_AsLongLong(then)) return not_taken();
    }
    for (Py_ssize_t k = 0; k < PyTuple_Size(guards); k++) {
        int yes = ask(PyTuple_GetItem(guards, k));
        if (yes < 0) return NULL;
        if (!yes) return not_taken();
    }
    intptr_t program = (intptr_t)PyLong_AsLongLong(PyTuple_GetItem(self, HANDLE));
    if (ad_program_fits(program) != 1 || ad_program_begin(program, in, nin) != 1) return not_taken();
    if (refresh != Py_None) {
        PyObject *none = PyObject_CallObject(refresh, NULL);
        if (!none) {
            ad_program_leave(program);
            return NULL;
        }
        Py_DECREF(none);
    }
    if (ad_program_run(program, in, nin, outs)) return raise();
    return results_of(self, args, n, outs);
}

static PyMethodDef method = {"call", (PyCFunction)(void (*)(void))call, METH_FASTCALL | METH_KEYWORDS,
                             "One call of a program, or NotImplemented when it does not fit."};

PyObject *program_call(PyObject *module, PyObject *items) {
    if (!PyTuple_Check(items) || PyTuple_Size(items) != ITEMS ||
        !PyTuple_Check(PyTuple_GetItem(items, PATTERN)) || !PyTuple_Check(PyTuple_GetItem(items, NAMES)) ||
        !PyTuple_Check(PyTuple_GetItem(items, GUARDS)) ||
        (PyTuple_GetItem(items, CHANGES) != Py_None && !PyList_Check(PyTuple_GetItem(items, CHANGES)))) {
        PyErr_SetString(PyExc_TypeError, "program_call(): wrong items");
        return NULL;
    }
    if (PyTuple_Size(PyTuple_GetItem(items, PATTERN)) > FEW ||
        PyLong_AsSsize_t(PyTuple_GetItem(items, NRESULTS)) > FEW)
        Py_RETURN_NONE;
    return PyCFunction_NewEx(&method, items, NULL);
}
