/* The functions that derivatives in elementwise.def may call: each emits the operation of its name.
 * They are macros so that a row can read mul(g, exp(x)) while the emitter E stays out of sight; they hide
 * libm's functions of the same names in the one file that includes this. */
#define add(a, b) em2(E, OP_add, a, b)
#define sub(a, b) em2(E, OP_sub, a, b)
#define mul(a, b) em2(E, OP_mul, a, b)
#define div(a, b) em2(E, OP_div, a, b)
#define neg(a) em1(E, OP_neg, a)
#define exp(a) em1(E, OP_exp, a)
#define log(a) em1(E, OP_log, a)
#define sqrt(a) em1(E, OP_sqrt, a)
#define where(m, a, b) em3(E, OP_where, m, a, b)
#define gt(a, b) em2(E, OP_gt, a, b)
#define ge(a, b) em2(E, OP_ge, a, b)
#define lt(a, b) em2(E, OP_lt, a, b)
#define eq(a, b) em2(E, OP_eq, a, b)
#define relu_grad(g, y) em2(E, OP_relu_grad, g, y)
