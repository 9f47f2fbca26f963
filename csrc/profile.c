/* The profiler: each call of a row, of all threads, with its times, the memory that it left in use, the sizes
 * of its operands and, when asked for, where Python called it. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core.h"
#include "watch.h"

enum { TIMES = 1, STACKS = 2 };
#define EVENT_FIELDS 9
#define MOST_OPERANDS 16

typedef struct event { /* EVENT_FIELDS integers: autodiffc/profiler/_events.py reads them */
    int64_t op, thread, start, took, own; /* nanoseconds; without inner calls */
    int64_t bytes, own_bytes;             /* in use after it that were not before */
    int64_t sizes;                        /* where its operands' sizes are among all */
    int64_t stack;                        /* a key of Python's, or 0 */
} event;
_Static_assert(sizeof(event) == EVENT_FIELDS * sizeof(int64_t), "what Python reads");

static _Atomic int profiling;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static event *events;
static int64_t nevents, events_room;
/* Of each event the number of its operands, and of each of those its dimensions (-1: absent) and sizes. */
static int64_t *sizes, nsizes, sizes_room;
static _Thread_local int64_t inner, inner_bytes; /* of calls inside the one under way */

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static int64_t in_use(void) {
    int64_t stats[8];
    ad_memory_stats(stats);
    return stats[0];
}

/* What was recorded is given up when the last profile ends. */
static void forget(void) {
    for (int64_t k = 0; k < nevents; k++) graph_drop(events[k].stack);
    free(events);
    free(sizes);
    events = NULL;
    sizes = NULL;
    nevents = events_room = nsizes = sizes_room = 0;
}

void ad_profile(int how) {
    int was = atomic_exchange_explicit(&profiling, how, memory_order_relaxed);
    if (!was != !how) atomic_fetch_add_explicit(&apply_watched, how ? 1 : -1, memory_order_relaxed);
    if (how) return;
    pthread_mutex_lock(&lock);
    forget();
    pthread_mutex_unlock(&lock);
}
int64_t ad_profile_count(int64_t *all_sizes) {
    *all_sizes = nsizes;
    return nevents;
}
void ad_profile_read(int64_t from, int64_t n, int64_t *to, int64_t sizes_from, int64_t count,
                     int64_t *sizes_to) {
    pthread_mutex_lock(&lock);
    if (from >= 0 && n > 0 && from + n <= nevents) memcpy(to, events + from, (size_t)n * sizeof *events);
    if (sizes_from >= 0 && count > 0 && sizes_from + count <= nsizes)
        memcpy(sizes_to, sizes + sizes_from, (size_t)count * sizeof *sizes);
    pthread_mutex_unlock(&lock);
}

static bool grow(void **p, int64_t *room, int64_t need, size_t size) {
    if (need <= *room) return true;
    int64_t more = *room ? 2 * *room : 1024;
    while (more < need) more *= 2;
    void *q = realloc(*p, (size_t)more * size);
    if (!q) return false;
    *p = q;
    *room = more;
    return true;
}

/* Without memory for it an event is left out. */
static void note(const event *e, const int64_t *shape, int64_t n) {
    pthread_mutex_lock(&lock);
    if (grow((void **)&events, &events_room, nevents + 1, sizeof *events) &&
        grow((void **)&sizes, &sizes_room, nsizes + n, sizeof *sizes)) {
        events[nevents] = *e;
        events[nevents++].sizes = nsizes;
        memcpy(sizes + nsizes, shape, (size_t)n * sizeof *shape);
        nsizes += n;
    }
    pthread_mutex_unlock(&lock);
}

int profiled(const ad_op *op, int nin, ad_tensor *const *in, const ad_attr *at, ad_tensor **out,
             ad_tensor *target) {
    int how = atomic_load_explicit(&profiling, memory_order_relaxed);
    if (!how) return apply_row(op, nin, in, at, out, target);
    int64_t shape[1 + MOST_OPERANDS * (AD_MAXDIM + 1)], n = 1;
    shape[0] = nin < MOST_OPERANDS ? nin : MOST_OPERANDS;
    for (int i = 0; i < shape[0]; i++) { /* before the call, which may write them */
        shape[n++] = in[i] ? in[i]->ndim : -1;
        for (int d = 0; in[i] && d < in[i]->ndim; d++) shape[n++] = in[i]->sizes[d];
    }
    event e = {.op = op - ad_ops, .thread = (int64_t)pthread_self()};
    if (how & STACKS && (e.stack = graph_callbacks.trace(0)) < 0) e.stack = 0;
    int64_t outer = inner, outer_bytes = inner_bytes, before = in_use();
    inner = inner_bytes = 0;
    e.start = now();
    int status = apply_row(op, nin, in, at, out, target);
    e.took = now() - e.start;
    e.bytes = in_use() - before;
    e.own = e.took - inner;
    e.own_bytes = e.bytes - inner_bytes;
    inner = outer + e.took;
    inner_bytes = outer_bytes + e.bytes;
    note(&e, shape, n);
    return status;
}
