/* Folds: every row of reduce.def, for the current CT, in two forms.
 *   f_<name>_<type>  n contiguous elements to one
 *   c_<name>_<type>  `rows` rows of `cols` contiguous elements to one row, down the columns
 * The tree of a fold depends on n, rows and the vector length alone. Callers keep n and rows small (a block)
 * and join the blocks in double precision. */
#ifndef AD_REDUCE_NAMES
#define AD_REDUCE_NAMES
#define T_LOWEST VN(T_LOWEST)
#define T_HIGHEST VN(T_HIGHEST)
#define T_LOWEST_f32 -INFINITY
#define T_LOWEST_f64 -INFINITY
#define T_LOWEST_i64 INT64_MIN
#define T_HIGHEST_f32 INFINITY
#define T_HIGHEST_f64 INFINITY
#define T_HIGHEST_i64 INT64_MAX
#define v_index VN(v_index) /* 0, 1, 2, ... */
#define RED_ADD(a, b) v_add(a, b)
#define RED_MUL(a, b) v_mul(a, b)
#define RED_MAX(a, b) v_max(a, b)
#define RED_MIN(a, b) v_min(a, b)
/* Rows that are whole pages apart share their places in the first-level cache, and more of them at a time
 * than it has ways put each other out before their lines are read to the end. */
#define RED_ALIASED 8
#define RED_STEP(step)                                                                                       \
    ({                                                                                                       \
        (void)x, (void)c;                                                                                    \
        step;                                                                                                \
    })

