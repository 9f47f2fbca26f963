/* Random numbers equal to PyTorch's on a CPU: one mt19937 generator and fills of plain buffers.
 *
 * A seed gives the numbers that PyTorch 2.13 gives; docs/random.md states every stream and how it
 * was checked. Nothing here knows of tensors.
 *
 * Threads: a generator has no lock of its own. The caller holds one around every call that takes
 * an rng_state; two generators may be used at once.
 *
 * Buffers are contiguous. For a tensor in another layout, fill a contiguous buffer and deal it out
 * in memory order (dimensions by falling stride), which is the order PyTorch draws in whatever the
 * logical order; only the normal distribution needs another function then (rng_normal_serial).
 *
 * Functions that return int give 0, or -1 when the element type has no such distribution; nothing
 * is drawn then. Bounds and parameters are the caller's to check, but no value is undefined
 * behaviour. n <= 0 draws nothing. */
#ifndef AD_RNG_H
#define AD_RNG_H

#include <stddef.h>
#include <stdint.h>

enum {
    RNG_WORDS = 624,        /* words of mt19937's state */
    RNG_STATE_BYTES = 5056, /* PyTorch's size of a generator's state */
};

#define RNG_DEFAULT_SEED UINT64_C(67280421310721) /* of a generator that was not seeded */

typedef struct rng_state {
    uint64_t seed;           /* as given; only its low 32 bits reach mt19937 */
    int32_t avail;           /* words of this block not drawn yet */
    int32_t next;            /* index of the next word */
    uint32_t mt[RNG_WORDS];  /* the recurrence */
    uint32_t out[RNG_WORDS]; /* the tempered words of the block */
    double normal;           /* the second half of a scalar Box-Muller pair */
    float normal_f;          /* kept for PyTorch's layout alone */
    uint8_t has_normal, has_normal_f;
} rng_state;

/* Element types. bfloat16 and float16 are stored as uint16_t, bool as uint8_t of 0 or 1. */
typedef enum rng_type {
    RNG_F32,
    RNG_F64,
    RNG_BF16,
    RNG_F16,
    RNG_I64,
    RNG_I32,
    RNG_I16,
    RNG_I8,
    RNG_U8,
    RNG_BOOL,
    RNG_U16,
    RNG_U32,
    RNG_U64,
} rng_type;

size_t rng_type_size(rng_type t);

/* The generator. */

/* Starts the stream of `seed`; drops a stored second normal. A negative Python seed is passed as
 * its two's complement. */
void rng_seed(rng_state *s, uint64_t seed);

/* The state in PyTorch's byte layout, both ways. rng_set_state gives 0, or -1 for bytes that are no
 * state of mt19937 (`size` must be RNG_STATE_BYTES); the generator is then unchanged. */
void rng_get_state(const rng_state *s, uint8_t bytes[RNG_STATE_BYTES]);
int rng_set_state(rng_state *s, const uint8_t *bytes, size_t size);

uint32_t rng_u32(rng_state *s);
uint64_t rng_u64(rng_state *s); /* two words, the first is the high half */
void rng_raw32(rng_state *s, uint32_t *out, int64_t n);

/* "base", "avx2", ...: the vector loops in use. rng_use_loops(name) forces them and gives 0, or -1
 * when this processor or build has none of that name; NULL chooses the best. Not thread-safe. */
const char *rng_loops_name(void);
int rng_use_loops(const char *name);

/* Continuous distributions: F32, F64, BF16, F16. */

/* [from, to): tensor.uniform_, torch.rand (0, 1). */
int rng_uniform(rng_state *s, rng_type t, void *out, int64_t n, double from, double to);

/* tensor.normal_, torch.randn (0, 1) of a contiguous tensor. */
int rng_normal(rng_state *s, rng_type t, void *out, int64_t n, double mean, double std);

/* The same of a tensor that is not contiguous: another stream from 16 elements on. */
int rng_normal_serial(rng_state *s, rng_type t, void *out, int64_t n, double mean, double std);

int rng_exponential(rng_state *s, rng_type t, void *out, int64_t n, double lambda);
int rng_cauchy(rng_state *s, rng_type t, void *out, int64_t n, double median, double sigma);
int rng_log_normal(rng_state *s, rng_type t, void *out, int64_t n, double mean, double std);

/* Discrete distributions. */

/* tensor.geometric_: all types but BOOL, U16, U32, U64. 0 < p < 1. */
int rng_geometric(rng_state *s, rng_type t, void *out, int64_t n, double p);

/* tensor.bernoulli_(p): 0 or 1; all types but U16, U32, U64. */
int rng_bernoulli(rng_state *s, rng_type t, void *out, int64_t n, double p);

/* torch.bernoulli(p), tensor.bernoulli_(p) with one probability an element; p is F32, F64, BF16 or
 * F16, and its type decides what is drawn. */
int rng_bernoulli_each(rng_state *s, rng_type t, void *out, int64_t n, rng_type pt, const void *p);

/* What F.dropout(x, p) keeps: 1 with probability 1 - p. The result is x * (keep / (1 - p)). */
void rng_dropout_mask(rng_state *s, uint8_t *keep, int64_t n, double p);

/* torch.randint(low, high), tensor.random_(low, high): low < high; every type. U64 takes bounds
 * below 2^63, as PyTorch does. */
int rng_randint(rng_state *s, rng_type t, void *out, int64_t n, int64_t low, int64_t high);

/* tensor.random_(low, None): from low to the type's greatest (for a float type, to the last of its
 * consecutive integers), all 64 bits when low is INT64_MIN (I64, F64, F32, BF16). Not U64. */
int rng_random_from(rng_state *s, rng_type t, void *out, int64_t n, int64_t low);

/* tensor.random_(): 0 to the type's greatest; not U16, U32, U64. */
int rng_random(rng_state *s, rng_type t, void *out, int64_t n);

/* torch.randperm(n), in any integer or float type that PyTorch allows (the caller checks that n
 * fits); the numbers do not depend on the type. */
int rng_randperm(rng_state *s, rng_type t, void *out, int64_t n);

/* Numbers that take the place of their parameters, in order: torch.poisson(rates), torch.binomial(counts, p),
 * torch._standard_gamma(alpha); the float32 forms of the last two are `narrow`. Every double is accepted. */
void rng_poisson(rng_state *s, double *x, int64_t n);
void rng_binomial(rng_state *s, double *x, const double *p, int64_t n, int narrow);
void rng_gamma(rng_state *s, double *x, int64_t n, int narrow);

/* torch.multinomial of a contiguous [rows, n] matrix of F32, F64, BF16 or F16 weights: `samples`
 * indices a row. `scratch` holds rng_multinomial_scratch(...) bytes. Gives 0; -1 for another type;
 * -2 for a row whose weights sum to nothing (with replacement; PyTorch's message is "invalid
 * multinomial distribution (sum of probabilities <= 0)"). The caller checks weights for negative,
 * infinite and NaN values, and samples against n. */
int rng_multinomial(rng_state *s, rng_type t, const void *weights, int64_t rows, int64_t n, int64_t *out,
                    int64_t samples, int replacement, void *scratch);
size_t rng_multinomial_scratch(rng_type t, int64_t rows, int64_t n, int64_t samples, int replacement);

#endif
