/* Small calls of a captured program side by side.
 *
 * A loop of a few microseconds is not worth sharing: handing it over and waiting for it cost as much. So
 * calls on small tensors run on one thread while the others idle. But a program is known as a whole, and many
 * of its calls do not depend on each other: the nets of an actor and a critic, the gradients of a layer's
 * weights and of its input. Such calls form a group, for which the threads are woken once: each takes the
 * next call whose operands are there, and runs it alone. There is no barrier inside; a call waits for those
 * that it depends on and for no others.
 *
 * What a call computes does not depend on where and when it runs: partitions depend on shapes alone, and
 * calls that touch the same memory, or draw from a generator, keep their order. Each lane has a workspace of
 * its own.
 *
 * Whether a group pays is predicted: list scheduling (Graham 1969; the call with the longest way to the end
 * first) of rough times of its calls, with what a hand-over costs. A group that would not gain a quarter and
 * 4 us stays a sequence, and so do calls that are large enough to share. Then both ways are timed as the
 * program is used, and the faster one is taken: where another process keeps a core busy, that is one after
 * the other.
 *
 * Measured on 2 cores: PPO's update of two nets (50 calls, 55 us) 36 us. Steps without branches of that size
 * gain nothing and are left alone: MLP 64-128-10 (11 calls, 9 us), moons (16 calls, 3 us).
 *
 * Tried and left out: the products of a layer's two gradients, which are equally large, on a thread each.
 * Predicted a fifth less, for threads that share a product reach 0.8 of their rate; found 0.85 to 1.2 times
 * the time (GPT 1.15, LSTM 1.1, VAE 1.07, CNN 0.9, MLP 0.86), because each thread then reads whole operands.
 */
#include "lanes.h"
#include <sched.h>
#include <time.h>
#include "fuse.h"
#include "pool.h"

#define LARGE 8000.0    /* nanoseconds: a call that threads share with profit */
#define HAND_OVER 150.0 /* to take a call and to see that another is done */
#define LEAST_GAIN 4000.0
#define LEAST_SHARE 0.25
#define TRIAL 64 /* every so many runs */

/* ---- what a call takes, on one thread ---- */

/* Rows that take some 0.4 ns an element, others 0.05. */
static bool is_dear(int op) {
    switch (op) {
    case OP_tanh:
    case OP_exp:
    case OP_log:
    case OP_sigmoid:
    case OP_gelu:
    case OP_silu:
    case OP_softplus:
    case OP_sin:
    case OP_cos:
    case OP_pow:
    case OP_erf:
    case OP_normal:
    case OP_dropout:
    case OP_softmax:
    case OP_log_softmax:
    case OP_pair_loss:
    case OP_pair_loss_grad:
        return true;
    default:
        return false;
    }
}

/* Rows whose work is about one pass over their operands. Others are taken to be large. */
static bool is_one_pass(const ad_op *op) {
    if (op->flags & AD_OP_EW || op == &fused_op) return true;
    switch (op - ad_ops) {
    case OP_clone:
    case OP_contiguous:
    case OP_to:
    case OP_copy:
    case OP_full:
    case OP_fill:
    case OP_cat:
    case OP_stack:
    case OP_sum:
    case OP_mean:
    case OP_softmax:
    case OP_log_softmax:
    case OP_softmax_grad:
    case OP_log_softmax_grad:
    case OP_gather:
    case OP_gather_grad:
    case OP_normal:
    case OP_uniform:
    case OP_dropout:
    case OP_dropout_scale:
    case OP_nll:
    case OP_nll_grad:
    case OP_cross_entropy:
    case OP_cross_entropy_grad:
    case OP_pair_loss:
    case OP_pair_loss_grad:
    case OP_layer_norm:
    case OP_layer_norm_grad:
    case OP_batch_norm:
    case OP_batch_norm_grad:
    case OP_running_stats:
    case OP_sgd_step:
    case OP_adam_step:
    case OP_rmsprop_step:
    case OP_total_norm:
    case OP_scale_all:
        return true;
    default:
        return false;
    }
}

