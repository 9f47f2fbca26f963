/* Mathematical functions of a vector, for the current CT. */
#ifndef AD_VMATH_NAMES
#define AD_VMATH_NAMES
#define v_exp VN(v_exp)
#define v_exp2 VN(v_exp2)
#define v_expm1 VN(v_expm1)
#define v_log VN(v_log)
#define v_log2 VN(v_log2)
#define v_log10 VN(v_log10)
#define v_log1p VN(v_log1p)
#define v_sin VN(v_sin)
#define v_cos VN(v_cos)
#define v_tan VN(v_tan)
#define v_sinh VN(v_sinh)
#define v_cosh VN(v_cosh)
#define v_tanh VN(v_tanh)
#define v_asin VN(v_asin)
#define v_acos VN(v_acos)
#define v_atan VN(v_atan)
#define v_atan2 VN(v_atan2)
#define v_asinh VN(v_asinh)
#define v_acosh VN(v_acosh)
#define v_atanh VN(v_atanh)
#define v_sigmoid VN(v_sigmoid)
#define v_silu VN(v_silu)
#define v_log_sigmoid VN(v_log_sigmoid)
#define v_softplus VN(v_softplus)
#define v_logit VN(v_logit)
#define v_erf VN(v_erf)
#define v_erfc VN(v_erfc)
#define v_erfinv VN(v_erfinv)
#define v_gelu VN(v_gelu)
#define v_gelu_grad VN(v_gelu_grad)
#define v_ndtr VN(v_ndtr)
#define v_log_ndtr VN(v_log_ndtr)
#define v_lgamma VN(v_lgamma)
#define v_digamma VN(v_digamma)
#define v_i0 VN(v_i0)
#define v_sinc VN(v_sinc)
#define v_pow VN(v_pow)
#define v_xlogy VN(v_xlogy)
#define v_logaddexp VN(v_logaddexp)
#define v_logaddexp2 VN(v_logaddexp2)
#define v_hypot VN(v_hypot)
#define v_rsqrt VN(v_rsqrt)
#define v_recip VN(v_recip)
#define v_fmod VN(v_fmod)
#define v_remainder VN(v_remainder)
#define v_floor_div VN(v_floor_div)
#define v_trunc_div VN(v_trunc_div)
#define v_nextafter VN(v_nextafter)
#define v_sign VN(v_sign)
#define v_heaviside VN(v_heaviside)
#define v_shl VN(v_shl)
#define v_shr VN(v_shr)
#define v_gcd VN(v_gcd)
#define v_lcm VN(v_lcm)
#define v_poly(x, c) VN(v_horner)(x, c, (int)(sizeof(c) / sizeof *(c)))
#define v_via64 VN(v_via64)
#define v_pow2i VN(v_pow2i)
#define v_scale VN(v_scale)
#define v_exp_tail VN(v_exp_tail)
#define v_exp_less VN(v_exp_less)
#define v_map1 VN(v_map1)
#define v_map2 VN(v_map2)
#endif

/* Applies a scalar function lane by lane: for functions that are rare. */
VSLOW V v_map1(V x, T (*f)(T)) {
    T t[VL];
    v_store(t, x);
    for (int i = 0; i < VL; i++) t[i] = f(t[i]);
    return v_load(t);
}
VSLOW V v_map2(V a, V b, T (*f)(T, T)) {
    T s[VL], t[VL];
    v_store(s, a);
    v_store(t, b);
    for (int i = 0; i < VL; i++) t[i] = f(s[i], t[i]);
    return v_load(t);
}

#if CT_FLOAT
/* c[0] + c[1] x + ...; the count is a constant, and the loop is unrolled. */
VFN V VN(v_horner)(V x, const T *c, const int n) {
    V p = v_splat(c[n - 1]);
#ifndef __clang__
#pragma GCC unroll 32
#endif
    for (int i = n - 2; i >= 0; i--) p = v_fma(p, x, v_splat(c[i]));
    return p;
}
#if CT_IS(f32)
/* A float function computed in double, half a vector at a time. */
VFN V v_via64(V x, V_f64 (*f)(V_f64)) { return v_narrow(f(v_widen_lo(x)), f(v_widen_hi(x))); }
#endif

#include "vmath_exp.h"
#include "vmath_log.h"
#include "vmath_trig.h"
#include "vmath_erf.h"
#include "vmath_libm.h"
#else
#include "vmath_int.h"
#endif

/* -1, 0 or 1; 0 for NaN, as torch.sign. */
VMATH V v_sign(V x) {
    V zero = K(0), one = K(1);
    return v_sel(v_gt(x, zero), one, v_sel(v_lt(x, zero), v_neg(one), zero));
}
/* b where a is 0, else whether a > 0; 0 for NaN, as torch.heaviside. */
VMATH V v_heaviside(V a, V b) {
    V zero = K(0);
    return v_sel(v_eq(a, zero), b, v_sel(v_gt(a, zero), K(1), zero));
}
