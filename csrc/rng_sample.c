/* Permutations and samples of indices. */
#include "rng_internal.h"

/* From this n on, a 32-bit word modulo n would be biased too much. */
#define WIDE_PERM ((int64_t)(UINT32_MAX / 20))

/* One shuffle for each element size; an unsigned integer of the size stands for every type. Short
 * permutations are shuffled from the front; long ones grow element by element (Fisher-Yates inside
 * out), two words each. */
#define SHUFFLE(T)                                                                                           \
    static void shuffle_##T(rng_state *s, T *r, int64_t n) {                                                 \
        for (int64_t i = 0; n < WIDE_PERM && i < n - 1; i++) {                                               \
            int64_t z = i + rng_u32(s) % (uint32_t)(n - i);                                                  \
            T saved = r[i];                                                                                  \
            r[i] = r[z];                                                                                     \
            r[z] = saved;                                                                                    \
        }                                                                                                    \
        for (int64_t i = 0; n >= WIDE_PERM && i < n; i++) {                                                  \
            int64_t z = (int64_t)(rng_u64(s) % (uint64_t)(i + 1));                                           \
            T own = r[i];                                                                                    \
            r[i] = r[z];                                                                                     \
            r[z] = own;                                                                                      \
        }                                                                                                    \
    }
SHUFFLE(uint64_t)
SHUFFLE(uint32_t)
SHUFFLE(uint16_t)
SHUFFLE(uint8_t)
#undef SHUFFLE

int rng_randperm(rng_state *s, rng_type t, void *out, int64_t n) {
    if (t == RNG_BOOL) return -1;
    for (int64_t i = 0; i < n; i++) {
        switch (t) {
        case RNG_F32:
            ((float *)out)[i] = (float)i;
            break;
        case RNG_F64:
            ((double *)out)[i] = (double)i;
            break;
        case RNG_BF16:
            ((uint16_t *)out)[i] = rng_bf16((float)i);
            break;
        case RNG_F16:
            ((uint16_t *)out)[i] = rng_f16((float)i);
            break;
        case RNG_I64:
        case RNG_U64:
            ((int64_t *)out)[i] = i;
            break;
        case RNG_I32:
        case RNG_U32:
            ((uint32_t *)out)[i] = (uint32_t)i;
            break;
        case RNG_I16:
        case RNG_U16:
            ((uint16_t *)out)[i] = (uint16_t)i;
            break;
        case RNG_I8:
        case RNG_U8:
            ((uint8_t *)out)[i] = (uint8_t)i;
            break;
        case RNG_BOOL:
            break;
        }
    }
    switch (rng_type_size(t)) {
    case 8:
        shuffle_uint64_t(s, out, n);
        break;
    case 4:
        shuffle_uint32_t(s, out, n);
        break;
    case 2:
        shuffle_uint16_t(s, out, n);
        break;
    default:
        shuffle_uint8_t(s, out, n);
        break;
    }
    return 0;
}

/* A weight or a drawn number as a double, which holds every value of the four types. */
static double load(rng_type t, const void *p, int64_t i) {
    switch (t) {
    case RNG_F64:
        return ((const double *)p)[i];
    case RNG_F32:
        return ((const float *)p)[i];
    case RNG_BF16:
        return rng_from_bf16(((const uint16_t *)p)[i]);
    default:
        return rng_from_f16(((const uint16_t *)p)[i]);
    }
}

/* a / b rounded to the type. Rounding twice, from double, gives the type's own quotient: double has
 * more than twice the bits of float, and PyTorch itself goes through float for the narrow types. */
static double quotient(rng_type t, double a, double b) {
    switch (t) {
    case RNG_F64:
        return a / b;
    case RNG_F32:
        return (float)a / (float)b;
    case RNG_BF16:
        return rng_from_bf16(rng_bf16((float)a / (float)b));
    default:
        return rng_from_f16(rng_f16((float)a / (float)b));
    }
}

/* NaN is the greatest of all, as PyTorch's argmax and topk have it. */
static int greater(double a, double b) { return a > b || (a != a && b == b); }

typedef struct keyed {
    double key;
    int64_t index;
} keyed;

/* Greater keys first, equal ones by index. */
static int before(const keyed *a, const keyed *b) {
    return greater(a->key, b->key) || (!greater(b->key, a->key) && a->index < b->index);
}

