/* Running sums, carried in double precision, for the current CT. */
#if CT_FLOAT
#if CT_IS(f32)
#define SCAN_ADD(s, x) (s[0] += v_widen_lo(x), s[1] += v_widen_hi(x), v_narrow(s[0], s[1]))
#define SCAN_SUM V_f64
#else
#define SCAN_ADD(s, x) (s[0] += (x), s[0])
#define SCAN_SUM V
#endif
/* Down `cols` columns beside each other, n places each, `step` elements from one to the next. */
static void VN(scan_columns)(int64_t n, int64_t cols, const void *px, void *py, int64_t step) {
    const T *x = px;
    T *y = py;
    int64_t j = 0;
    for (; j + 4 * VL <= cols; j += 4 * VL) {
        SCAN_SUM s[4][2] = {0};
        const T *from = x + j;
        T *to = y + j;
        for (int64_t k = 0; k < n; k++, from += step, to += step) {
            v_store(to, SCAN_ADD(s[0], v_load(from)));
            v_store(to + VL, SCAN_ADD(s[1], v_load(from + VL)));
            v_store(to + 2 * VL, SCAN_ADD(s[2], v_load(from + 2 * VL)));
            v_store(to + 3 * VL, SCAN_ADD(s[3], v_load(from + 3 * VL)));
        }
    }
    for (; j < cols; j += VL) {
        SCAN_SUM s[2] = {0};
        int64_t left = cols - j;
        const T *from = x + j;
        T *to = y + j;
        for (int64_t k = 0; k < n; k++, from += step, to += step)
            if (left >= VL) v_store(to, SCAN_ADD(s, v_load(from)));
            else v_storen(to, SCAN_ADD(s, v_loadn(from, left)), left);
    }
}
/* Along `lines` lines, n places beside each other, `pitch` elements from one line to the next; step is 1 or
 * -1. */
static void VN(scan_lines)(int64_t lines, int64_t n, const void *px, void *py, int64_t pitch, int64_t step) {
    const T *x = px;
    T *y = py;
    for (; lines >= 4;
         lines -= 4, x += 4 * pitch, y += 4 * pitch) { /* sums that do not wait for each other */
        double a = 0, b = 0, c = 0, d = 0;
        for (int64_t k = 0; k < n; k++) {
            int64_t at = k * step;
            a += x[at], b += x[at + pitch], c += x[at + 2 * pitch], d += x[at + 3 * pitch];
            y[at] = (T)a, y[at + pitch] = (T)b, y[at + 2 * pitch] = (T)c, y[at + 3 * pitch] = (T)d;
        }
    }
    for (; lines; lines--, x += pitch, y += pitch) {
        double a = 0;
        for (int64_t k = 0; k < n; k++) a += x[k * step], y[k * step] = (T)a;
    }
}
#undef SCAN_ADD
#undef SCAN_SUM
#endif
