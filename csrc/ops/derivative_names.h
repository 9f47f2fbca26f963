/* The functions that derivatives in elementwise.def may call: each emits the operation of its name.
 * They are macros so that a row can read mul(g, exp(x)) while the emitter E stays out of sight; they hide
 * libm's functions of the same names in the one file that includes this. */
#define ZERO NULL /* no gradient flows */
#define K(v) em_const(E, v)
#define nought(g) em_zeros(E, (g)->dtype, (g)->ndim, (g)->sizes)

#define DERIVATIVE1(name, a) em1(E, OP_##name, a)
#define DERIVATIVE2(name, a, b) em2(E, OP_##name, a, b)
#define DERIVATIVE3(name, a, b, c) em3(E, OP_##name, a, b, c)
#define add(a, b) DERIVATIVE2(add, a, b)
#define sub(a, b) DERIVATIVE2(sub, a, b)
#define mul(a, b) DERIVATIVE2(mul, a, b)
#define div(a, b) DERIVATIVE2(div, a, b)
#define pow(a, b) DERIVATIVE2(pow, a, b)
#define pow_grad_a(g, a, b) DERIVATIVE3(pow_grad_a, g, a, b)
#define pow_grad_b(g, a, b) DERIVATIVE3(pow_grad_b, g, a, b)
#define floor_divide(a, b) DERIVATIVE2(floor_divide, a, b)
#define trunc_divide(a, b) DERIVATIVE2(trunc_divide, a, b)
#define neg(a) DERIVATIVE1(neg, a)
#define abs(a) DERIVATIVE1(abs, a)
#define sign(a) DERIVATIVE1(sign, a)
#define reciprocal(a) DERIVATIVE1(reciprocal, a)
#define xlogy(a, b) DERIVATIVE2(xlogy, a, b)
#define xlog1py(a, b) DERIVATIVE2(xlog1py, a, b)
#define exp(a) DERIVATIVE1(exp, a)
#define log(a) DERIVATIVE1(log, a)
#define sqrt(a) DERIVATIVE1(sqrt, a)
#define rsqrt(a) DERIVATIVE1(rsqrt, a)
#define sin(a) DERIVATIVE1(sin, a)
#define cos(a) DERIVATIVE1(cos, a)
#define sinh(a) DERIVATIVE1(sinh, a)
#define cosh(a) DERIVATIVE1(cosh, a)
#define tanh(a) DERIVATIVE1(tanh, a)
#define tanh_grad(g, y) DERIVATIVE2(tanh_grad, g, y)
#define atan2_grad(g, a, b) DERIVATIVE3(atan2_grad, g, a, b)
#define sigmoid(a) DERIVATIVE1(sigmoid, a)
#define sigmoid_grad(g, y) DERIVATIVE2(sigmoid_grad, g, y)
#define digamma(a) DERIVATIVE1(digamma, a)
#define polygamma(a, n) DERIVATIVE2(polygamma, a, n)
#define lgamma(a) DERIVATIVE1(lgamma, a)
#define zeta(a, b) DERIVATIVE2(zeta, a, b)
#define i0(a) DERIVATIVE1(i0, a)
#define i0e(a) DERIVATIVE1(i0e, a)
#define i1(a) DERIVATIVE1(i1, a)
#define i1e(a) DERIVATIVE1(i1e, a)
#define where(m, a, b) DERIVATIVE3(where, m, a, b)
#define gt(a, b) DERIVATIVE2(gt, a, b)
#define ge(a, b) DERIVATIVE2(ge, a, b)
#define lt(a, b) DERIVATIVE2(lt, a, b)
#define le(a, b) DERIVATIVE2(le, a, b)
#define eq(a, b) DERIVATIVE2(eq, a, b)
#undef isnan
#define isnan(a) DERIVATIVE1(isnan, a)
#define both(a, b) DERIVATIVE2(logical_and, a, b)
#define either(a, b) DERIVATIVE2(logical_or, a, b)
#define maximum_grad(g, a, b) DERIVATIVE3(maximum_grad, g, a, b)
#define keep_ge(g, a, b) DERIVATIVE3(keep_ge, g, a, b)
#define keep_gt(g, a, b) DERIVATIVE3(keep_gt, g, a, b)
#define keep_le(g, a, b) DERIVATIVE3(keep_le, g, a, b)
#define keep_lt(g, a, b) DERIVATIVE3(keep_lt, g, a, b)
#define drop_le(g, a, b) DERIVATIVE3(drop_le, g, a, b)
#define keep_finite(g, a) DERIVATIVE2(keep_finite, g, a)
#define relu_grad(g, y) DERIVATIVE2(relu_grad, g, y)
#define relu6_grad(g, y) DERIVATIVE2(relu6_grad, g, y)
#define leaky_relu_grad(g, a, b) DERIVATIVE3(leaky_relu_grad, g, a, b)
#define elu_grad(g, a, b) DERIVATIVE3(elu_grad, g, a, b)
#define selu_grad(g, a) DERIVATIVE2(selu_grad, g, a)
#define celu_grad(g, a, b) DERIVATIVE3(celu_grad, g, a, b)
#define gelu_grad(g, a) DERIVATIVE2(gelu_grad, g, a)
#define gelu_tanh_grad(g, a) DERIVATIVE2(gelu_tanh_grad, g, a)
#define silu_grad(g, a) DERIVATIVE2(silu_grad, g, a)
#define mish_grad(g, a) DERIVATIVE2(mish_grad, g, a)
#define softplus_grad(g, t, c) DERIVATIVE3(softplus_grad, g, t, c)
#define shrink_grad(g, a, b) DERIVATIVE3(shrink_grad, g, a, b)
#define hardsigmoid_grad(g, a) DERIVATIVE2(hardsigmoid_grad, g, a)
#define hardswish_grad(g, a) DERIVATIVE2(hardswish_grad, g, a)

