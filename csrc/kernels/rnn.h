/* One step of a recurrent layer, for one row of the batch: gates and their gradients, n units.
 *
 * LSTM: Hochreiter and Schmidhuber, 1997, with the forget gate of Gers et al., 2000; gates lie in the order
 * i, f, g, o. GRU: Cho et al., 2014, with the reset gate applied after the product, as cuDNN does; r, z, n.
 */

#undef RN_LOAD
#undef RN_STORE
#define RN_LOAD(p) (left >= VL ? v_load((p) + k) : v_loadn((p) + k, left))
#define RN_STORE(p, x)                                                                                       \
    do {                                                                                                     \
        if (left >= VL) v_store((p) + k, x);                                                                 \
        else v_storen((p) + k, x, left);                                                                     \
    } while (0)

/* The gates' own functions: in float32 within 3 (sigmoid) and 6 (tanh) units in the last place, half as
 * costly as the elementwise ones. tanh is a minimax quotient of odd and even polynomials on [-8, 8], below 1.
 */
#if CT_IS(f32)
static const T RN_TANH_P[] = {0.9999999935885809, 0.13444518395742325, 0.003571622041859687,
                              2.189504750288032e-05, 1.5230931700604552e-08};
static const T RN_TANH_Q[] = {1, 0.4677784572861096, 0.026164534905927038, 0.00034113308865594356,
                              8.522661420069296e-07};
VFN V VN(rn_sigmoid)(V x) { return K(1) / (K(1) + v_exp(v_neg(x))); }
VFN V VN(rn_tanh)(V x) {
    x = v_fmax(K(-8), v_fmin(K(8), x)); /* NaN comes second, and stays */
    V z = x * x;
    return x * v_poly(z, RN_TANH_P) / v_poly(z, RN_TANH_Q);
}
#else
VFN V VN(rn_sigmoid)(V x) { return v_sigmoid(x); }
VFN V VN(rn_tanh)(V x) { return v_tanh(x); }
#endif

/* `gates` holds the product with the state before, and holds the gates after. c is the cell: before, after.
 */
static void VN(rn_lstm)(int64_t n, const void *px, void *pgates, void *pc, void *psaved, void *ph) {
    const T *x = px;
    T *a = pgates, *c = pc, *s = psaved, *h = ph;
    for (int64_t k = 0; k < n; k += VL) {
        int64_t left = n - k;
        V i = VN(rn_sigmoid)(RN_LOAD(x) + RN_LOAD(a)), f = VN(rn_sigmoid)(RN_LOAD(x + n) + RN_LOAD(a + n));
        V g = VN(rn_tanh)(RN_LOAD(x + 2 * n) + RN_LOAD(a + 2 * n)),
          o = VN(rn_sigmoid)(RN_LOAD(x + 3 * n) + RN_LOAD(a + 3 * n));
        V y = v_fma(f, RN_LOAD(c), i * g);
        RN_STORE(a, i);
        RN_STORE(a + n, f);
        RN_STORE(a + 2 * n, g);
        RN_STORE(a + 3 * n, o);
        RN_STORE(c, y);
        RN_STORE(s, y);
        RN_STORE(h, o * VN(rn_tanh)(y));
    }
}

/* dc: of the cell after, then before. c0 and c: the cell before and after. */
static void VN(rn_lstm_grad)(int64_t n, const void *pgates, const void *pc0, const void *pc, const void *pdh,
                             void *pdc, void *pd) {
    const T *a = pgates, *c0 = pc0, *c = pc, *dh = pdh;
    T *dc = pdc, *d = pd;
    V one = K(1);
    for (int64_t k = 0; k < n; k += VL) {
        int64_t left = n - k;
        V i = RN_LOAD(a), f = RN_LOAD(a + n), g = RN_LOAD(a + 2 * n), o = RN_LOAD(a + 3 * n);
        V t = VN(rn_tanh)(RN_LOAD(c)), e = RN_LOAD(dh);
        V q = RN_LOAD(dc) + e * o * (one - t * t);
        RN_STORE(d, q * g * i * (one - i));
        RN_STORE(d + n, q * RN_LOAD(c0) * f * (one - f));
        RN_STORE(d + 2 * n, q * i * (one - g * g));
        RN_STORE(d + 3 * n, e * t * o * (one - o));
        RN_STORE(dc, q * f);
    }
}