static double time_of(const instr *i) {
    const ad_call *c = &i->call;
    const ad_op *op = c->op;
    if (op == &ad_ops[OP_linear] || op == &ad_ops[OP_mm]) {
        double k = (double)c->in[0]->sizes[c->in[0]->ndim - 1];
        return 200 + 2 * (double)c->out[0]->numel * k / 200;
    }
    if (!is_one_pass(op)) return 2 * LARGE;
    double elements = 0;
    for (int n = 0; n < c->nin; n++) elements += c->in[n] ? (double)c->in[n]->numel : 0;
    for (int o = 0; o < c->nout; o++) elements += (double)c->out[o]->numel;
    double each = 0.05;
    if (op == &fused_op) each = fused_dear(i, is_dear);
    else if (is_dear((int)(op - ad_ops))) each = 0.2;
    return 150 + each * elements;
}

/* ---- what waits for what ---- */

typedef struct range {
    const char *begin, *end;
} range;

typedef struct touched { /* by a call: what it writes, then what it only reads */
    range *r;
    int nwritten, n;
    bool draws;
} touched;

static void add_range(touched *t, const ad_tensor *x) {
    if (!x) return;
    range r;
    tensor_reach(x, &r.begin, &r.end);
    if (r.begin < r.end) t->r[t->n++] = r;
}

static void look(const ad_call *c, touched *t, range *room) {
    *t = (touched){.r = room, .draws = c->op->flags & AD_OP_RANDOM};
    for (int o = 0; o < c->nout; o++) add_range(t, c->out[o]);
    if (c->op->flags & AD_OP_INPLACE)
        for (int i = 0; i < c->nin; i++) add_range(t, c->in[i]);
    t->nwritten = t->n;
    if (!(c->op->flags & AD_OP_INPLACE))
        for (int i = 0; i < c->nin; i++) add_range(t, c->in[i]);
}

static bool writes_of_one_touch(const touched *a, const touched *b) {
    for (int i = 0; i < a->nwritten; i++)
        for (int k = 0; k < b->n; k++)
            if (a->r[i].begin < b->r[k].end && b->r[k].begin < a->r[i].end) return true;
    return false;
}

/* Whether the calls must keep their order. */
static bool conflict(const touched *a, const touched *b) {
    return (a->draws && b->draws) || writes_of_one_touch(a, b) || writes_of_one_touch(b, a);
}

/* Orders a group's calls by the length of what waits for them, and sets their needs; -1 without memory. */
static int arrange(const ad_program *p, lane_group *g) {
    touched t[LANE_CALLS];
    double rest[LANE_CALLS];
    uint64_t needs[LANE_CALLS];
    int64_t call[LANE_CALLS];
    int place[LANE_CALLS];
    size_t total = 1, used = 0;
    g->n = 0;
    for (int64_t k = g->from; k < g->to; k++) {
        if (p->code[k].dead) continue;
        call[g->n++] = k;
        total += (size_t)(p->code[k].call.nin + p->code[k].call.nout);
    }
    range *room = mem_alloc(total * sizeof *room);
    if (!room) return -1;
    for (int k = 0; k < g->n; k++) {
        look(&p->code[call[k]].call, &t[k], room + used);
        used += (size_t)t[k].n;
        needs[k] = 0;
        for (int j = 0; j < k; j++)
            if (conflict(&t[j], &t[k])) needs[k] |= (uint64_t)1 << j;
    }
    mem_free(room, total * sizeof *room);
    g->alone = 0;
    for (int k = g->n - 1; k >= 0; k--) {
        double own = time_of(&p->code[call[k]]);
        g->alone += own;
        rest[k] = 0;
        for (int j = k + 1; j < g->n; j++)
            if (needs[j] >> k & 1 && rest[j] > rest[k]) rest[k] = rest[j];
        rest[k] += own;
        place[k] = k;
    }
    for (int k = 1; k < g->n; k++) { /* a call's rest is longer than that of those that wait for it */
        int x = place[k], j = k;
        for (; j && rest[place[j - 1]] < rest[x]; j--) place[j] = place[j - 1];
        place[j] = x;
    }
    for (int k = 0; k < g->n; k++) {
        g->call[k] = call[place[k]];
        g->needs[k] = 0;
        for (int j = 0; j < k; j++)
            if (needs[place[k]] >> place[j] & 1) g->needs[k] |= (uint64_t)1 << j;
    }
    return 0;
}

