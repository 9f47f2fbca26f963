/* The vector layer: one set of names over every compute type and instruction set.
 *
 * Before including (and before using any name below) define CT as one of f32, f64, i64. Every name is
 * a macro that appends the current CT, so `v_add` means v_add_f32 while CT is f32: a kernel header is
 * written once and included once per type, and redefining CT switches the meaning of all the names.
 *
 *     #define CT f32
 *     #include "vec.h"      (once per type, declares T, V, v_load ... for that type)
 *     ... kernels ...
 *     #undef CT
 *
 * The file of an instruction set defines AD_ISA_SSE2, AD_ISA_AVX2, AD_ISA_AVX512 or AD_ISA_NEON first;
 * the compiler's own __AVX2__ and the like are never tested, as the target is set by a pragma.
 *
 *   T   element               V   vector of T               VL  lanes (a constant)
 *   VI  signed integers of the same lane width               VU  the same, unsigned
 *   TI, TU  their elements    M   mask, opaque: a bit a lane with AVX-512, an integer lane otherwise
 *
 * Float arithmetic and bit operations are the C operators on V, VI and VU; where V may be integers, add
 * with v_add, v_sub, v_mul, which wrap. Compare with v_lt and friends and choose with v_sel, never with
 * < and ?: (their meaning differs between compilers). */
#ifndef AD_VEC_NAMES
#define AD_VEC_NAMES

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VCAT_(a, b) a##_##b
#define VCAT(a, b) VCAT_(a, b)
#define VN(name) VCAT(name, CT)

/* `#if CT_IS(f32)`. */
#define CTNUM_f32 1
#define CTNUM_f64 2
#define CTNUM_i64 3
#define CT_IS(t) (VCAT(CTNUM, CT) == CTNUM_##t)
#define CT_FLOAT (!CT_IS(i64))

/* Primitives are always inlined; VMATH marks longer functions, where the compiler decides. */
#define VFN static inline __attribute__((always_inline, unused))
#define VMATH static inline __attribute__((unused))
#define VSLOW static __attribute__((noinline, unused))
/* Before a loop of a small constant count over an array of vectors: they become registers only when every
 * such loop is unrolled. */
#ifdef __clang__
#define V_UNROLL _Pragma("clang loop unroll(full)")
#else
#define V_UNROLL _Pragma("GCC unroll 16")
#endif

#define T VN(T)
#define TI VN(TI)
#define TU VN(TU)
#define V VN(V)
#define VI VN(VI)
#define VU VN(VU)
#define M VN(M)
#define VL VN(VL)

#define K(c) v_splat((T)(c))
#define v_splat VN(v_splat)
#define v_load VN(v_load)
#define v_store VN(v_store)
#define v_stream VN(v_stream)
#define v_fence VN(v_fence)
#define v_loadn VN(v_loadn)
#define v_storen VN(v_storen)
#define v_load_bool VN(v_load_bool)
#define v_store_bool VN(v_store_bool)
#define v_loadn_bool VN(v_loadn_bool)
#define v_storen_bool VN(v_storen_bool)
#define v_add VN(v_add)
#define v_sub VN(v_sub)
#define v_mul VN(v_mul)
#define v_sel VN(v_sel)
#define v_seli VN(v_seli)
#define v_lt VN(v_lt)
#define v_le VN(v_le)
#define v_gt VN(v_gt)
#define v_ge VN(v_ge)
#define v_eq VN(v_eq)
#define v_ne VN(v_ne)
#define v_and VN(v_and)
#define v_or VN(v_or)
#define v_xor VN(v_xor)
#define v_not VN(v_not)
#define v_any VN(v_any)
#define v_all VN(v_all)
#define v_true VN(v_true)
#define v_false VN(v_false)
#define v_isnan VN(v_isnan)
#define v_isinf VN(v_isinf)
#define v_isfinite VN(v_isfinite)
#define v_signbit VN(v_signbit)
#define v_min VN(v_min)
#define v_max VN(v_max)
#define v_fmin VN(v_fmin)
#define v_fmax VN(v_fmax)
#define v_abs VN(v_abs)
#define v_neg VN(v_neg)
#define v_relu VN(v_relu)
#define v_sqrt VN(v_sqrt)
#define v_floor VN(v_floor)
#define v_ceil VN(v_ceil)
#define v_trunc VN(v_trunc)
#define v_round VN(v_round)
#define v_fma VN(v_fma)
#define v_bits VN(v_bits)
#define v_unbits VN(v_unbits)
#define v_copysign VN(v_copysign)
#define v_hsum VN(v_hsum)
#define v_hmax VN(v_hmax)
#define v_hmin VN(v_hmin)
#define v_iota VN(v_iota)
#define v_rot VN(v_rot)
#define v_prod_err VN(v_prod_err)
#define v_widen_lo VN(v_widen_lo)
#define v_widen_hi VN(v_widen_hi)
#define v_narrow VN(v_narrow)

