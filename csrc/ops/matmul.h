/* Products whose result is read block by block while it is in the cache. */
#ifndef AD_OPS_MATMUL_H
#define AD_OPS_MATMUL_H

#include "../core.h"
#include "../gemm.h"

/* Attribute of mm, matmul, bmm and linear in a planned program: the address of the second operand's panels
 * (gemm_pack), or 0. */
enum { MATMUL_PANELS = 7 };
/* What gemm_panel_bytes() and gemm_pack() take of such a call; false where the operands of its batch differ,
 * or the product is not computed on the operands as they are. */
bool matmul_panels(const ad_call *c, gemm_args *g);

/* matmul_run() and linear_run() with what is done to each block of the result (gemm.h); float32 and float64.
 */
void matmul_run_then(const ad_call *c, gemm_then then, void *ctx);
void linear_run_then(const ad_call *c, gemm_then then, void *ctx);

#endif
