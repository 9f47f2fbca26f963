/* The functions of the package that are called most: arguments to C arrays, the call, the result to a Tensor.
 *
 * A list of integers that goes through the binding costs more than a small operation. Each function here
 * takes what is usual, and passes anything else on to the function of the same meaning in Python, which takes
 * everything and has the error messages. */
#include "python.h"

#define FEW 32 /* tensors or integers of a call: more of them are passed on */

static PyObject *pass_on(enum in_python which, PyObject *const *args, Py_ssize_t n) {
    PyObject *all = PyTuple_New(n), *result;
    if (!all) return NULL;
    for (Py_ssize_t i = 0; i < n; i++) {
        Py_INCREF(args[i]);
        PyTuple_SetItem(all, i, args[i]);
    }
    result = PyObject_CallObject(in_python[which], all);
    Py_DECREF(all);
    return result;
}

/* ---- arguments ---- */

/* An int of 64 bits; false for anything else. */
static bool integer(PyObject *o, int64_t *v) {
    int overflow = 0;
    if (!PyLong_Check(o)) return false;
    *v = PyLong_AsLongLongAndOverflow(o, &overflow);
    return !overflow;
}

static Py_ssize_t
length(PyObject *sequence) { /* of a tuple or list, -1 for anything else and for long ones */
    Py_ssize_t n = PyTuple_Check(sequence)  ? PyTuple_Size(sequence)
                   : PyList_Check(sequence) ? PyList_Size(sequence)
                                            : -1;
    return n <= FEW ? n : -1;
}

static PyObject *item(PyObject *sequence, Py_ssize_t i) { /* borrowed */
    return PyTuple_Check(sequence) ? PyTuple_GetItem(sequence, i) : PyList_GetItem(sequence, i);
}

/* How many integers, handles (0 for None) or floats were written to `to`; -1 when they are not all that. */
static Py_ssize_t integers(PyObject *sequence, int64_t *to) {
    Py_ssize_t n = length(sequence);
    for (Py_ssize_t i = 0; i < n; i++)
        if (!integer(item(sequence, i), &to[i])) return -1;
    return n;
}

static Py_ssize_t handles(PyObject *sequence, ad_handle *to) {
    Py_ssize_t n = length(sequence);
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *o = item(sequence, i);
        to[i] = o == Py_None ? 0 : handle_of(o);
        if (!to[i] && o != Py_None) return -1;
    }
    return n;
}

static Py_ssize_t floats(PyObject *sequence, double *to) {
    Py_ssize_t n = length(sequence);
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *o = item(sequence, i);
        int64_t whole;
        if (PyFloat_Check(o)) to[i] = PyFloat_AsDouble(o);
        else if (integer(o, &whole)) to[i] = (double)whole;
        else return -1;
    }
    return n;
}

/* ---- functions ---- */

static PyObject *wrap_number(PyObject *self, PyObject *h) {
    ad_handle t = PyLong_AsLongLong(h);
    return t == -1 && PyErr_Occurred() ? NULL : wrap(t);
}

static PyObject *unary(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    ad_handle h;
    int64_t op;
    if ((n == 2 || (n == 3 && args[2] == Py_None)) && integer(args[0], &op) && (h = handle_of(args[1])))
        return wrap(ad_op1((int)op, h));
    return pass_on(IN_UNARY, args, n);
}

static PyObject *binary(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    ad_handle a, b;
    int64_t op;
    if ((n == 3 || (n == 4 && args[3] == Py_None)) && integer(args[0], &op) && (a = handle_of(args[1])) &&
        (b = handle_of(args[2])))
        return wrap(ad_op2((int)op, a, b));
    return pass_on(IN_BINARY, args, n);
}

static PyObject *ints(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    int64_t v[5] = {0}; /* op, a place for the tensor, three attributes */
    ad_handle h = n >= 2 && n <= 5 ? handle_of(args[1]) : 0;
    bool usual = h && integer(args[0], &v[0]);
    for (Py_ssize_t i = 2; usual && i < n; i++) usual = integer(args[i], &v[i]);
    return usual ? wrap(ad_op1i((int)v[0], h, v[2], v[3], v[4])) : pass_on(IN_INTS, args, n);
}

static PyObject *listed(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    int64_t op, list[FEW], i0 = 0, i1 = 0;
    Py_ssize_t count;
    ad_handle h = n >= 3 && n <= 5 ? handle_of(args[1]) : 0;
    if (h && integer(args[0], &op) && (count = integers(args[2], list)) >= 0 &&
        (n < 4 || integer(args[3], &i0)) && (n < 5 || integer(args[4], &i1)))
        return wrap(ad_op1l((int)op, h, list, count, i0, i1));
    return pass_on(IN_LISTED, args, n);
}

