/* Planning a captured program: dead calls, folding, fusion, and one arena for the values in between. */
#include <stdlib.h>
#include <string.h>
#include "fuse.h"
#include "lanes.h"
#include "plan.h"

/* ---- values ---- */

static size_t hash_storage(const ad_storage *s) {
    return (size_t)((uintptr_t)s >> 6) * 0x9e3779b97f4a7c15ULL >> 20;
}

value *plan_value(const plan *w, const ad_storage *s) {
    size_t k = hash_storage(s) & (size_t)(w->ntable - 1);
    while (w->table[k] && w->v[w->table[k] - 1].s != s) k = (k + 1) & (size_t)(w->ntable - 1);
    return w->table[k] ? &w->v[w->table[k] - 1] : NULL;
}

static void value_add(plan *w, ad_storage *s, int64_t at, bool made_here) {
    value *v = plan_value(w, s);
    if (v) {
        v->last = at;
        return;
    }
    size_t k = hash_storage(s) & (size_t)(w->ntable - 1);
    while (w->table[k]) k = (k + 1) & (size_t)(w->ntable - 1);
    w->v[w->n] = (value){.s = s,
                         .first = at,
                         .last = at,
                         .made_here = made_here,
                         .internal = made_here && storage_users(s) == 0};
    w->table[k] = ++w->n;
}

/* Whether a call gives its output all of its values: then what was there before does not matter. */
bool plan_overwrites(const instr *i, const ad_tensor *out) {
    return !i->call.inplace && !(i->call.op->flags & (AD_OP_SELF | AD_OP_INPLACE)) &&
           (size_t)out->numel * dtype_size[out->dtype] == out->storage->nbytes;
}

void plan_move(ad_tensor *t, ad_storage *to) {
    if (t->storage == to) return;
    t->storage->pinned--;
    storage_release(t->storage);
    atomic_fetch_add(&to->refs, 1);
    to->pinned++;
    t->storage = to;
}

static int collect(plan *w) {
    ad_program *p = w->p;
    int64_t most = 1;
    for (int64_t k = 0; k < p->n; k++) most += p->code[k].call.nin + p->code[k].call.nout;
    for (w->ntable = 64; w->ntable < 2 * most; w->ntable *= 2) {}
    w->cap = most;
    w->v = mem_alloc((size_t)most * sizeof *w->v);
    w->table = mem_alloc((size_t)w->ntable * sizeof *w->table);
    if (!w->v || !w->table) return -1;
    memset(w->table, 0, (size_t)w->ntable * sizeof *w->table);
    for (int64_t k = 0; k < p->n; k++) {
        const ad_call *c = &p->code[k].call;
        /* An input that no call has made belongs to others; an output seen first is made here. */
        for (int i = 0; i < c->nin; i++)
            if (c->in[i]) value_add(w, c->in[i]->storage, k, false);
        for (int o = 0; o < c->nout; o++) {
            value_add(w, c->out[o]->storage, k, true);
            plan_value(w, c->out[o]->storage)->writes++;
        }
        for (int i = 0; i < c->nin && c->op->flags & AD_OP_INPLACE; i++)
            if (c->in[i]) plan_value(w, c->in[i]->storage)->writes++;
    }
    for (int64_t k = 0; k < p->nlaid; k++) { /* copied before each run */
        value *v = plan_value(w, p->laid[k].before->storage);
        if (v) v->writes++, v->internal = false;
    }
    return 0;
}

/* ---- dead calls ---- */

static void drop_dead(plan *w) {
    ad_program *p = w->p;
    for (int64_t k = 0; k < w->n; k++) w->v[k].live = !w->v[k].internal;
    for (int64_t k = p->n - 1; k >= 0; k--) {
        instr *i = &p->code[k];
        const ad_call *c = &i->call;
        if (i->dead) continue; /* folded */
        bool needed = c->op->flags & (AD_OP_INPLACE | AD_OP_RANDOM);
        for (int o = 0; o < c->nout; o++) needed |= plan_value(w, c->out[o]->storage)->live;
        i->dead = !needed;
        if (!needed) continue;
        for (int o = 0; o < c->nout; o++) {
            value *v = plan_value(w, c->out[o]->storage);
            if (v->internal) v->live = !plan_overwrites(i, c->out[o]);
        }
        for (int n = 0; n < c->nin; n++)
            if (c->in[n]) plan_value(w, c->in[n]->storage)->live = true;
    }
}

