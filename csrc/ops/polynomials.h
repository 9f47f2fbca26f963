/* Orthogonal polynomials of degree n at x, for FLOAT; included by special.c once for each type. A degree is
 * cut to an integer; a negative one gives 0, and one that would take too many steps NaN. */

static FLOAT F(polynomial)(int kind, FLOAT n, FLOAT x, FLOAT first) {
    FLOAT p0 = 1, p1 = first, p2;
    n = LIBM(trunc)(n);
    if (!(n >= 0)) return 0;
    if (n == 0) return 1;
    if (n > HIGHEST_DEGREE) return NAN;
    for (FLOAT k = 1; k < n && p1 == p1; k += 1) {
        switch (kind) {
        case CHEBYSHEV:
            p2 = LIBM(fma)(x + x, p1, -p0);
            break;
        case HERMITE:
            p2 = LIBM(fma)(x + x, p1, -((k + k) * p0));
            break;
        case HERMITE_E:
            p2 = LIBM(fma)(x, p1, -(k * p0));
            break;
        case LAGUERRE:
            p2 = LIBM(fma)((k + k) + (1 - x), p1, -(k * p0)) / (k + 1);
            break;
        default:
            p2 = LIBM(fma)((k + k + 1) * x, p1, -(k * p0)) / (k + 1);
        }
        p0 = p1;
        p1 = p2;
    }
    return p1;
}
static int F(is_odd)(FLOAT n) { return LIBM(fmod)(n, 2) != 0; }

/* Within (-1, 1) high degrees go by the angle, which stays precise. */
static FLOAT F(chebyshev_t)(FLOAT x, FLOAT n) {
    n = LIBM(trunc)(n);
    if (n >= 0 && LIBM(fabs)(x) == 1) return x > 0 || !F(is_odd)(n) ? 1 : -1;
    if (n > 6 && LIBM(fabs)(x) < 1) return LIBM(cos)(n * LIBM(acos)(x));
    return F(polynomial)(CHEBYSHEV, n, x, x);
}
static FLOAT F(chebyshev_u)(FLOAT x, FLOAT n) {
    n = LIBM(trunc)(n);
    if (n >= 0 && LIBM(fabs)(x) == 1) return x > 0 || !F(is_odd)(n) ? n + 1 : -(n + 1);
    if (n > 8 && LIBM(fabs)(x) < 1 && LIBM(sin)(LIBM(acos)(x)) != 0)
        return LIBM(sin)((n + 1) * LIBM(acos)(x)) / LIBM(sin)(LIBM(acos)(x));
    return F(polynomial)(CHEBYSHEV, n, x, x + x);
}
static FLOAT F(chebyshev_v)(FLOAT x, FLOAT n) {
    n = LIBM(trunc)(n);
    if (n >= 0 && LIBM(fabs)(x) == 1) return x > 0 ? 1 : F(is_odd)(n) ? -(n + n + 1) : n + n + 1;
    if (n > 8 && LIBM(fabs)(x) < 1 && LIBM(sin)(LIBM(acos)(x) / 2) != 1)
        return LIBM(cos)((n + (FLOAT)0.5) * LIBM(acos)(x)) / LIBM(cos)(LIBM(acos)(x) / 2);
    return F(polynomial)(CHEBYSHEV, n, x, x + x - 1);
}
static FLOAT F(chebyshev_w)(FLOAT x, FLOAT n) {
    n = LIBM(trunc)(n);
    if (n >= 0 && LIBM(fabs)(x) == 1) return x > 0 ? n + n + 1 : F(is_odd)(n) ? -1 : 1;
    if (n > 8 && LIBM(fabs)(x) < 1 && LIBM(cos)(LIBM(acos)(x) / 2) != 1)
        return LIBM(sin)((n + (FLOAT)0.5) * LIBM(acos)(x)) / LIBM(sin)(LIBM(acos)(x) / 2);
    return F(polynomial)(CHEBYSHEV, n, x, x + x + 1);
}
static FLOAT F(shifted_t)(FLOAT x, FLOAT n) { return F(chebyshev_t)(x + x - 1, n); }
static FLOAT F(shifted_u)(FLOAT x, FLOAT n) { return F(chebyshev_u)(x + x - 1, n); }
static FLOAT F(shifted_v)(FLOAT x, FLOAT n) { return F(chebyshev_v)(x + x - 1, n); }
static FLOAT F(shifted_w)(FLOAT x, FLOAT n) { return F(chebyshev_w)(x + x - 1, n); }

static FLOAT F(hermite_h)(FLOAT x, FLOAT n) { return F(polynomial)(HERMITE, n, x, x + x); }
static FLOAT F(hermite_he)(FLOAT x, FLOAT n) { return F(polynomial)(HERMITE_E, n, x, x); }
static FLOAT F(laguerre_l)(FLOAT x, FLOAT n) { return F(polynomial)(LAGUERRE, n, x, 1 - x); }
static FLOAT F(legendre_p)(FLOAT x, FLOAT n) { return F(polynomial)(LEGENDRE, n, x, x); }