/* When the last call ends if each lane takes the first call that is ready. */
static double schedule(const ad_program *p, const lane_group *g, int lanes) {
    double end[LANE_CALLS], now[MOST_LANES] = {0}, last = 0;
    uint64_t taken = 0;
    for (int count = 0; count < g->n; count++) {
        int lane = 0, best = -1;
        for (int l = 1; l < lanes; l++)
            if (now[l] < now[lane]) lane = l;
        double begin = 0;
        for (int k = 0; k < g->n; k++) { /* ready soonest; the first among those that are ready now */
            if (taken >> k & 1) continue;
            double ready = now[lane];
            bool known = true;
            for (int j = 0; j < k; j++) {
                if (!(g->needs[k] >> j & 1)) continue;
                if (!(taken >> j & 1)) known = false;
                else if (end[j] > ready) ready = end[j];
            }
            if (known && (best < 0 || ready < begin)) best = k, begin = ready;
        }
        taken |= (uint64_t)1 << best;
        now[lane] = end[best] = begin + time_of(&p->code[g->call[best]]) + HAND_OVER;
        if (end[best] > last) last = end[best];
    }
    return last;
}

/* ---- finding groups ---- */

/* Whether a call that refuses some values can be asked before the group begins: none of its calls writes
 * them. */
static bool asks_early(const ad_program *p, int64_t from, int64_t k) {
    const ad_call *c = &p->code[k].call;
    for (int i = 0; i < c->nin; i++) {
        if (!c->in[i] || dtype_is_float(c->in[i]->dtype)) continue;
        for (int64_t j = from; j < k; j++) {
            const ad_call *d = &p->code[j].call;
            if (p->code[j].dead) continue;
            for (int o = 0; o < d->nout; o++)
                if (d->out[o]->storage == c->in[i]->storage) return false;
            for (int n = 0; n < d->nin && d->op->flags & AD_OP_INPLACE; n++)
                if (d->in[n] && d->in[n]->storage == c->in[i]->storage) return false;
        }
    }
    return true;
}

static int consider(ad_program *p, int64_t from, int64_t to, int live) {
    if (live < 4) return 0;
    lane_group *room = mem_alloc((size_t)(p->ngroups + 1) * sizeof *room);
    if (!room) return -1;
    lane_group *g = &room[p->ngroups];
    *g = (lane_group){.from = from, .to = to};
    if (arrange(p, g)) {
        mem_free(room, (size_t)(p->ngroups + 1) * sizeof *room);
        return -1;
    }
    g->together = g->alone;
    int most = pool_num_threads() < MOST_LANES ? pool_num_threads() : MOST_LANES;
    for (int lanes = 2; lanes == 2 || lanes <= most; lanes++) {
        double ns = schedule(p, g, lanes);
        if (ns > g->together - 0.1 * g->alone) break;
        g->together = ns;
        g->lanes = lanes;
    }
    bool pays = g->together < g->alone - LEAST_GAIN && g->together < (1 - LEAST_SHARE) * g->alone;
    if (!pays) {
        mem_free(room, (size_t)(p->ngroups + 1) * sizeof *room);
        return 0;
    }
    if (p->ngroups) {
        memcpy(room, p->groups, (size_t)p->ngroups * sizeof *room);
        mem_free(p->groups, (size_t)p->ngroups * sizeof *room);
    }
    p->groups = room;
    p->ngroups++;
    return 0;
}

int lanes_find(ad_program *p) {
    int64_t from = -1;
    int live = 0;
    double sum = 0;
    for (int64_t k = 0; k <= p->n; k++) {
        bool fits = k < p->n, ends = k == p->n || (p->has_split && k == p->split);
        double ns = 0;
        if (fits && p->code[k].dead) {
            if (!ends) continue;
            fits = false;
        }
        if (fits) {
            ns = time_of(&p->code[k]);
            fits = ns < LARGE;
            if (from >= 0 &&
                (live == LANE_CALLS || (call_reads_values(&p->code[k].call) && !asks_early(p, from, k))))
                ends = true;
        }
        if (from >= 0 && (ends || !fits)) {
            if (sum > 2 * LEAST_GAIN && consider(p, from, k, live)) return -1;
            from = -1;
        }
        if (!fits) continue;
        if (from < 0) from = k, live = 0, sum = 0;
        live++;
        sum += ns;
    }
    return 0;
}

static const lane_group *group_of(const ad_program *p, int64_t k) {
    for (int64_t g = 0; g < p->ngroups; g++)
        if (k >= p->groups[g].from && k < p->groups[g].to) return &p->groups[g];
    return NULL;
}
int64_t lanes_first(const ad_program *p, int64_t k) {
    const lane_group *g = group_of(p, k);
    return g ? g->from : k;
}
int64_t lanes_last(const ad_program *p, int64_t k) {
    const lane_group *g = group_of(p, k);
    return g ? g->to - 1 : k;
}

static size_t padded(size_t n) { return (n + 63) & ~(size_t)63; }

