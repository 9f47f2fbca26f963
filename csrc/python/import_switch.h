/* Import functions that tell imports of torch from all others (autodiffc/_hook/worlds.py). Part of the
 * binding, under Python's limited API. */
#ifndef IMPORT_SWITCH_H
#define IMPORT_SWITCH_H

#include <string.h>

static int names_torch(PyObject *s) {
    PyObject *bytes = s && PyUnicode_Check(s) ? PyUnicode_AsUTF8String(s) : NULL;
    if (!bytes) {
        PyErr_Clear();
        return 0;
    }
    const char *c = PyBytes_AsString(bytes);
    int found = !strncmp(c, "torch", 5) && (!c[5] || c[5] == '.');
    Py_DECREF(bytes);
    return found;
}

/* What the last import by C code left in sys.modules for it, undone once that code is back in Python. */
static PyObject *leave_undo;

static int leave_undone(void *unused) {
    PyObject *undo = leave_undo, *done = undo && undo != Py_None ? PyObject_CallObject(undo, NULL) : NULL;
    leave_undo = NULL;
    if (!done) PyErr_Clear();
    Py_XDECREF(undo);
    Py_XDECREF(done);
    return 0;
}

/* Stands in for an import function of Python's: what concerns torch goes to a function of ours, everything
 * else where it went before. In C, so that no frame of it shows in tracebacks. Takes (name, globals or
 * package, ...). An import by C code, told by its list of names, reads sys.modules afterwards: `leave` puts
 * there what it is to find, and returns the function that takes it away again. */
static PyObject *switch_call(PyObject *self, PyObject *args, PyObject *kwargs) {
    Py_ssize_t n = PyTuple_Size(args);
    PyObject *name = n > 0 ? PyTuple_GetItem(args, 0) : NULL, *from = n > 1 ? PyTuple_GetItem(args, 1) : NULL;
    int ours = names_torch(name) || names_torch(from);
    if (!ours && n > 4 && from && PyDict_Check(from)) { /* a relative import out of a package of that name */
        PyObject *level = PyTuple_GetItem(args, 4);
        if (PyLong_Check(level) && PyLong_AsLong(level) > 0)
            ours = names_torch(PyDict_GetItemString(from, "__package__"));
    }
    PyObject *found = PyObject_Call(PyTuple_GetItem(self, ours), args, kwargs);
    if (found && ours && n > 3 && PyList_Check(PyTuple_GetItem(args, 3)) && !leave_undo) {
        leave_undo = PyObject_CallFunctionObjArgs(PyTuple_GetItem(self, 2), name, NULL);
        if (!leave_undo) PyErr_Clear();
        else if (leave_undo == Py_None || Py_AddPendingCall(leave_undone, NULL)) leave_undone(NULL);
    }
    return found;
}

static PyMethodDef switch_def = {"__import__", (PyCFunction)(void (*)(void))switch_call,
                                 METH_VARARGS | METH_KEYWORDS, "import, with torch resolved to autodiffc"};

/* The address of a new reference, or 0. */
static intptr_t import_switch(intptr_t usual, intptr_t ours, intptr_t leave) {
    PyGILState_STATE s = PyGILState_Ensure();
    PyObject *all = PyTuple_Pack(3, (PyObject *)usual, (PyObject *)ours, (PyObject *)leave), *made = NULL;
    if (all) made = PyCFunction_NewEx(&switch_def, all, NULL);
    Py_XDECREF(all);
    if (!made) PyErr_Clear();
    PyGILState_Release(s);
    return (intptr_t)made;
}

#endif