#define not_zero(x) where(eq(x, K(0)), K(1), x)

/* Second derivatives that are too long for a line. */
#define pow_grad_a_exponent(g, b, c) em_pow_grad_a_exponent(E, g, b, c)
#define pow_grad_b_base(g, b, c) em_pow_grad_b_base(E, g, b, c)
#define igamma_slope(a, x) em_igamma_slope(E, a, x)
#define refused(what) em_refused(E, what)
#define atan2_grad_other(b, c) em_atan2_grad_other(E, b, c)
#define gelu_second(x) em_gelu_second(E, x)
#define gelu_tanh_second(x) em_gelu_tanh_second(E, x)
#define silu_second(x) em_silu_second(E, x)
#define mish_second(x) em_mish_second(E, x)
#define shrink_inside(g, x) keep_lt(keep_gt(g, x, K(-3)), x, K(3))

typedef ad_tensor *const em_t;

/* d/dc of c b^(c-1) is b^(c-1) (1 + c log b) */
static ad_tensor *em_pow_grad_a_exponent(ad_em *E, em_t g, em_t b, em_t c) {
    ad_tensor *less = sub(c, K(1));
    return where(eq(c, K(0)), K(0), add(mul(g, pow(b, less)), pow_grad_b(mul(g, c), b, less)));
}
/* d/db of b^c log b is b^(c-1) (1 + c log b) */
static ad_tensor *em_pow_grad_b_base(ad_em *E, em_t g, em_t b, em_t c) {
    ad_tensor *d = mul(g, mul(pow(b, sub(c, K(1))), add(mul(c, log(b)), K(1))));
    return where(both(eq(b, K(0)), ge(c, K(0))), K(0), d);
}
/* e^(-x) x^(a-1) / gamma(a) */
static ad_tensor *em_igamma_slope(ad_em *E, em_t a, em_t x) {
    return exp(sub(sub(mul(sub(a, K(1)), log(x)), x), lgamma(a)));
}
static ad_tensor *em_refused(ad_em *E, const char *what) {
    ad_fail(AD_ERR_NOT_IMPLEMENTED, "the derivative of %s is not implemented", what);
    E->failed = true;
    return NULL;
}
/* d/dc of c / (b^2 + c^2) is (b^2 - c^2) / (b^2 + c^2)^2 */
static ad_tensor *em_atan2_grad_other(ad_em *E, em_t b, em_t c) {
    ad_tensor *q = atan2_grad(K(1), b, c), *r = atan2_grad(K(1), c, b);
    return sub(mul(r, r), mul(q, q));
}
/* (2 - x^2) e^(-x^2/2) / sqrt(2 pi) */
static ad_tensor *em_gelu_second(ad_em *E, em_t x) {
    ad_tensor *s = mul(x, x);
    return mul(mul(exp(mul(s, K(-0.5))), sub(K(2), s)), K(ONE_OVER_SQRT_2PI));
}
/* With t = tanh(u): (1 - t^2) (u' + x (u'' / 2 - t u'^2)) */
static ad_tensor *em_gelu_tanh_second(ad_em *E, em_t x) {
    ad_tensor *s = mul(x, x);
    ad_tensor *t = tanh(mul(x, add(mul(s, K(SQRT_2_OVER_PI * GELU_CUBIC)), K(SQRT_2_OVER_PI))));
    ad_tensor *du = add(mul(s, K(3 * SQRT_2_OVER_PI * GELU_CUBIC)), K(SQRT_2_OVER_PI));
    ad_tensor *half_ddu = mul(x, K(3 * SQRT_2_OVER_PI * GELU_CUBIC));
    return tanh_grad(add(du, mul(x, sub(half_ddu, mul(t, mul(du, du))))), t);
}
/* With s = sigmoid(x): s (1 - s) (2 + x (1 - 2 s)) */
static ad_tensor *em_silu_second(ad_em *E, em_t x) {
    ad_tensor *s = sigmoid(x);
    return sigmoid_grad(add(mul(x, sub(K(1), mul(s, K(2)))), K(2)), s);
}
/* With s = sigmoid(x), t = tanh(softplus(x)): s (1 - t^2) (2 + x (1 - s - 2 t s)) */
static ad_tensor *em_mish_second(ad_em *E, em_t x) {
    ad_tensor *s = sigmoid(x), *t = tanh(em3(E, OP_softplus, x, K(1), K(40)));
    ad_tensor *w = sub(K(1), mul(s, add(mul(t, K(2)), K(1))));
    return tanh_grad(mul(s, add(mul(x, w), K(2))), t);
}
