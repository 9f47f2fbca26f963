/* Losses of two tensors, for the current CT: every row of loss.def in three forms.
 *   ls_<name>  the sum over n elements        le_<name>  each element's value
 *   lg_<name>  g times the derivative by the input or (which = 1) by the target */
#ifndef AD_LOSS_KERNELS
#define AD_LOSS_KERNELS
#define LOSS_LOAD(p) (left >= VL ? v_load((p) + i) : v_loadn((p) + i, left))
#define LOSS_KERNELS(name, value, da, db)                                                                    \
    static void VN(ls_##name)(int64_t n, const void *pa, const void *pb, double param, void *out) {          \
        const T *qa = pa, *qb = pb;                                                                          \
        V c = K(param), s = K(0);                                                                            \
        for (int64_t i = 0; i < n; i += VL) {                                                                \
            int64_t left = n - i;                                                                            \
            V a = LOSS_LOAD(qa), b = LOSS_LOAD(qb), r = value;                                               \
            (void)c;                                                                                         \
            s += left >= VL ? r : v_sel(v_lt(v_index(), K(left)), r, K(0));                                  \
        }                                                                                                    \
        *(T *)out = v_hsum(s);                                                                               \
    }                                                                                                        \
    static void VN(le_##name)(int64_t n, const void *pa, const void *pb, double param, void *out) {          \
        const T *qa = pa, *qb = pb;                                                                          \
        T *o = out;                                                                                          \
        V c = K(param);                                                                                      \
        for (int64_t i = 0; i < n; i += VL) {                                                                \
            int64_t left = n - i;                                                                            \
            V a = LOSS_LOAD(qa), b = LOSS_LOAD(qb), r = value;                                               \
            (void)c;                                                                                         \
            if (left >= VL) v_store(o + i, r);                                                               \
            else v_storen(o + i, r, left);                                                                   \
        }                                                                                                    \
    }                                                                                                        \
    static void VN(lg_##name)(int64_t n, const void *pa, const void *pb, double param, int which,            \
                              double scale, const void *pg, void *out) {                                     \
        const T *qa = pa, *qb = pb, *qg = pg;                                                                \
        T *o = out;                                                                                          \
        V c = K(param), all = K(scale);                                                                      \
        for (int64_t i = 0; i < n; i += VL) {                                                                \
            int64_t left = n - i;                                                                            \
            V a = LOSS_LOAD(qa), b = LOSS_LOAD(qb), r;                                                       \
            (void)c, (void)a, (void)b;                                                                       \
            if (which) r = db;                                                                               \
            else r = da;                                                                                     \
            r *= qg ? LOSS_LOAD(qg) : all;                                                                   \
            if (left >= VL) v_store(o + i, r);                                                               \
            else v_storen(o + i, r, left);                                                                   \
        }                                                                                                    \
    }
#endif

#define LOSS(name, value, da, db) LOSS_KERNELS(name, (value), (da), (db))
#include "loss.def"
#undef LOSS