int lanes_prepare(ad_program *p) {
    size_t most = 0;
    for (int64_t k = 0; k < p->ngroups; k++) {
        lane_group *g = &p->groups[k];
        if (arrange(p, g)) return -1;
        for (int n = 0; n < g->n; n++) {
            const ad_call *c = &p->code[g->call[n]].call;
            size_t bytes = c->op->scratch ? padded(c->op->scratch(c)) : 0;
            if (bytes > most) most = bytes;
        }
    }
    p->lane_bytes = most;
    if (most && !(p->lane_scratch = mem_alloc(MOST_LANES * most))) return -1;
    return 0;
}

void lanes_free(ad_program *p) {
    if (p->lane_scratch) mem_free(p->lane_scratch, MOST_LANES * p->lane_bytes);
    if (p->groups) mem_free(p->groups, (size_t)p->ngroups * sizeof *p->groups);
}

/* ---- running ---- */

typedef struct lane_state {
    _Alignas(64) _Atomic uint64_t taken;
    _Alignas(64) _Atomic uint64_t done;
    const ad_program *p;
    const lane_group *g;
} lane_state;

static int next_call(const lane_group *g, uint64_t open, uint64_t done) {
    for (; open; open &= open - 1) {
        int k = __builtin_ctzll(open);
        if (!(g->needs[k] & ~done)) return k;
    }
    return -1;
}

/* Takes calls until none is left. Whoever comes late finds nothing to do, and nobody waits for a thread that
 * has not begun. */
static void run_lane(int64_t lane, int64_t end, void *ctx) {
    lane_state *s = ctx;
    const lane_group *g = s->g;
    uint64_t all = g->n == 64 ? ~(uint64_t)0 : ((uint64_t)1 << g->n) - 1;
    for (unsigned idle = 0;;) {
        uint64_t open = all & ~atomic_load_explicit(&s->taken, memory_order_relaxed);
        if (!open) return;
        int k = next_call(g, open, atomic_load_explicit(&s->done, memory_order_acquire));
        if (k < 0) {
            pool_pause();
            if (++idle > 2000 && !(idle & 31)) sched_yield();
            continue;
        }
        uint64_t bit = (uint64_t)1 << k;
        if (atomic_fetch_or_explicit(&s->taken, bit, memory_order_relaxed) & bit) continue;
        ad_call c = s->p->code[g->call[k]].call;
        c.scratch = s->p->lane_scratch + (size_t)lane * s->p->lane_bytes;
        c.op->run(&c);
        atomic_fetch_or_explicit(&s->done, bit, memory_order_release);
        idle = 0;
    }
}

static void run_in_order(const ad_program *p, const lane_group *g) {
    for (int64_t k = g->from; k < g->to; k++)
        if (!p->code[k].dead) p->code[k].call.op->run(&p->code[k].call);
}

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

/* Side by side or one after the other, whichever took less time of late; now and then the other way, in case
 * that has changed. */
int lanes_run(const ad_program *p, lane_group *g) {
    for (int k = 0; k < g->n; k++) {
        const instr *i = &p->code[g->call[k]];
        if (AD_UNLIKELY(i->checked) && program_check_values(&i->call)) return -1;
    }
    if (pool_num_threads() == 1) {
        run_in_order(p, g);
        return 0;
    }
    bool other = g->runs < 4 ? g->runs & 1 : g->runs % TRIAL == 0;
    g->runs++;
    int way = (g->took[1] < g->took[0]) != other;
    double start = now_ns();
    if (way) {
        lane_state s = {.p = p, .g = g};
        pool_parallel_for(g->lanes, 1, run_lane, &s);
    } else run_in_order(p, g);
    double took = now_ns() - start;
    g->took[way] = g->took[way] == 0 ? took : g->took[way] + (took - g->took[way]) / (other ? 2 : 8);
    return 0;
}

/* Of each group: its first call and the one after its last, calls, lanes, and predicted nanoseconds alone and
 * together. Returns how many there are. */
int64_t ad_program_groups(intptr_t h, int64_t *out, int64_t room) {
    const ad_program *p = (const ad_program *)h;
    for (int64_t k = 0; k < p->ngroups && k < room; k++) {
        const lane_group *g = &p->groups[k];
        int64_t values[6] = {g->from, g->to, g->n, g->lanes, (int64_t)g->alone, (int64_t)g->together};
        memcpy(out + 6 * k, values, sizeof values);
    }
    return p->ngroups;
}
