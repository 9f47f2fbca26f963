/* The kernels for NEON, the baseline of 64-bit ARM. */
#ifdef __aarch64__
#include <arm_neon.h>

#define AD_ISA_NEON
#define AD_ISA_NAME neon
#include "../kernels/kernels.h"
#endif