/* ---- folding an activation into the product before it ---- */

static bool read_later(const plan *w, const ad_storage *s, int64_t after) {
    const ad_program *p = w->p;
    for (int64_t k = after + 1; k < p->n; k++) {
        const ad_call *c = &p->code[k].call;
        if (p->code[k].dead) continue;
        for (int i = 0; i < c->nin; i++)
            if (c->in[i] && c->in[i]->storage == s) return true;
        for (int o = 0; o < c->nout; o++)
            if (c->out[o]->storage == s) return true;
    }
    return false;
}

/* linear followed by relu of its result, which nothing else reads: one product with an epilogue. The sums
 * and the activation are those of the two calls, so the bits are too. */
static void fold_activations(plan *w) {
    ad_program *p = w->p;
    for (int64_t k = 0; k + 1 < p->n; k++) {
        instr *a = &p->code[k];
        if (a->dead || a->call.op != &ad_ops[OP_linear] || a->at.i[0]) continue;
        int64_t next = k + 1;
        while (next < p->n && p->code[next].dead) next++;
        if (next == p->n) break;
        if (p->has_split && k < p->split && next >= p->split) continue;
        instr *b = &p->code[next];
        if (b->call.op != &ad_ops[OP_relu] || b->call.in[0]->storage != a->call.out[0]->storage) continue;
        const ad_tensor *h = a->call.out[0], *x = b->call.in[0];
        value *v = plan_value(w, h->storage);
        if (x->offset != h->offset || !tensor_is_contiguous(x) || x->numel != h->numel ||
            !tensor_is_contiguous(b->call.out[0]))
            continue;
        bool in_place = b->call.out[0]->storage == h->storage;
        if (!in_place && (!v->internal || read_later(w, h->storage, next))) continue;
        if (!in_place) { /* the product writes the activation's result, in the product's own shape */
            ad_tensor *y =
                tensor_alias(b->call.out[0], h->ndim, h->sizes, h->strides, b->call.out[0]->offset);
            if (!y) continue; /* without memory the two calls stay two */
            y->storage->pinned++;
            ad_tensor *old = a->call.out[0];
            a->call.out[0] = y;
            old->storage->pinned--;
            tensor_unref(old);
        }
        a->at.i[0] = 1;
        b->dead = true;
        p->fused++;
    }
}

/* ---- gradients that are dropped ---- */

/* Gradients that the step adds to and drops without having read them, as those that a generator's loss leaves
 * in a discriminator, need not be computed: what does so goes with drop_dead(). */
static int drop_gradients(plan *w) {
    ad_program *p = w->p;
    bool some = false, again = true;
    for (int64_t k = 0; k < p->neffects; k++) {
        value *v = p->effects[k].copied ? plan_value(w, p->effects[k].entry->storage) : NULL;
        p->effects[k].written = v && v->writes;
        if (p->effects[k].written) v->internal = some = true;
    }
    bool *dead = mem_alloc((size_t)(p->n + 1) * sizeof *dead);
    if (!dead) return -1;
    for (int64_t k = 0; k < p->n; k++) dead[k] = p->code[k].dead;
    drop_dead(w);
    while (some && again) { /* until none of them is read after all */
        again = false;
        for (int64_t k = 0; k < p->neffects; k++) {
            if (!p->effects[k].written) continue;
            value *v = plan_value(w, p->effects[k].entry->storage);
            if (!v->internal || !read_later(w, v->s, -1)) continue;
            v->internal = false;
            again = true;
        }
        for (int64_t k = 0; k < p->n && again; k++) p->code[k].dead = dead[k];
        if (again) drop_dead(w);
    }
    mem_free(dead, (size_t)(p->n + 1) * sizeof *dead);
    for (int64_t k = 0; k < p->neffects; k++) {
        grad_effect *e = &p->effects[k];
        if (!e->written || !plan_value(w, e->entry->storage)->internal) continue;
        grad_drop(e->entry);
        e->entry = SOME_GRAD;
        e->copied = false;
    }
    return 0;
}

