/* Products whose result is read block by block while it is in the cache. */
#ifndef AD_OPS_MATMUL_H
#define AD_OPS_MATMUL_H

#include "../core.h"
#include "../gemm.h"

/* matmul_run() and linear_run() with what is done to each block of the result (gemm.h); float32 and float64.
 */
void matmul_run_then(const ad_call *c, gemm_then then, void *ctx);
void linear_run_then(const ad_call *c, gemm_then then, void *ctx);

#endif