/* The last `n` of the arguments are given by name. They are put in their places among `all`, which holds
 * those given by position and NULL for the rest; false for a name that is none of the function's, or given
 * twice. */
static bool place(PyObject *names, PyObject *const *given, const char *const *parameters, Py_ssize_t count,
                  PyObject **all) {
    for (Py_ssize_t k = 0, n = names ? PyTuple_Size(names) : 0; k < n; k++) {
        Py_ssize_t at = 0;
        while (at < count && PyUnicode_CompareWithASCIIString(PyTuple_GetItem(names, k), parameters[at]))
            at++;
        if (at == count || all[at]) return false;
        all[at] = given[k];
    }
    return true;
}

static PyObject *apply(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    static const char *const parameters[] = {"op", "tensors", "ints", "floats", "dims"};
    int64_t op, i[FEW], list[FEW];
    double f[FEW];
    ad_handle in[FEW];
    Py_ssize_t nin, ni = 0, nf = 0, nlist = 0;
    PyObject *all[5] = {NULL};
    for (Py_ssize_t k = 0; k < n && k < 5; k++) all[k] = args[k];
    if (n > 5 || !place(names, args + n, parameters, 5, all) || !all[0] || !all[1]) {
        PyErr_SetString(PyExc_TypeError, "apply(op, tensors, ints=(), floats=(), dims=()): wrong arguments");
        return NULL;
    }
    if (integer(all[0], &op) && (nin = handles(all[1], in)) >= 0 &&
        (!all[2] || (ni = integers(all[2], i)) >= 0) && (!all[3] || (nf = floats(all[3], f)) >= 0) &&
        (!all[4] || (nlist = integers(all[4], list)) >= 0))
        return wrap(ad_opn((int)op, in, nin, i, ni, f, nf, list, nlist));
    PyObject *none = PyTuple_New(0);
    if (!none) return NULL;
    for (int k = 2; k < 5; k++)
        if (!all[k]) all[k] = none;
    PyObject *result = pass_on(IN_APPLY, all, 5);
    Py_DECREF(none);
    return result;
}

static PyObject *joined(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    int64_t op, dim;
    ad_handle in[FEW];
    Py_ssize_t nin = n == 3 ? handles(args[1], in) : -1;
    for (Py_ssize_t i = 0; i < nin; i++)
        if (!in[i]) nin = -1; /* None */
    if (nin >= 0 && integer(args[0], &op) && integer(args[2], &dim))
        return wrap(ad_opn((int)op, in, nin, &dim, 1, NULL, 0, NULL, 0));
    return pass_on(IN_JOINED, args, n);
}

static PyObject *filled(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    int64_t dtype, sizes[FEW], whole = 0;
    Py_ssize_t ndim = n == 3 && integer(args[0], &dtype) ? integers(args[1], sizes) : -1;
    if (ndim >= 0) {
        if (args[2] == Py_None) return wrap(ad_empty((int)dtype, sizes, ndim));
        if (PyLong_Check(args[2]) && integer(args[2], &whole))
            return wrap(ad_full((int)dtype, sizes, ndim, (double)whole, whole));
    }
    return pass_on(IN_FILLED, args, n);
}

#define FAST(name) (PyCFunction)(void (*)(void)) name, METH_FASTCALL

static PyMethodDef functions[] = {
    {"wrap", wrap_number, METH_O,
     "wrap(h): the Tensor of a new reference; raises the core's error when there is none."},
    {"unary", FAST(unary), "unary(op, a, out=None): op(a), a Tensor; `out` receives the result when given."},
    {"binary", FAST(binary),
     "binary(op, a, b, out=None): op(a, b) where either may be a Python or NumPy number."},
    {"ints", FAST(ints), "ints(op, a, i0=0, i1=0, i2=0): op(a) with up to three integer attributes."},
    {"listed", FAST(listed),
     "listed(op, a, dims, i0=0, i1=0): op(a) with a list of integers, and up to two more."},
    {"joined", FAST(joined), "joined(op, tensors, dim): cat or stack of a list or tuple of Tensors."},
    {"filled", FAST(filled),
     "filled(dtype, sizes, value): a Tensor of one value; of None, one that is not initialised."},
    {"apply", (PyCFunction)(void (*)(void))apply, METH_FASTCALL | METH_KEYWORDS,
     "apply(op, tensors, ints=(), floats=(), dims=()): any operation; tensors (None for an absent one), "
     "integer and "
     "float attributes, a list of integers."},
    {"program_call", program_call, METH_O,
     "program_call(items): a function that calls a recorded program; its items are named in replay.c."},
    {"profile_filter", profile_filter, METH_O,
     "profile_filter((known, harmless, look)): a profile function that calls look() with little of what "
     "happens; see profile_filter.c."},
};

