/* Elementwise kernels: every row of ops/elementwise.def, for the current CT, as an ew_kernel called
 * k_<name>_<type>. The body is expanded once, in a loop whose last round loads and stores part of a
 * vector: the branch is predicted, and the code stays small. */

#ifndef AD_EW_TYPES
#define AD_EW_TYPES
/* Which types a row's TYPES column asks for: F floats, I integers, A all. */
#define EW_IF_F_f32(...) __VA_ARGS__
#define EW_IF_F_f64(...) __VA_ARGS__
#define EW_IF_F_i64(...)
#define EW_IF_I_f32(...)
#define EW_IF_I_f64(...)
#define EW_IF_I_i64(...) __VA_ARGS__
#define EW_IF_A_f32(...) __VA_ARGS__
#define EW_IF_A_f64(...) __VA_ARGS__
#define EW_IF_A_i64(...) __VA_ARGS__
#define EW_IF(types) VCAT(EW_IF_##types, CT)

/* An operand that is one vector for all elements is read at 0. */
#define EW_AT(k) int64_t at##k = flags >> k & 1 ? 0 : -1
#define EW_LOAD(p, k) (left >= VL ? v_load((p) + (i & at##k)) : v_loadn((p) + (i & at##k), left))
#define EW_LOAD_BOOL(p, k)                                                                                   \
    (left >= VL ? v_load_bool((p) + (i & at##k)) : v_loadn_bool((p) + (i & at##k), left))
#define EW_KERNEL(name, operands, loads, body)                                                               \
    static void VN(k_##name)(int64_t n, void *out, const void *const *in, unsigned flags) {                  \
        operands;                                                                                            \
        T *po = out;                                                                                         \
        bool stream = (flags & EW_STREAM) && (uintptr_t)po % VBYTES == 0;                                    \
        for (int64_t i = 0; i < n; i += VL) {                                                                \
            int64_t left = n - i;                                                                            \
            loads;                                                                                           \
            V r = body;                                                                                      \
            if (left < VL) v_storen(po + i, r, left);                                                        \
            else if (stream) v_stream(po + i, r);                                                            \
            else v_store(po + i, r);                                                                         \
        }                                                                                                    \
        if (stream) v_fence();                                                                               \
    }
#define EW_PREDICATE(name, operands, loads, body)                                                            \
    static void VN(k_##name)(int64_t n, void *out, const void *const *in, unsigned flags) {                  \
        operands;                                                                                            \
        uint8_t *po = out;                                                                                   \
        for (int64_t i = 0; i < n; i += VL) {                                                                \
            int64_t left = n - i;                                                                            \
            loads;                                                                                           \
            M r = body;                                                                                      \
            if (left >= VL) v_store_bool(po + i, r);                                                         \
            else v_storen_bool(po + i, r, left);                                                             \
        }                                                                                                    \
    }
#define EW_P1                                                                                                \
    const T *px = in[0];                                                                                     \
    EW_AT(0)
#define EW_P2                                                                                                \
    const T *pa = in[0], *pb = in[1];                                                                        \
    EW_AT(0);                                                                                                \
    EW_AT(1)
#define EW_P3                                                                                                \
    const T *pa = in[0], *pb = in[1], *pc = in[2];                                                           \
    EW_AT(0);                                                                                                \
    EW_AT(1);                                                                                                \
    EW_AT(2)
#define EW_PS                                                                                                \
    const uint8_t *pm = in[0];                                                                               \
    const T *pa = in[1], *pb = in[2];                                                                        \
    EW_AT(0);                                                                                                \
    EW_AT(1);                                                                                                \
    EW_AT(2)
#define EW_L1 V x = EW_LOAD(px, 0)
#define EW_L2 V a = EW_LOAD(pa, 0), b = EW_LOAD(pb, 1)
#define EW_L3 V a = EW_LOAD(pa, 0), b = EW_LOAD(pb, 1), c = EW_LOAD(pc, 2)
#define EW_LS                                                                                                \
    M m = EW_LOAD_BOOL(pm, 0);                                                                               \
    V a = EW_LOAD(pa, 1), b = EW_LOAD(pb, 2)
#endif

#define EW1(name, types, body, ...) EW_IF(types)(EW_KERNEL(name, EW_P1, EW_L1, body))
#define EW2(name, types, body, ...) EW_IF(types)(EW_KERNEL(name, EW_P2, EW_L2, body))
#define EW3(name, types, body, ...) EW_IF(types)(EW_KERNEL(name, EW_P3, EW_L3, body))
#define CMP1(name, types, body, ...) EW_IF(types)(EW_PREDICATE(name, EW_P1, EW_L1, body))
#define CMP2(name, types, body, ...) EW_IF(types)(EW_PREDICATE(name, EW_P2, EW_L2, body))
#define SEL3(name, types, body, ...) EW_IF(types)(EW_KERNEL(name, EW_PS, EW_LS, body))
#include "../ops/elementwise.def"
#undef EW1
#undef EW2
#undef EW3
#undef CMP1
#undef CMP2
#undef SEL3