#define RED_KERNELS(name, start, step, JOIN)                                                                 \
    VFN V VN(s_##name)(V r, V x, V c) { return RED_STEP(step); }                                             \
    static void VN(f_##name)(int64_t n, const void *px, const void *pc, void *out) {                         \
        const T *p = px;                                                                                     \
        V c = pc ? v_splat(*(const T *)pc) : K(0), a0 = start;                                               \
        int64_t i = 0;                                                                                       \
        if (n >= 4 * VL) {                                                                                   \
            V a1 = a0, a2 = a0, a3 = a0;                                                                     \
            for (; i + 4 * VL <= n; i += 4 * VL) {                                                           \
                a0 = VN(s_##name)(a0, v_load(p + i), c);                                                     \
                a1 = VN(s_##name)(a1, v_load(p + i + VL), c);                                                \
                a2 = VN(s_##name)(a2, v_load(p + i + 2 * VL), c);                                            \
                a3 = VN(s_##name)(a3, v_load(p + i + 3 * VL), c);                                            \
            }                                                                                                \
            a0 = RED_##JOIN(RED_##JOIN(a0, a1), RED_##JOIN(a2, a3));                                         \
        }                                                                                                    \
        for (; i + VL <= n; i += VL) a0 = VN(s_##name)(a0, v_load(p + i), c);                                \
        if (i < n) {                                                                                         \
            V s = VN(s_##name)(a0, v_loadn(p + i, n - i), c);                                                \
            a0 = v_sel(v_lt(v_index(), K(n - i)), s, a0);                                                    \
        }                                                                                                    \
        V y = v_rot(a0, VL / 2);                                                                             \
        a0 = RED_##JOIN(a0, y);                                                                              \
        if (VL >= 4) y = v_rot(a0, VL / 4), a0 = RED_##JOIN(a0, y);                                          \
        if (VL >= 8) y = v_rot(a0, VL / 8), a0 = RED_##JOIN(a0, y);                                          \
        if (VL >= 16) y = v_rot(a0, VL / 16), a0 = RED_##JOIN(a0, y);                                        \
        *(T *)out = a0[0];                                                                                   \
    }                                                                                                        \
    static void VN(c_##name)(int64_t rows, int64_t cols, const void *px, int64_t stride, const void *pc,     \
                             void *out) {                                                                    \
        const T *p = px, *k = pc;                                                                            \
        T *o = out;                                                                                          \
        int64_t most = stride * (int64_t)sizeof(T) % 4096 ? rows : RED_ALIASED;                              \
        for (int64_t i0 = 0, m; !i0 || i0 < rows; i0 += m ? m : 1, p += m * stride) {                        \
            int64_t j = 0;                                                                                   \
            m = rows - i0 < most ? rows - i0 : most;                                                         \
            for (; j + 4 * VL <= cols; j += 4 * VL) {                                                        \
                V a0 = start, a1 = a0, a2 = a0, a3 = a0, c0 = K(0), c1 = c0, c2 = c0, c3 = c0;               \
                if (i0)                                                                                      \
                    a0 = v_load(o + j), a1 = v_load(o + j + VL), a2 = v_load(o + j + 2 * VL),                \
                    a3 = v_load(o + j + 3 * VL);                                                             \
                if (k)                                                                                       \
                    c0 = v_load(k + j), c1 = v_load(k + j + VL), c2 = v_load(k + j + 2 * VL),                \
                    c3 = v_load(k + j + 3 * VL);                                                             \
                for (int64_t i = 0; i < m; i++) {                                                            \
                    const T *q = p + i * stride + j;                                                         \
                    a0 = VN(s_##name)(a0, v_load(q), c0);                                                    \
                    a1 = VN(s_##name)(a1, v_load(q + VL), c1);                                               \
                    a2 = VN(s_##name)(a2, v_load(q + 2 * VL), c2);                                           \
                    a3 = VN(s_##name)(a3, v_load(q + 3 * VL), c3);                                           \
                }                                                                                            \
                v_store(o + j, a0), v_store(o + j + VL, a1), v_store(o + j + 2 * VL, a2);                    \
                v_store(o + j + 3 * VL, a3);                                                                 \
            }                                                                                                \
            for (; j < cols; j += VL) {                                                                      \
                int64_t left = cols - j;                                                                     \
                V a = start, c0 = K(0);                                                                      \
                if (k) c0 = left >= VL ? v_load(k + j) : v_loadn(k + j, left);                               \
                if (left >= VL) {                                                                            \
                    if (i0) a = v_load(o + j);                                                               \
                    for (int64_t i = 0; i < m; i++) a = VN(s_##name)(a, v_load(p + i * stride + j), c0);     \
                    v_store(o + j, a);                                                                       \
                } else {                                                                                     \
                    if (i0) a = v_loadn(o + j, left);                                                        \
                    for (int64_t i = 0; i < m; i++)                                                          \
                        a = VN(s_##name)(a, v_loadn(p + i * stride + j, left), c0);                          \
                    v_storen(o + j, a, left);                                                                \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }

#define RED_IF_F_f32(...) __VA_ARGS__
#define RED_IF_F_f64(...) __VA_ARGS__
#define RED_IF_F_i64(...)
#define RED_IF_A_f32(...) __VA_ARGS__
#define RED_IF_A_f64(...) __VA_ARGS__
#define RED_IF_A_i64(...) __VA_ARGS__
#define RED_IF(types) VCAT(RED_IF_##types, CT)
#endif

VFN V v_index(void) { return __builtin_convertvector(v_iota(), V); }

#define RED(name, types, start, step, join) RED_IF(types)(RED_KERNELS(name, start, step, join))
#include "reduce.def"
#undef RED

/* The extreme of each of `cols` columns of n rows (n >= 1, below 2^31), and the row where it first stands.
 * NaN wins. Four vectors side by side: a row is read by cache lines, and their comparisons do not wait for
 * each other. */
VFN void VN(extreme_step)(V x, VI k, int least, V *top, VI *at) {
    M better = least ? v_lt(x, *top) : v_gt(x, *top);
    if (CT_FLOAT) better = v_or(better, v_and(v_isnan(x), v_not(v_isnan(*top))));
    *top = v_sel(better, x, *top);
    *at = v_bits(v_sel(better, v_unbits(k), v_unbits(*at)));
}
static void VN(extreme_cols)(int64_t n, int64_t cols, int64_t stride, const void *px, int least, void *ptop,
                             int64_t *index) {
    const T *x = px;
    T *out = ptop;
    TI where[VL];
    for (int64_t j = 0; j < cols;) {
        int64_t left = cols - j;
        V top[4];
        VI at[4], k = {0};
        int wide = left >= 4 * VL ? 4 : 1;
        if (wide == 4) {
            V_UNROLL for (int q = 0; q < 4; q++) top[q] = v_load(x + j + q * VL), at[q] = k;
            for (int64_t i = 1; i < n; i++) {
                k += 1;
                V_UNROLL for (int q = 0; q < 4; q++)
                    VN(extreme_step)(v_load(x + i * stride + j + q * VL), k, least, &top[q], &at[q]);
            }
        } else {
            top[0] = left >= VL ? v_load(x + j) : v_loadn(x + j, left), at[0] = k;
            for (int64_t i = 1; i < n; i++) {
                const T *p = x + i * stride + j;
                k += 1;
                VN(extreme_step)(left >= VL ? v_load(p) : v_loadn(p, left), k, least, &top[0], &at[0]);
            }
        }
        for (int q = 0; q < wide; q++, j += VL) {
            int64_t some = cols - j < VL ? cols - j : VL;
            memcpy(where, &at[q], sizeof where);
            for (int64_t i = 0; i < some; i++) {
                index[j + i] = where[i];
                out[j + i] = top[q][i];
            }
        }
    }
}