bool plan_value_is_needed(const ad_program *p, const ad_storage *s, const int64_t *calls, int n) {
    if (storage_users((ad_storage *)s) > 0) return true;
    for (int64_t k = 0; k < p->n; k++) {
        const ad_call *c = &p->code[k].call;
        if (p->code[k].dead) continue;
        bool member = false;
        for (int m = 0; m < n; m++) member |= calls[m] == k;
        if (member) continue;
        for (int i = 0; i < c->nin; i++)
            if (c->in[i] && c->in[i]->storage == s) return true;
        for (int o = 0; o < c->nout; o++)
            if (c->out[o]->storage == s) return true;
    }
    return false;
}

/* ---- results ---- */

static bool read_in_second_part(const ad_program *p, const ad_storage *s) {
    for (int64_t k = p->split; k < p->n && p->has_split; k++) {
        const ad_call *c = &p->code[k].call;
        for (int i = 0; i < c->nin && !p->code[k].dead; i++)
            if (c->in[i] && c->in[i]->storage == s) return true;
    }
    return false;
}

/* A result that fills a storage of its own, which nobody but the caller holds, is computed in new memory at
 * each replay and needs no copy. The recorded one is the first of them. */
static int place_results(plan *w) {
    ad_program *p = w->p;
    if (!p->nouts) return 0;
    p->made = mem_alloc((size_t)(p->nouts + 1) * sizeof *p->made);
    p->places = mem_alloc((size_t)(p->nouts + 1) * sizeof *p->places);
    if (!p->made || !p->places) return -1;
    memset(p->made, 0, (size_t)(p->nouts + 1) * sizeof *p->made);
    memset(p->places, 0, (size_t)(p->nouts + 1) * sizeof *p->places);
    for (int64_t k = 0; k < p->nouts; k++) {
        ad_tensor *t = p->outs[k];
        value *v = plan_value(w, t->storage);
        int32_t known = 0, aliases = 0;
        for (int64_t j = 0; j < p->nouts; j++)
            if (p->outs[j]->storage == t->storage) {
                aliases++;
                known += 1 + (j >= p->nouts - p->held);
            }
        if (!v || v->last < 0 || aliases != 1 || storage_users(t->storage) != known || t->offset ||
            t->storage->backing || !dims_dense(t->ndim, t->sizes, t->strides) || !v->made_here ||
            (size_t)t->numel * dtype_size[t->dtype] != t->storage->nbytes)
            continue;
        if (k < p->nouts_forward && read_in_second_part(p, t->storage)) continue;
        ad_storage *home = storage_new(0), *old = t->storage;
        ad_tensor *first = home ? tensor_alias(t, t->ndim, t->sizes, t->strides, 0) : NULL;
        if (!first) {
            storage_release(home);
            return -1;
        }
        home->data = old->data;
        home->nbytes = old->nbytes;
        for (int64_t n = 0; n < p->n; n++) {
            ad_call *c = &p->code[n].call;
            for (int i = 0; i < c->nin + c->nout; i++) {
                ad_tensor *x = i < c->nin ? c->in[i] : c->out[i - c->nin];
                if (x && x->storage == old) plan_move(x, home);
            }
        }
        v->internal = v->returned = true;
        p->outs[k]->storage = home; /* its own reference */
        storage_release(old);
        p->made[k] = first;
        p->places[k] = true;
    }
    return 0;
}

/* ---- one arena ---- */