#if defined(AD_ISA_AVX512)
#define VBYTES 64
#elif defined(AD_ISA_AVX2)
#define VBYTES 32
#elif defined(AD_ISA_SSE2) || defined(AD_ISA_NEON)
#define VBYTES 16
#else
#error "define AD_ISA_SSE2, AD_ISA_AVX2, AD_ISA_AVX512 or AD_ISA_NEON"
#endif

#endif /* AD_VEC_NAMES */

/* ---- types of the current CT ---------------------------------------------------------------- */

#if CT_IS(f32)
typedef float T;
typedef int32_t TI;
typedef uint32_t TU;
#define MANT_BITS_f32 23
#define EXP_BIAS_f32 127
enum { VL_f32 = VBYTES / 4 };
#elif CT_IS(f64)
typedef double T;
typedef int64_t TI;
typedef uint64_t TU;
#define MANT_BITS_f64 52
#define EXP_BIAS_f64 1023
enum { VL_f64 = VBYTES / 8 };
#else
typedef int64_t T;
typedef int64_t TI;
typedef uint64_t TU;
enum { VL_i64 = VBYTES / 8 };
#endif
typedef T V __attribute__((vector_size(VBYTES)));
typedef TI VI __attribute__((vector_size(VBYTES)));
typedef TU VU __attribute__((vector_size(VBYTES)));
typedef T VN(V_any) __attribute__((vector_size(VBYTES), aligned(1), may_alias)); /* in memory */

VFN V v_splat(T c) {
    /* Unlike `c - (V){0}` and the like, keeps -0 and NaN. */
#if defined(AD_ISA_AVX512)
#if CT_IS(f32)
    return (V)_mm512_set1_ps(c);
#elif CT_IS(f64)
    return (V)_mm512_set1_pd(c);
#else
    return (V)_mm512_set1_epi64(c);
#endif
#elif VBYTES == 16 && !CT_IS(f32)
    return (V){c, c};
#elif VBYTES == 16 || !CT_IS(f32)
    return (V){c, c, c, c};
#else
    return (V){c, c, c, c, c, c, c, c};
#endif
}

VFN V v_load(const T *p) { return *(const VN(V_any) *)p; }
VFN void v_store(T *p, V v) { *(VN(V_any) *)p = v; }

/* Bit casts to and from the integer vector of the same lane width. */
VFN VI v_bits(V x) { return (VI)x; }
VFN V v_unbits(VI x) { return (V)x; }

/* 0, 1, 2, ... in integer lanes. */
VFN VI v_iota(void) {
    TI t[VL];
    for (int i = 0; i < VL; i++) t[i] = i;
    VI r;
    memcpy(&r, t, sizeof r);
    return r;
}

#ifdef AD_ISA_NEON
#include "vec_neon.h"
#else
#include "vec_x86.h"
#endif

/* ---- built from the primitives -------------------------------------------------------------- */

#define V_SIGN ((TU)1 << (sizeof(T) * 8 - 1))