/* o tanh(c): what a projection is applied to */
static void VN(rn_lstm_out)(int64_t n, const void *pgates, const void *pc, void *ph) {
    const T *o = (const T *)pgates + 3 * n, *c = pc;
    T *h = ph;
    for (int64_t k = 0; k < n; k += VL) {
        int64_t left = n - k;
        RN_STORE(h, RN_LOAD(o) * VN(rn_tanh)(RN_LOAD(c)));
    }
}

/* `gates` holds three products before; r, z, n and the last product with its bias after. b: 3 n, or NULL. */
static void VN(rn_gru)(int64_t n, const void *px, const void *pb, void *pgates, const void *ph0, void *ph) {
    const T *x = px, *b = pb, *h0 = ph0;
    T *a = pgates, *h = ph;
    for (int64_t k = 0; k < n; k += VL) {
        int64_t left = n - k;
        V r = RN_LOAD(a), z = RN_LOAD(a + n), m = RN_LOAD(a + 2 * n), p = RN_LOAD(h0);
        if (b) r += RN_LOAD(b), z += RN_LOAD(b + n), m += RN_LOAD(b + 2 * n);
        r = VN(rn_sigmoid)(RN_LOAD(x) + r);
        z = VN(rn_sigmoid)(RN_LOAD(x + n) + z);
        V q = VN(rn_tanh)(v_fma(r, m, RN_LOAD(x + 2 * n)));
        RN_STORE(a, r);
        RN_STORE(a + n, z);
        RN_STORE(a + 2 * n, q);
        RN_STORE(a + 3 * n, m);
        RN_STORE(h, v_fma(p - q, z, q));
    }
}

/* d: of the input's products, e: of the state's; dh: of the state after, then the direct part of before. */
static void VN(rn_gru_grad)(int64_t n, const void *pgates, const void *ph0, void *pdh, void *pd, void *pe) {
    const T *a = pgates, *h0 = ph0;
    T *dh = pdh, *d = pd, *e = pe;
    V one = K(1);
    for (int64_t k = 0; k < n; k += VL) {
        int64_t left = n - k;
        V r = RN_LOAD(a), z = RN_LOAD(a + n), q = RN_LOAD(a + 2 * n), m = RN_LOAD(a + 3 * n), g = RN_LOAD(dh);
        V dz = g * (RN_LOAD(h0) - q) * z * (one - z), dq = g * (one - z) * (one - q * q);
        V dr = dq * m * r * (one - r);
        RN_STORE(d, dr);
        RN_STORE(d + n, dz);
        RN_STORE(d + 2 * n, dq);
        RN_STORE(e, dr);
        RN_STORE(e + n, dz);
        RN_STORE(e + 2 * n, dq * r);
        RN_STORE(dh, g * z);
    }
}

/* h holds the product with the state before, and holds the state after. */
static void VN(rn_simple)(int64_t n, const void *px, void *ph, int relu) {
    const T *x = px;
    T *h = ph;
    for (int64_t k = 0; k < n; k += VL) {
        int64_t left = n - k;
        V s = RN_LOAD(x) + RN_LOAD(h);
        RN_STORE(h, relu ? v_relu(s) : VN(rn_tanh)(s));
    }
}

static void VN(rn_simple_grad)(int64_t n, const void *ph, const void *pdh, void *pd, int relu) {
    const T *h = ph, *dh = pdh;
    T *d = pd;
    for (int64_t k = 0; k < n; k += VL) {
        int64_t left = n - k;
        V y = RN_LOAD(h), g = RN_LOAD(dh);
        RN_STORE(d, relu ? v_sel(v_gt(y, K(0)), g, K(0)) : g * (K(1) - y * y));
    }
}

/* y += x */
static void VN(rn_add)(int64_t n, void *py, const void *px) {
    const T *x = px;
    T *y = py;
    for (int64_t k = 0; k < n; k += VL) {
        int64_t left = n - k;
        RN_STORE(y, RN_LOAD(y) + RN_LOAD(x));
    }
}
