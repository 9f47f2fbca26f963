/* What may stand between a call and the dispatcher: autocast, which casts operands, and the profiler, which
 * takes the time. Off, both cost one load and one branch a call (`apply_watched` in op.c). */
#include <string.h>
#include <time.h>
#include "core.h"
#include "watch.h"

_Atomic int apply_watched;

/* ---- autocast: this thread's, by the kind of the row ---- */

enum { KEEP, LOWER, SINGLE }; /* as given; to the low precision; to float32 */
static uint8_t kinds[OP_COUNT];

void ad_autocast_kinds(const uint8_t *given) { memcpy(kinds, given, sizeof kinds); }

/* Switches to a dtype (of type codes), or off with -1; returns what it was. */
int ad_autocast(int dtype) {
    int was = tls.autocast - 1;
    if ((was < 0) != (dtype < 0))
        atomic_fetch_add_explicit(&apply_watched, dtype < 0 ? -1 : 1, memory_order_relaxed);
    tls.autocast = dtype + 1;
    return was;
}

int autocast_pause(void) { return tls.autocast ? ad_autocast(-1) : -1; }
void autocast_resume(int dtype) {
    if (dtype >= 0) ad_autocast(dtype);
}

static bool casts(const ad_tensor *t, int to) {
    return t && dtype_is_float(t->dtype) && t->dtype != AD_F64 && t->dtype != to;
}

/* The operands as autocast wants them; those that are new are in `own`. Returns how many, or -1. */
static int cast_all(int to, int nin, ad_tensor *const *in, ad_tensor **own, ad_tensor **cast) {
    int made = 0, was = autocast_pause();
    for (int i = 0; i < nin; i++) {
        cast[i] = in[i];
        if (!casts(in[i], to)) continue;
        ad_attr at = {.i = {to}};
        ad_tensor *t = ad_apply1(OP_to, 1, &in[i], &at);
        if (!t) {
            while (made) tensor_unref(own[--made]);
            made = -1;
            break;
        }
        cast[i] = own[made++] = t;
    }
    autocast_resume(was);
    return made;
}

/* ---- the profiler: of all threads, by row ---- */

typedef struct tally {
    _Atomic int64_t calls, total, self;
} tally;
static tally tallies[OP_COUNT];
static _Atomic int profiling;
static _Thread_local int64_t inner; /* nanoseconds of calls inside the one under way */

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

void ad_profile(int on) {
    if (atomic_exchange_explicit(&profiling, on, memory_order_relaxed) != on)
        atomic_fetch_add_explicit(&apply_watched, on ? 1 : -1, memory_order_relaxed);
}

/* calls, nanoseconds and nanoseconds without inner calls, of each row */
void ad_profile_read(int64_t *out) {
    for (int k = 0; k < OP_COUNT; k++) {
        out[3 * k] = atomic_load_explicit(&tallies[k].calls, memory_order_relaxed);
        out[3 * k + 1] = atomic_load_explicit(&tallies[k].total, memory_order_relaxed);
        out[3 * k + 2] = atomic_load_explicit(&tallies[k].self, memory_order_relaxed);
    }
}

static int profiled(const ad_op *op, int nin, ad_tensor *const *in, const ad_attr *at, ad_tensor **out,
                    ad_tensor *target) {
    if (!atomic_load_explicit(&profiling, memory_order_relaxed))
        return apply_row(op, nin, in, at, out, target);
    int64_t outer = inner, start = now();
    inner = 0;
    int status = apply_row(op, nin, in, at, out, target);
    int64_t took = now() - start;
    tally *t = &tallies[op - ad_ops];
    atomic_fetch_add_explicit(&t->calls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&t->total, took, memory_order_relaxed);
    atomic_fetch_add_explicit(&t->self, took - inner, memory_order_relaxed);
    inner = outer + took;
    return status;
}

int apply_watched_row(const ad_op *op, int nin, ad_tensor *const *in, const ad_attr *at, ad_tensor **out,
                      ad_tensor *target) {
    int kind = tls.autocast && !target ? kinds[op - ad_ops] : KEEP;
    if (kind == KEEP || !nin || nin > 64) return profiled(op, nin, in, at, out, target);
    ad_tensor *own[64], *cast[64] = {0};
    int made = cast_all(kind == LOWER ? tls.autocast - 1 : AD_F32, nin, in, own, cast);
    if (made < 0) return -1;
    int status = profiled(op, nin, cast, at, out, NULL);
    while (made) tensor_unref(own[--made]);
    return status;
}
