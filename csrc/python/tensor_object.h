/* The tensor as a CPython object: the base class of autodiffc.Tensor. */
#pragma once
#include <stdint.h>

/* Makes the class and stores it as autodiffc._core.Handle, and the functions wrap, unary and binary beside
 * it. 0, or -1 with a Python error set. */
int make_handle_class(void);

/* The objects, by their ids, that results, errors and what is rare need; they are kept: the class Tensor, and
 * the functions fail(), operate(op, self, other, reversed), unary and binary in Python, and to_numpy(tensor).
 */
void use_tensor_class(intptr_t tensor, const intptr_t *functions);
