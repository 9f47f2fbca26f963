/* Integer arithmetic with the semantics of PyTorch. No input traps: a division by zero gives 0 (the
 * caller raises the error beforehand), and INT64_MIN / -1 wraps. */

VFN int64_t int_divisor(int64_t b) { return b == 0 || b == -1 ? 1 : b; }

VFN int64_t int_trunc_div(int64_t a, int64_t b) {
    if (b == 0) return 0;
    if (b == -1) return (int64_t)(0 - (uint64_t)a);
    return a / b;
}
VFN int64_t int_fmod(int64_t a, int64_t b) { return a % int_divisor(b); }
VFN int64_t int_floor_div(int64_t a, int64_t b) {
    int64_t q = int_trunc_div(a, b);
    return q - (int_fmod(a, b) != 0 && (a < 0) != (b < 0));
}
VFN int64_t int_remainder(int64_t a, int64_t b) {
    int64_t r = int_fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
/* A negative exponent gives 1/base rounded towards 0: 1, -1 or 0. */
VFN int64_t int_pow(int64_t a, int64_t e) {
    uint64_t r = 1, b = (uint64_t)a;
    if (e < 0) return a == 1 ? 1 : a == -1 ? (e & 1 ? -1 : 1) : 0;
    for (; e; e >>= 1, b *= b)
        if (e & 1) r *= b;
    return (int64_t)r;
}
VFN uint64_t int_magnitude(int64_t a) { return a < 0 ? 0 - (uint64_t)a : (uint64_t)a; }
VFN int64_t int_gcd(int64_t a, int64_t b) {
    uint64_t x = int_magnitude(a), y = int_magnitude(b);
    while (y) {
        uint64_t r = x % y;
        x = y;
        y = r;
    }
    return (int64_t)x;
}
VFN int64_t int_lcm(int64_t a, int64_t b) {
    uint64_t g = (uint64_t)int_gcd(a, b);
    if (g == 0) return 0;
    return (int64_t)int_magnitude((int64_t)(int_magnitude(a) / g * (uint64_t)b));
}

#define INT_MAP(fn, scalar)                                                                                  \
    VSLOW V fn(V a, V b) {                                                                                   \
        int64_t s[VL], t[VL];                                                                                \
        v_store(s, a);                                                                                       \
        v_store(t, b);                                                                                       \
        for (int i = 0; i < VL; i++) t[i] = scalar(s[i], t[i]);                                              \
        return v_load(t);                                                                                    \
    }
INT_MAP(v_trunc_div, int_trunc_div)
INT_MAP(v_floor_div, int_floor_div)
INT_MAP(v_fmod, int_fmod)
INT_MAP(v_remainder, int_remainder)
INT_MAP(v_pow, int_pow)
INT_MAP(v_gcd, int_gcd)
INT_MAP(v_lcm, int_lcm)
#undef INT_MAP

/* Shifts by less than 0 or by the width and more: left gives 0, right the sign, as in PyTorch. */
VMATH V v_shl(V a, V n) {
    M ok = v_and(v_ge(n, K(0)), v_lt(n, K(64)));
    return v_sel(ok, (V)((VU)a << ((VU)n & 63)), K(0));
}
VMATH V v_shr(V a, V n) {
    M ok = v_and(v_ge(n, K(0)), v_lt(n, K(64)));
    return a >> v_sel(ok, n, K(63));
}