#if CT_FLOAT
VFN V v_add(V a, V b) { return a + b; }
VFN V v_sub(V a, V b) { return a - b; }
VFN V v_mul(V a, V b) { return a * b; }
VFN V v_abs(V x) { return (V)((VU)x & ~((VU){0} + V_SIGN)); }
VFN V v_neg(V x) { return -x; } /* the compiler folds it into a fused multiply-add */
VFN V v_copysign(V mag, V sgn) {
    VU s = (VU){0} + V_SIGN;
    return (V)(((VU)mag & ~s) | ((VU)sgn & s));
}
VFN M v_isnan(V x) { return v_ne(x, x); }
VFN M v_isinf(V x) { return v_eq(v_abs(x), K(INFINITY)); }
VFN M v_isfinite(V x) { return v_lt(v_abs(x), K(INFINITY)); }
/* Like torch.minimum and maximum: NaN if either is. */
VFN V v_min(V a, V b) { return v_sel(v_isnan(a), a, v_fmin(a, b)); }
VFN V v_max(V a, V b) { return v_sel(v_isnan(a), a, v_fmax(a, b)); }

/* The exact error of p = a * b rounded, barring overflow and underflow: a * b == p + v_prod_err(). */
VFN V v_prod_err(V a, V b, V p) {
#ifndef AD_ISA_SSE2
    return v_fma(a, b, v_neg(p));
#else
    /* Dekker's product over Veltkamp's splitting; needs |a|, |b| well below overflow. */
    V c = K(CT_IS(f32) ? 4097.0 : 134217729.0);
    V ta = a * c, tb = b * c;
    V ah = ta - (ta - a), bh = tb - (tb - b);
    V al = a - ah, bl = b - bh;
    return ((ah * bh - p) + ah * bl + al * bh) + al * bl;
#endif
}
#else
/* Integers wrap: the arithmetic is done unsigned, where overflow is defined. */
VFN V v_add(V a, V b) { return (V)((VU)a + (VU)b); }
VFN V v_sub(V a, V b) { return (V)((VU)a - (VU)b); }
VFN V v_mul(V a, V b) { return (V)((VU)a * (VU)b); }
VFN V v_neg(V x) { return (V)((VU){0} - (VU)x); }
VFN M v_isnan(V x) { return v_ne(x, x); }
VFN M v_isinf(V x) { return v_ne(x, x); }
VFN M v_isfinite(V x) { return v_eq(x, x); }
VFN V v_min(V a, V b) { return v_sel(v_lt(a, b), a, b); }
VFN V v_max(V a, V b) { return v_sel(v_gt(a, b), a, b); }
VFN V v_abs(V x) { return v_sel(v_lt(x, K(0)), v_neg(x), x); }
VFN V v_relu(V x) { return v_max(x, K(0)); }
VFN V v_floor(V x) { return x; }
VFN V v_ceil(V x) { return x; }
VFN V v_trunc(V x) { return x; }
VFN V v_round(V x) { return x; }
VFN V v_fma(V a, V b, V c) { return (V)((VU)a * (VU)b + (VU)c); }
#endif

/* Horizontal reductions, always by halves: lane i with lane i + VL/2, then i + VL/4, ... so that the
 * tree is fixed by VL alone. */
VFN V v_rot(V x, const int by) {
    VI ix = (v_iota() + by) & (VL - 1);
#ifdef __clang__
    /* No variable shuffle in Clang; with constant lanes this folds to one. */
    V r;
    for (int i = 0; i < VL; i++) r[i] = x[ix[i]];
    return r;
#else
    return __builtin_shuffle(x, ix);
#endif
}
#define VN_HORIZONTAL(fn, step)                                                                              \
    VFN T fn(V x) {                                                                                          \
        V y = v_rot(x, VL / 2);                                                                              \
        x = step;                                                                                            \
        if (VL >= 4) y = v_rot(x, VL / 4), x = step;                                                         \
        if (VL >= 8) y = v_rot(x, VL / 8), x = step;                                                         \
        if (VL >= 16) y = v_rot(x, VL / 16), x = step;                                                       \
        return x[0];                                                                                         \
    }
#if CT_FLOAT
VN_HORIZONTAL(v_hsum, x + y)
#else
VN_HORIZONTAL(v_hsum, (V)((VU)x + (VU)y))
#endif
VN_HORIZONTAL(v_hmax, v_max(x, y))
VN_HORIZONTAL(v_hmin, v_min(x, y))
#undef VN_HORIZONTAL
