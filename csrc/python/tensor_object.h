/* The tensor as a CPython object: the base class of autodiffc.Tensor. */
#pragma once
#include <stdint.h>

/* Makes the class and stores it as autodiffc._core.Handle. 0, or -1 with a Python error set. */
int make_handle_class(void);

/* The objects (by their ids; they are kept) that results and errors need: the class Tensor, fail(), the
 * operators' Python form operate(op, self, other, reversed), and to_numpy(tensor) for the buffer protocol. */
void use_tensor_class(intptr_t tensor, intptr_t fail, intptr_t operate, intptr_t to_numpy);
