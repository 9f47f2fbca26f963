/* The tensor as a CPython object: what the binding (autodiffc/_build_ffi.py) offers to Python of it. */
#pragma once
#include <stdint.h>

/* Makes the class and stores it as autodiffc._core.Handle, and the functions of calls.c beside it. 0, or -1
 * with a Python error set. */
int make_handle_class(void);

/* The class Tensor, and the functions of enum in_python (python.h), by their ids; they are kept. */
void use_tensor_class(intptr_t tensor, const intptr_t *functions);
