/* A tensor's handle as a Python object: its life, its operators, its buffer.
 *
 * A class written in Python would do, and did: but its __del__, its operators' frames and the calls through
 * the binding cost more than the addition of two small tensors does. This class holds the handle as a Python
 * integer in the slot `_h`, as a class with __slots__ would, so that everything else of the package is
 * Python; it gives the handle back when it is freed, and computes the binary operators of two tensors, or of
 * a tensor and a float or an int. What else may stand beside a tensor goes to the operators' Python form. */
#include "python.h"

typedef struct handle {
    PyObject_HEAD PyObject *h; /* an int, or NULL before there is one */
} handle;

static PyTypeObject *handle_class, *tensor_class;
PyObject *in_python[IN_PYTHON_COUNT];

static void handle_free(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject *h = ((handle *)self)->h;
    if (h) {
        PyObject *error = NULL, *value, *trace; /* hooks that the graph holds may run Python when they go */
        bool pending = PyErr_Occurred() != NULL;
        if (pending) PyErr_Fetch(&error, &value, &trace);
        ad_release(PyLong_AsLongLong(h));
        Py_DECREF(h);
        if (pending) PyErr_Restore(error, value, trace);
    }
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

ad_handle handle_of(PyObject *o) {
    if (Py_TYPE(o) != tensor_class && !PyObject_TypeCheck(o, handle_class)) return 0;
    PyObject *h = ((handle *)o)->h;
    return h ? PyLong_AsLongLong(h) : 0;
}

PyObject *wrap(ad_handle h) {
    if (h == -1) Py_RETURN_NONE; /* a row without results */
    if (!h) {
        PyObject *none = PyObject_CallObject(in_python[IN_FAIL], NULL); /* raises */
        Py_XDECREF(none);
        return NULL;
    }
    PyObject *t = PyType_GenericAlloc(tensor_class, 0), *number = PyLong_FromLongLong(h);
    if (!t || !number) {
        ad_release(h);
        Py_XDECREF(t);
        Py_XDECREF(number);
        return NULL;
    }
    ((handle *)t)->h = number;
    return t;
}

static PyObject *operate(int op, PyObject *self, PyObject *other, int reversed) {
    return PyObject_CallFunction(in_python[IN_OPERATE], "iOOi", op, self, other, reversed);
}

/* t OP number, or number OP t when reversed. */
static PyObject *with_number(int op, PyObject *t, ad_handle h, PyObject *number, int reversed) {
    if (PyFloat_CheckExact(number)) return wrap(ad_op2f(op, h, PyFloat_AsDouble(number), reversed));
    if (PyLong_CheckExact(number)) {
        int overflow;
        long long n = PyLong_AsLongLongAndOverflow(number, &overflow);
        if (!overflow) return wrap(ad_op2i(op, h, n, reversed));
    }
    return operate(op, t, number, reversed);
}

static PyObject *binary(int op, PyObject *a, PyObject *b) {
    ad_handle ha = handle_of(a), hb = handle_of(b);
    if (ha && hb) return wrap(ad_op2(op, ha, hb));
    if (ha) return with_number(op, a, ha, b, 0);
    if (hb) return with_number(op, b, hb, a, 1);
    Py_RETURN_NOTIMPLEMENTED;
}

#define OPERATORS(X)                                                                                         \
    X(add, nb_add)                                                                                           \
    X(sub, nb_subtract)                                                                                      \
    X(mul, nb_multiply)                                                                                      \
    X(div, nb_true_divide)                                                                                   \
    X(floor_divide, nb_floor_divide)                                                                         \
    X(remainder, nb_remainder)                                                                               \
    X(bitwise_and, nb_and)                                                                                   \
    X(bitwise_or, nb_or)                                                                                     \
    X(bitwise_xor, nb_xor)                                                                                   \
    X(bitwise_left_shift, nb_lshift)                                                                         \
    X(bitwise_right_shift, nb_rshift)

static struct {
#define X(name, slot) int name;
    OPERATORS(X)
#undef X
    int pow, lt, le, eq, ne, gt, ge;
} op; /* the operations' numbers */

#define X(name, slot)                                                                                        \
    static PyObject *operator_##name(PyObject *a, PyObject *b) { return binary(op.name, a, b); }
OPERATORS(X)
#undef X

static PyObject *operator_pow(PyObject *a, PyObject *b, PyObject *modulus) {
    if (modulus != Py_None) Py_RETURN_NOTIMPLEMENTED;
    return binary(op.pow, a, b);
}

static PyObject *operator_matmul(PyObject *a, PyObject *b) {
    ad_handle ha = handle_of(a), hb = handle_of(b);
    if (ha && hb) return wrap(ad_matmul(ha, hb));
    Py_RETURN_NOTIMPLEMENTED;
}

static PyObject *compare(PyObject *a, PyObject *b, int which) {
    switch (which) {
    case Py_LT:
        return binary(op.lt, a, b);
    case Py_LE:
        return binary(op.le, a, b);
    case Py_EQ:
        return binary(op.eq, a, b);
    case Py_NE:
        return binary(op.ne, a, b);
    case Py_GT:
        return binary(op.gt, a, b);
    default:
        return binary(op.ge, a, b);
    }
}

/* The buffer is that of the NumPy array over the same memory, which keeps the memory and knows what cannot be
 * one. */
static int get_buffer(PyObject *self, Py_buffer *view, int flags) {
    PyObject *array = PyObject_CallFunctionObjArgs(in_python[IN_TO_NUMPY], self, NULL);
    int status = array ? PyObject_GetBuffer(array, view, flags) : -1;
    if (!array) view->obj = NULL;
    Py_XDECREF(array);
    return status;
}

static int operation(const char *name) {
    for (int k = 0; k < ad_op_count(); k++)
        if (!strcmp(ad_op_name(k), name)) return k;
    return -1; /* refused by the dispatcher */
}

int make_handle_class(void) {
    static PyMemberDef members[] = {{"_h", T_OBJECT_EX, offsetof(handle, h), 0, NULL}, {0}};
    PyType_Slot slots[] = {
#define X(name, slot) {Py_##slot, operator_##name},
        OPERATORS(X)
#undef X
            {Py_nb_power, operator_pow},
        {Py_nb_matrix_multiply, operator_matmul},
        {Py_tp_richcompare, compare},
        {Py_tp_hash, PyType_GetSlot(&PyBaseObject_Type, Py_tp_hash)}, /* by identity: == compares elements */
        {Py_tp_members, members},
        {Py_tp_dealloc, handle_free},
        {Py_mp_subscript, get_item},
        {Py_mp_ass_subscript, set_item},
        {Py_bf_getbuffer, get_buffer},
        {0, NULL},
    };
    PyType_Spec spec = {"autodiffc._core.Handle", sizeof(handle), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                        slots};
#define X(name, slot) op.name = operation(#name);
    OPERATORS(X)
#undef X
    op.pow = operation("pow");
    op.lt = operation("lt"), op.le = operation("le"), op.eq = operation("eq");
    op.ne = operation("ne"), op.gt = operation("gt"), op.ge = operation("ge");
    PyObject *class = PyType_FromSpec(&spec), *module = PyImport_AddModule("autodiffc._core"); /* borrowed */
    handle_class = (PyTypeObject *)class;
    if (!class || !module || PyObject_SetAttrString(module, "Handle", class)) return -1;
    return add_functions(module);
}

void use_tensor_class(intptr_t tensor, const intptr_t *functions) {
    Py_INCREF((PyObject *)tensor);
    tensor_class = (PyTypeObject *)tensor;
    for (int k = 0; k < IN_PYTHON_COUNT; k++) {
        in_python[k] = (PyObject *)functions[k];
        Py_INCREF(in_python[k]);
    }
}
