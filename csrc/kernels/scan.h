/* Running sums and products, for the current CT; those of floats are carried in double precision. */
#if CT_IS(f32)
#define SCAN_V V_f64
#define SCAN_T double
#define SCAN_STEP(s, v, product)                                                                             \
    (s[0] = product ? s[0] * v_widen_lo(v) : s[0] + v_widen_lo(v),                                           \
     s[1] = product ? s[1] * v_widen_hi(v) : s[1] + v_widen_hi(v), v_narrow(s[0], s[1]))
#else
#define SCAN_V V
#if CT_FLOAT
#define SCAN_T double
#else
#define SCAN_T uint64_t
#endif
#define SCAN_STEP(s, v, product) (s[0] = product ? v_mul(s[0], v) : v_add(s[0], v))
#endif
#define SCAN_ONE(s, v, product) (s = product ? s * (SCAN_T)(v) : s + (SCAN_T)(v), (T)s)

/* Down `cols` columns beside each other, n places each, `step` elements from one to the next. */
VFN void VN(scan_down)(int64_t n, int64_t cols, const T *x, T *y, int64_t step, const int product) {
    int64_t j = 0;
    for (; j + 4 * VL <= cols; j += 4 * VL) {
        SCAN_V a[2] = {{0}}, b[2], c[2], d[2];
        a[0] += product, a[1] = a[0];
        for (int k = 0; k < 2; k++) b[k] = c[k] = d[k] = a[k];
        const T *from = x + j;
        T *to = y + j;
        for (int64_t k = 0; k < n; k++, from += step, to += step) {
            v_store(to, SCAN_STEP(a, v_load(from), product));
            v_store(to + VL, SCAN_STEP(b, v_load(from + VL), product));
            v_store(to + 2 * VL, SCAN_STEP(c, v_load(from + 2 * VL), product));
            v_store(to + 3 * VL, SCAN_STEP(d, v_load(from + 3 * VL), product));
        }
    }
    for (; j < cols; j += VL) {
        SCAN_V s[2] = {{0}};
        s[0] += product, s[1] = s[0];
        int64_t left = cols - j;
        const T *from = x + j;
        T *to = y + j;
        for (int64_t k = 0; k < n; k++, from += step, to += step)
            if (left >= VL) v_store(to, SCAN_STEP(s, v_load(from), product));
            else v_storen(to, SCAN_STEP(s, v_loadn(from, left), product), left);
    }
}
static void VN(scan_columns)(int64_t n, int64_t cols, const void *px, void *py, int64_t step, int product) {
    if (product) VN(scan_down)(n, cols, px, py, step, 1);
    else VN(scan_down)(n, cols, px, py, step, 0);
}
/* Along `lines` lines, n places beside each other, `pitch` elements from one line to the next; step is 1 or
 * -1. Four lines at a time: their sums do not wait for each other. */
VFN void VN(scan_along)(int64_t lines, int64_t n, const T *x, T *y, int64_t pitch, int64_t step,
                        const int product) {
    for (; lines >= 4; lines -= 4, x += 4 * pitch, y += 4 * pitch) {
        SCAN_T a = product, b = a, c = a, d = a;
        for (int64_t k = 0; k < n; k++) {
            int64_t at = k * step;
            y[at] = SCAN_ONE(a, x[at], product);
            y[at + pitch] = SCAN_ONE(b, x[at + pitch], product);
            y[at + 2 * pitch] = SCAN_ONE(c, x[at + 2 * pitch], product);
            y[at + 3 * pitch] = SCAN_ONE(d, x[at + 3 * pitch], product);
        }
    }
    for (; lines; lines--, x += pitch, y += pitch) {
        SCAN_T a = product;
        for (int64_t k = 0; k < n; k++) y[k * step] = SCAN_ONE(a, x[k * step], product);
    }
}
static void VN(scan_lines)(int64_t lines, int64_t n, const void *px, void *py, int64_t pitch, int64_t step,
                           int product) {
    if (product) VN(scan_along)(lines, n, px, py, pitch, step, 1);
    else VN(scan_along)(lines, n, px, py, pitch, step, 0);
}
#undef SCAN_V
#undef SCAN_T
#undef SCAN_STEP
#undef SCAN_ONE
