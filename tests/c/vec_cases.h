/* The checks of test_vec.c that hold for every compute type; included once per CT. */

static void VN(partial)(void) {
    char *end = page_end();
    T from[VL], all[2 * VL];
    for (int i = 0; i < VL; i++) from[i] = (T)(i + 1);
    for (int64_t n = 1; n <= VL; n++) {
        T *p = (T *)(void *)end - n;
        memset(p - VL, 0x55, (size_t)VL * sizeof(T));
        memcpy(all, p - VL, (size_t)VL * sizeof(T));
        if (n < VL) {
            v_storen(p, v_load(from), n);
            V x = v_loadn(p, n);
            for (int i = 0; i < VL; i++) CHECK(x[i] == from[i < n ? i : 0]);
        } else {
            v_store(p, v_load(from));
        }
        CHECK(memcmp(p, from, (size_t)n * sizeof(T)) == 0);
        CHECK(memcmp(p - VL, all, (size_t)VL * sizeof(T)) == 0); /* nothing before it was written */

        uint8_t *b = (uint8_t *)end - n, bits[VL], back[VL + 1];
        for (int i = 0; i < VL; i++) bits[i] = (uint8_t)(i % 3 != 1);
        M m = v_load_bool(bits);
        if (n < VL) {
            v_storen_bool(b, m, n);
            CHECK(memcmp(b, bits, (size_t)n) == 0);
            v_store_bool(back, v_loadn_bool(b, n));
            for (int i = 0; i < VL; i++) CHECK(back[i] == bits[i < n ? i : 0]);
        }
        back[VL] = 9;
        v_store_bool(back, m);
        CHECK(memcmp(back, bits, VL) == 0 && back[VL] == 9);
        V s = v_sel(m, K(1), K(2));
        for (int i = 0; i < VL; i++) CHECK(s[i] == (bits[i] ? 1 : 2));
        /* a partial bool store leaves the bytes after it alone */
        memset(back, 9, sizeof back);
        if (n < VL) {
            v_storen_bool(back, m, n);
            for (int i = 0; i <= VL; i++) CHECK(back[i] == (i < n ? bits[i] : 9));
        }
    }
    munmap(end - sysconf(_SC_PAGESIZE), 2 * (size_t)sysconf(_SC_PAGESIZE));
}

static void VN(masks)(void) {
    for (int i = 0; i < VL; i++) {
        V x = K(0);
        x[i] = 1;
        CHECK(v_any(v_ne(x, K(0))) && !v_all(v_ne(x, K(0))));
        CHECK(!v_all(v_eq(x, K(0))) && v_any(v_eq(x, K(1))));
        CHECK(v_all(v_or(v_eq(x, K(0)), v_eq(x, K(1)))));
        CHECK(!v_any(v_and(v_eq(x, K(0)), v_eq(x, K(1)))));
        CHECK(v_all(v_xor(v_eq(x, K(0)), v_eq(x, K(1)))));
        CHECK(v_hsum(x) == 1 && v_hmax(x) == 1 && v_hmin(v_neg(x)) == -1);
        V s = v_sel(v_not(v_lt(x, K(1))), K(5), K(6));
        for (int j = 0; j < VL; j++) CHECK(s[j] == (i == j ? 5 : 6));
    }
    CHECK(v_all(v_true()) && !v_any(v_false()) && !v_any(v_not(v_true())));
    /* The order of a sum: halves, quarters, ... */
    T t[VL];
    for (int i = 0; i < VL; i++) t[i] = (T)(1.1 * i - 3.7 + 1000 * (i % 5));
    V x = v_load(t);
    for (int w = VL / 2; w; w /= 2)
        for (int i = 0; i < w; i++) t[i] += t[i + w];
    CHECK(v_hsum(x) == t[0]);
}

#if CT_FLOAT
static void VN(floats)(void) {
    T nan = (T)NAN, inf = (T)INFINITY;
    const T v[] = {0, (T)-0.0, 1, -1, (T)2.5, inf, -inf, nan};
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) {
            T a = v[i], b = v[j];
            T lo = v_min(K(a), K(b))[0], hi = v_max(K(a), K(b))[0];
            if (a != a || b != b) CHECK(lo != lo && hi != hi);
            else CHECK(lo == (a < b ? a : b) && hi == (a > b ? a : b));
            CHECK(v_any(v_lt(K(a), K(b))) == (a < b) && v_any(v_le(K(a), K(b))) == (a <= b));
            CHECK(v_any(v_gt(K(a), K(b))) == (a > b) && v_any(v_ge(K(a), K(b))) == (a >= b));
            CHECK(v_any(v_eq(K(a), K(b))) == (a == b) && v_any(v_ne(K(a), K(b))) == (a != b));
            T c = v_copysign(K(a), K(b))[0];
            CHECK(!signbit(c) == !signbit(b) && (a != a || fabs(c) == fabs(a)));
        }
    for (int i = 0; i < 8; i++) {
        T a = v[i], r = v_relu(K(a))[0];
        CHECK(a != a ? r != r : r == (a > 0 ? a : 0));
        CHECK(v_any(v_isnan(K(a))) == (a != a) && v_any(v_isinf(K(a))) == !!isinf(a));
        CHECK(v_any(v_isfinite(K(a))) == !!isfinite(a) && v_any(v_signbit(K(a))) == !!signbit(a));
        CHECK(v_sign(K(a))[0] == (a > 0) - (a < 0));
        CHECK(!signbit(v_neg(K(a))[0]) == !!signbit(a) && !signbit(v_abs(K(a))[0]));
    }
    T a = (T)1.1, b = (T)2.3, p = a * b;
    CHECK((long double)p + v_prod_err(K(a), K(b), K(p))[0] == (long double)a * b || sizeof(T) == 8);
}
#endif

static void VN(cases)(void) {
    VN(partial)();
    VN(masks)();
#if CT_FLOAT
    VN(floats)();
#endif
}