/* The heap's root is the element that comes last. */
static void sift(keyed *h, int64_t n, int64_t i) {
    for (;;) {
        int64_t last = i, l = 2 * i + 1;
        if (l < n && before(&h[last], &h[l])) last = l;
        if (l + 1 < n && before(&h[last], &h[l + 1])) last = l + 1;
        if (last == i) return;
        keyed saved = h[i];
        h[i] = h[last];
        h[last] = saved;
        i = last;
    }
}

/* The `k` first of n keys, in order. */
static void top(const double *key, int64_t n, keyed *heap, int64_t k, int64_t *out) {
    for (int64_t i = 0; i < n; i++) {
        keyed e = {key[i], i};
        if (i < k) {
            heap[i] = e;
            if (i == k - 1)
                for (int64_t j = k / 2; j-- > 0;) sift(heap, k, j);
        } else if (before(&e, &heap[0])) {
            heap[0] = e;
            sift(heap, k, 0);
        }
    }
    for (int64_t m = k; m > 0; m--) {
        out[m - 1] = heap[0].index;
        heap[0] = heap[m - 1];
        sift(heap, m - 1, 0);
    }
}

size_t rng_multinomial_scratch(rng_type t, int64_t rows, int64_t n, int64_t samples, int replacement) {
    (void)rows;
    size_t keys = (size_t)(n > 0 ? n : 1) * sizeof(double);
    if (replacement && samples > 1) return keys;
    return keys + (size_t)(n > 0 ? n : 1) * rng_type_size(t) + 16 + (size_t)samples * sizeof(keyed);
}

/* Draws by weights / exponentials: the greatest quotient is a sample, the next one is a sample of
 * what remains, and so on. */
static void without_replacement(rng_state *s, rng_type t, const char *weights, int64_t rows, int64_t n,
                                int64_t *out, int64_t samples, void *scratch) {
    keyed *heap = scratch;
    double *key = (double *)(heap + samples);
    void *q = key + n;
    size_t size = rng_type_size(t);
    for (int64_t r = 0; r < rows; r++) {
        const char *w = weights + (size_t)(r * n) * size;
        rng_exponential(s, t, q, n, 1.0);
        for (int64_t i = 0; i < n; i++) key[i] = quotient(t, load(t, w, i), load(t, q, i));
        top(key, n, heap, samples, out + r * samples);
    }
}

/* Draws by bisecting the cumulative weights, which are summed and divided in float for all types
 * but double. */
static void with_replacement(rng_state *s, rng_type t, const char *weights, int64_t rows, int64_t n,
                             int64_t *out, int64_t samples, double *cumulative) {
    size_t size = rng_type_size(t);
    for (int64_t r = 0; r < rows; r++) {
        const char *w = weights + (size_t)(r * n) * size;
        double sum = 0;
        for (int64_t i = 0; i < n; i++) {
            sum += load(t, w, i);
            if (t != RNG_F64) sum = (float)sum;
            cumulative[i] = sum;
        }
        for (int64_t i = 0; i < n; i++)
            cumulative[i] = t == RNG_F64 ? cumulative[i] / sum : (double)((float)cumulative[i] / (float)sum);
        cumulative[n - 1] = 1.0; /* whatever the rounding */
        for (int64_t k = 0; k < samples; k++) {
            double u = rng_unit(s);
            int64_t lo = 0, hi = n;
            while (lo < hi) { /* the first that is not below u */
                int64_t mid = lo + (hi - lo) / 2;
                if (cumulative[mid] < u) lo = mid + 1;
                else hi = mid;
            }
            out[r * samples + k] = lo;
        }
    }
}

int rng_multinomial(rng_state *s, rng_type t, const void *weights, int64_t rows, int64_t n, int64_t *out,
                    int64_t samples, int replacement, void *scratch) {
    if (!rng_is_float(t)) return -1;
    if (rows <= 0 || samples <= 0) return 0;
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++) sum += load(t, weights, r * n + i);
        if (!(sum > 0)) return -2;
    }
    if (!replacement && samples > n) return -2;
    if (replacement && samples > 1) with_replacement(s, t, weights, rows, n, out, samples, scratch);
    else without_replacement(s, t, weights, rows, n, out, samples, scratch);
    return 0;
}