int add_functions(PyObject *module) {
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        PyObject *f = PyCFunction_NewEx(&functions[k], NULL, NULL);
        if (!f || PyObject_SetAttrString(module, functions[k].ml_name, f)) return -1;
        Py_DECREF(f);
    }
    return 0;
}

/* ---- indexing ---- */

enum { CODE_INT, CODE_SLICE, CODE_NONE, CODE_ELLIPSIS, CODE_TENSOR, CODE_BOOL }; /* as in ops/indexing.c */
enum { UINT8 = 1 };

typedef struct expression {
    int64_t codes[4 * FEW], n;
    ad_handle tensors[FEW];
    int ntensors;
} expression;

/* One item between the brackets: 1 when it was encoded, 0 when it is for Python to encode, -1 on an error. */
static int encode_item(expression *e, PyObject *o) {
    int64_t *c = e->codes + e->n;
    ad_handle h;
    Py_ssize_t start, stop, step;
    if (PyLong_CheckExact(o)) {
        if (!integer(o, &c[1])) return 0;
        c[0] = CODE_INT, e->n += 2;
    } else if (PySlice_Check(o)) {
        if (PySlice_Unpack(o, &start, &stop, &step)) return -1;
        c[0] = CODE_SLICE, c[1] = start, c[2] = stop, c[3] = step, e->n += 4;
    } else if (o == Py_None) {
        c[0] = CODE_NONE, e->n += 1;
    } else if (o == Py_Ellipsis) {
        c[0] = CODE_ELLIPSIS, e->n += 1;
    } else if (PyBool_Check(o)) {
        c[0] = CODE_BOOL, c[1] = o == Py_True, e->n += 2;
    } else if ((h = handle_of(o)) && ad_dtype_of(h) != UINT8) { /* which is deprecated as a mask */
        c[0] = CODE_TENSOR, e->n += 1;
        e->tensors[e->ntensors++] = h;
    } else return 0;
    return 1;
}

static int encode(expression *e, PyObject *index) {
    e->n = e->ntensors = 0;
    if (!PyTuple_CheckExact(index)) return encode_item(e, index);
    int status = PyTuple_Size(index) <= FEW;
    for (Py_ssize_t i = 0; status == 1 && i < PyTuple_Size(index); i++)
        status = encode_item(e, PyTuple_GetItem(index, i));
    return status;
}

PyObject *get_item(PyObject *self, PyObject *index) {
    expression e;
    ad_handle h = handle_of(self);
    int status = h ? encode(&e, index) : 0;
    if (status < 0) return NULL;
    if (!status) return PyObject_CallFunctionObjArgs(in_python[IN_GETITEM], self, index, NULL);
    if (e.n == 2 && e.codes[0] == CODE_INT) return wrap(ad_getitem_int(h, e.codes[1]));
    return wrap(ad_getitem(h, e.codes, e.n, e.tensors));
}

int set_item(PyObject *self, PyObject *index, PyObject *value) {
    expression e;
    ad_handle h = handle_of(self), v;
    int64_t whole;
    if (!value) {
        PyErr_SetString(PyExc_TypeError, "a tensor's elements cannot be deleted");
        return -1;
    }
    int status = h ? encode(&e, index) : 0;
    if (status < 0) return -1;
    if (status && (v = handle_of(value))) status = ad_setitem(h, e.codes, e.n, e.tensors, v, 0, 0.0, 0);
    else if (status && PyFloat_CheckExact(value))
        status = ad_setitem(h, e.codes, e.n, e.tensors, 0, 0, PyFloat_AsDouble(value), 0);
    else if (status && PyLong_CheckExact(value) && integer(value, &whole))
        status = ad_setitem(h, e.codes, e.n, e.tensors, 0, 1, 0.0, whole);
    else {
        PyObject *none = PyObject_CallFunctionObjArgs(in_python[IN_SETITEM], self, index, value, NULL);
        Py_XDECREF(none);
        return none ? 0 : -1;
    }
    if (status >= 0) return 0;
    PyObject *none = PyObject_CallObject(in_python[IN_FAIL], NULL); /* raises */
    Py_XDECREF(none);
    return -1;
}