static int by_size(const void *a, const void *b) {
    const value *x = *(value *const *)a, *y = *(value *const *)b;
    if (x->s->nbytes != y->s->nbytes) return x->s->nbytes < y->s->nbytes ? 1 : -1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static size_t padded(size_t n) { return (n + 63) & ~(size_t)63; }

/* Whether output o of a call may be computed where its inputs on storage s lie, which nobody reads later. */
static bool may_take_over(const instr *call, int o, const ad_storage *s) {
    const ad_call *c = &call->call;
    const ad_tensor *out = c->out[o];
    if (out->storage->nbytes != s->nbytes || out->offset || c->inplace || !tensor_is_contiguous(out) ||
        (size_t)out->numel * dtype_size[out->dtype] != s->nbytes)
        return false;
    if (c->op == &fused_op) return fused_in_place(call, o, s);
    if (!(c->op->flags & AD_OP_EW)) return false;
    for (int i = 0; i < c->nin; i++) {
        const ad_tensor *t = c->in[i];
        if (t->storage != s) continue;
        if (t->offset || t->dtype != out->dtype || !tensor_same_sizes(t, out) || !tensor_is_contiguous(t))
            return false;
    }
    return true;
}

/* Elementwise calls write over an operand that dies with them: half the memory, all of it in the cache. */
static void take_over(plan *w) {
    ad_program *p = w->p;
    for (int64_t k = 0; k < w->n; k++) w->v[k].in_place_of = -1;
    for (int64_t k = 0; k < p->n; k++) {
        const ad_call *c = &p->code[k].call;
        if (p->code[k].dead || (c->op != &fused_op && !(c->op->flags & AD_OP_EW))) continue;
        for (int o = 0; o < c->nout; o++) {
            value *v = plan_value(w, c->out[o]->storage);
            if (!v || !v->internal || v->returned || v->first != k || v->in_place_of >= 0) continue;
            for (int i = 0; i < c->nin; i++) {
                value *u = plan_value(w, c->in[i]->storage);
                if (!u || u == v || !u->internal || u->returned || u->last != k || u->first >= k) continue;
                if (!may_take_over(&p->code[k], o, u->s)) continue;
                v->in_place_of = u - w->v;
                u->last = k - 1; /* taken */
                break;
            }
        }
    }
    /* What takes over lives on as what it took over from; later values come after earlier ones. */
    for (int64_t k = p->n - 1; k >= 0; k--) {
        const ad_call *c = &p->code[k].call;
        if (p->code[k].dead) continue;
        for (int o = 0; o < c->nout; o++) {
            const value *v = plan_value(w, c->out[o]->storage);
            if (v && v->first == k && v->in_place_of >= 0) w->v[v->in_place_of].last = v->last;
        }
    }
}

/* Largest first, each at the lowest place that is free for as long as the value lives. */
static size_t place_values(value **list, int64_t n) {
    size_t end = 0;
    for (int64_t k = 0; k < n; k++) {
        value *v = list[k];
        size_t at = 0;
        for (bool moved = true; moved;) {
            moved = false;
            for (int64_t j = 0; j < k; j++) {
                const value *u = list[j];
                bool together = u->first <= v->last && v->first <= u->last;
                if (together && at < u->place + padded(u->s->nbytes) &&
                    u->place < at + padded(v->s->nbytes)) {
                    at = u->place + padded(u->s->nbytes);
                    moved = true;
                }
            }
        }
        v->place = at;
        if (at + padded(v->s->nbytes) > end) end = at + padded(v->s->nbytes);
    }
    return end;
}

static int lay_out(plan *w) {
    ad_program *p = w->p;
    value **list = mem_alloc((size_t)(w->n + 1) * sizeof *list);
    ad_storage **home = list ? mem_alloc((size_t)(w->n + 1) * sizeof *home) : NULL;
    int64_t n = 0, status = -1, made = 0;
    if (!home) goto done;
    for (int64_t k = 0; k < w->n; k++) { /* lifetimes over the live calls only */
        w->v[k].first = INT64_MAX;
        w->v[k].last = -1;
    }
    for (int64_t k = 0; k < p->n; k++) {
        const ad_call *c = &p->code[k].call;
        if (p->code[k].dead) continue;
        for (int i = 0; i < c->nin + c->nout; i++) {
            const ad_tensor *t = i < c->nin ? c->in[i] : c->out[i - c->nin];
            value *v = t ? plan_value(w, t->storage) : NULL;
            if (!v) continue;
            if (k < v->first) v->first = k;
            v->last = k;
        }
    }
    for (int64_t k = 0; k < w->n && p->has_split; k++) /* a backward pass may be run again */
        if (w->v[k].first < p->split && w->v[k].last >= p->split) w->v[k].last = p->n;
    take_over(w);
    for (int64_t k = 0; k < w->n && p->ngroups; k++) { /* the calls of a group have no order */
        value *v = &w->v[k];
        if (v->last < 0) continue;
        v->first = lanes_first(p, v->first);
        v->last = lanes_last(p, v->last);
    }
    for (int64_t k = 0; k < w->n; k++) {
        if (!w->v[k].internal || w->v[k].returned || w->v[k].last < 0) continue;
        p->unplanned_bytes += padded(w->v[k].s->nbytes);
        if (w->v[k].in_place_of < 0) list[n++] = &w->v[k];
    }
    qsort(list, (size_t)n, sizeof *list, by_size);
    p->arena_bytes = place_values(list, n);
    if (p->arena_bytes && !(p->arena = mem_alloc(p->arena_bytes))) goto done;
    for (; made < n; made++) {
        if (!(home[made] = storage_new(0))) goto done;
        home[made]->data = p->arena + list[made]->place;
        home[made]->nbytes = list[made]->s->nbytes;
    }
    for (int64_t k = 0; k < n; k++) list[k]->place = (size_t)k; /* now: which home */
    for (int64_t k = 0; k < w->n; k++) {
        value *v = &w->v[k], *root = v;
        if (!v->internal || v->returned || v->last < 0) continue;
        while (root->in_place_of >= 0) root = &w->v[root->in_place_of];
        v->place = root->place;
    }
    for (int64_t k = 0; k < p->n; k++) {
        ad_call *c = &p->code[k].call;
        for (int i = 0; i < c->nin + c->nout; i++) {
            ad_tensor *t = i < c->nin ? c->in[i] : c->out[i - c->nin];
            value *v = t ? plan_value(w, t->storage) : NULL;
            if (v && v->internal && !v->returned && v->last >= 0) plan_move(t, home[v->place]);
        }
    }
    status = 0;
done:
    for (int64_t k = 0; k < made; k++) storage_release(home[k]);
    if (home) mem_free(home, (size_t)(w->n + 1) * sizeof *home);
    if (list) mem_free(list, (size_t)(w->n + 1) * sizeof *list);
    return (int)status;
}

/* What of others the second part reads: its backward pass must find it as the first part left it. */
static int note_checks(plan *w) {
    ad_program *p = w->p;
    p->checks_cap = w->n + 1;
    p->checks = mem_alloc((size_t)p->checks_cap * sizeof *p->checks);
    p->bound = mem_alloc((size_t)(p->nargs + 1) * sizeof *p->bound);
    if (!p->checks || !p->bound) return -1;
    memset(p->bound, 0, (size_t)(p->nargs + 1) * sizeof *p->bound);
    for (int64_t k = 0; k < w->n; k++) w->v[k].live = false; /* now: listed */
    for (int64_t k = p->split; k < p->n; k++) {
        const ad_call *c = &p->code[k].call;
        for (int i = 0; i < c->nin && !p->code[k].dead; i++) {
            value *v = c->in[i] ? plan_value(w, c->in[i]->storage) : NULL;
            if (!v || v->internal || v->live || v->made_here) continue;
            v->live = true;
            int64_t arg = 0;
            while (arg < p->nargs && p->args[arg]->storage != v->s) arg++;
            if (arg < p->nargs) {
                if (arg < p->nargs_forward) p->checks[p->nchecks++] = (check){.arg = arg};
                continue; /* else a gradient that comes in */
            }
            atomic_fetch_add(&v->s->refs, 1);
            v->s->pinned++;
            p->checks[p->nchecks++] = (check){.s = v->s, .arg = -1};
        }
    }
    return 0;
}

/* Storages of others that the program writes, and the largest scratch. */
static int finish(plan *w) {
    ad_program *p = w->p;
    p->written = mem_alloc((size_t)(w->n + 1) * sizeof *p->written);
    if (!p->written) return -1;
    p->written_cap = w->n + 1;
    for (int64_t k = 0; k < p->n; k++) {
        instr *i = &p->code[k];
        i->call.at = &i->at;
        if (i->dead) continue;
        for (int o = 0; o < i->call.nout + (i->call.op->flags & AD_OP_INPLACE ? i->call.nin : 0); o++) {
            ad_tensor *t = o < i->call.nout ? i->call.out[o] : i->call.in[o - i->call.nout];
            value *v = t ? plan_value(w, t->storage) : NULL;
            if (!v || v->internal || !v->live) continue;
            v->live = false; /* listed */
            atomic_fetch_add(&v->s->refs, 1);
            v->s->pinned++;
            p->written[p->nwritten++] = v->s;
        }
        p->is_long |= call_is_long(&i->call);
        p->code[k].checked = call_reads_values(&i->call);
        size_t bytes = i->call.op->scratch ? i->call.op->scratch(&i->call) : 0;
        if (bytes > p->scratch_bytes) p->scratch_bytes = bytes;
    }
    p->watched = mem_alloc((size_t)(w->n + 1) * sizeof *p->watched);
    if (!p->watched) return -1;
    p->watched_cap = w->n + 1;
    for (int64_t k = 0; k < w->n; k++) {
        ad_storage *s = w->v[k].s;
        /* arguments are other ones at each replay, and constants are the program's */
        if (w->v[k].internal || w->v[k].constant || s->backing) continue;
        atomic_fetch_add(&s->refs, 1);
        s->pinned++;
        p->watched[p->nwatched++] = (watch){s, atomic_load(&s->moved)};
    }
    if (p->has_split && note_checks(w)) return -1;
    if (p->scratch_bytes && !(p->scratch = mem_alloc(p->scratch_bytes))) return -1;
    for (int64_t k = 0; k < p->n; k++) p->code[k].call.scratch = p->scratch;
    return 0;
}

/* ---- arguments that share memory ---- */

static bool meets(const ad_tensor *t, const char *begin, const char *end) {
    const char *b, *e;
    tensor_reach(t, &b, &e);
    return b < end && begin < e;
}

bool program_aliases(const ad_program *p) {
    for (int64_t i = 0; i < p->nwritten; i++) {
        const ad_storage *s = p->written[i];
        const char *begin = s->data, *end = begin + s->nbytes;
        for (int64_t k = 0; k < p->nargs;
             k++) /* of an argument only its own elements, not all of its memory */
            if (p->args[k]->storage == s) tensor_reach(p->args[k], &begin, &end);
        for (int64_t k = 0; k < p->nargs; k++)
            if (p->args[k]->storage != s && meets(p->args[k], begin, end)) return true;
    }
    return false;
}

/* Fusing and folding take storages to be apart: is each argument apart from what the recorded calls write? */
static bool aliased(const plan *w) {
    const ad_program *p = w->p;
    for (int64_t a = 0; a < p->nargs; a++)
        for (int64_t k = 0; k < p->n; k++) {
            const ad_call *c = &p->code[k].call;
            for (int o = 0; o < c->nout + (c->op->flags & AD_OP_INPLACE ? c->nin : 0); o++) {
                const ad_tensor *t = o < c->nout ? c->out[o] : c->in[o - c->nout];
                if (!t || t->storage == p->args[a]->storage) continue;
                const value *v = plan_value(w, t->storage);
                const char *begin, *end;
                if (v->internal) continue;
                tensor_reach(t, &begin, &end);
                if (meets(p->args[a], begin, end)) return true;
            }
        }
    return false;
}

int plan_program(ad_program *p) {
    plan w = {.p = p};
    int status = -1;
    if (collect(&w)) goto done;
    fold_constants(&w);
    if (share_calls(&w)) goto done;
    if (drop_gradients(&w)) goto done;
    if (!(p->aliased = aliased(&w))) {
        fold_activations(&w);
        if (fuse_elementwise(p)) goto done;
    }
    if (place_results(&w) || (!p->aliased && lanes_find(p))) goto done;
    if (lay_out(&w) || finish(&w) || lanes_prepare(p) || layout_choose(p)) goto done;
    status = 0;
done:
    if (w.v) mem_free(w.v, (size_t)w.cap * sizeof *w.v);
    if (w.table) mem_free(w.table, (size_t)w.ntable * sizeof *w.table);
    return status;
}
