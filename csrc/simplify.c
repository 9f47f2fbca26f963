/* What a program need not compute at each run: calls that depend on numbers alone, and calls that repeat
 * others. */
#include <string.h>
#include "plan.h"

enum { MOST_CONSTANT_BYTES = 1 << 16 }; /* a larger one is cheaper to write anew than to keep in the cache */

/* Whether a call gives the same for the same operands, and only its outputs change. */
static bool is_pure(const plan *w, const instr *i) {
    const ad_call *c = &i->call;
    if (i->dead || c->inplace || !c->nout || c->op->flags & (AD_OP_RANDOM | AD_OP_INPLACE | AD_OP_SELF))
        return false;
    for (int o = 0; o < c->nout; o++) {
        const value *v = plan_value(w, c->out[o]->storage);
        if (!v->made_here || v->writes != 1 || !plan_overwrites(i, c->out[o])) return false;
    }
    return true;
}

/* A number, or a tensor of numbers, that only the program holds. */
static bool is_number(const value *v) {
    return v->constant || (!v->made_here && !v->writes && !v->s->backing && storage_users(v->s) == 0);
}

/* A call on numbers alone has run already: its result stays where it is. The seed of a backward pass is one,
 * and what becomes of it in a mean. */
void fold_constants(plan *w) {
    ad_program *p = w->p;
    for (int64_t k = 0; k < p->n; k++) {
        instr *i = &p->code[k];
        const ad_call *c = &i->call;
        if (!is_pure(w, i)) continue;
        bool fits = true;
        for (int n = 0; n < c->nin && fits; n++)
            fits = !c->in[n] || is_number(plan_value(w, c->in[n]->storage));
        for (int o = 0; o < c->nout && fits; o++)
            fits = plan_value(w, c->out[o]->storage)->internal &&
                   c->out[o]->storage->nbytes <= MOST_CONSTANT_BYTES;
        if (!fits) continue;
        i->dead = true;
        for (int o = 0; o < c->nout; o++) {
            value *v = plan_value(w, c->out[o]->storage);
            v->constant = true;
            v->internal = false;
        }
    }
}

/* ---- calls that repeat others ---- */

static bool same_operand(const plan *w, const ad_tensor *a, const ad_tensor *b) {
    if (!a || !b) return a == b;
    if (a->dtype != b->dtype || a->ndim != b->ndim || a->flags != b->flags || !tensor_same_sizes(a, b))
        return false;
    if (a->storage == b->storage)
        return a->offset == b->offset && dims_equal(a->ndim, a->strides, b->ndim, b->strides);
    if (a->numel != 1) return false;
    const value *u = plan_value(w, a->storage), *v = plan_value(w, b->storage);
    return is_number(u) && is_number(v) && !memcmp(tensor_data(a), tensor_data(b), dtype_size[a->dtype]);
}

static bool same_attributes(const ad_attr *a, const ad_attr *b) {
    return !memcmp(a->i, b->i, sizeof a->i) && !memcmp(a->f, b->f, sizeof a->f) && a->nlist == b->nlist &&
           (!a->nlist || !memcmp(a->list, b->list, (size_t)a->nlist * sizeof *a->list));
}

static size_t hash_call(const ad_call *c) {
    size_t h = (size_t)(c->op - ad_ops) * 31 + (size_t)c->nin;
    for (int n = 0; n < c->nin; n++)
        if (c->in[n] && c->in[n]->numel != 1) h = h * 1000003 + ((uintptr_t)c->in[n]->storage >> 6);
    return h;
}

/* Whether some call from `from` to `to` writes an operand of c. */
static bool written_between(const ad_program *p, const ad_call *c, int64_t from, int64_t to) {
    for (int64_t k = from; k < to; k++) {
        const ad_call *d = &p->code[k].call;
        if (p->code[k].dead) continue;
        int n = d->nout + (d->op->flags & AD_OP_INPLACE ? d->nin : 0);
        for (int o = 0; o < n; o++) {
            const ad_tensor *t = o < d->nout ? d->out[o] : d->in[o - d->nout];
            for (int i = 0; i < c->nin && t; i++)
                if (c->in[i] && c->in[i]->storage == t->storage) return true;
        }
    }
    return false;
}

static bool repeats(const plan *w, int64_t a, int64_t b) {
    const ad_program *p = w->p;
    const instr *x = &p->code[a], *y = &p->code[b];
    if (x->call.op != y->call.op || x->call.nin != y->call.nin || x->call.nout != y->call.nout ||
        !same_attributes(&x->at, &y->at) || (p->has_split && a < p->split && b >= p->split))
        return false;
    for (int n = 0; n < x->call.nin; n++)
        if (!same_operand(w, x->call.in[n], y->call.in[n])) return false;
    for (int o = 0; o < x->call.nout; o++) {
        const ad_tensor *s = x->call.out[o], *t = y->call.out[o];
        if (s->storage->nbytes != t->storage->nbytes || s->offset || t->offset ||
            !dims_equal(s->ndim, s->strides, t->ndim, t->strides) || !plan_value(w, t->storage)->internal)
            return false;
    }
    return !written_between(p, &y->call, a + 1, b);
}

/* Later calls read what the first of them computed. */
int share_calls(plan *w) {
    ad_program *p = w->p;
    size_t size = 64;
    while (size < 2 * (size_t)p->n) size *= 2;
    int64_t *heads = mem_alloc(size * sizeof *heads), *next = mem_alloc((size_t)(p->n + 1) * sizeof *next);
    int status = heads && next ? 0 : -1;
    for (size_t k = 0; k < size && !status; k++) heads[k] = -1;
    for (int64_t b = 0; b < p->n && !status; b++) {
        if (!is_pure(w, &p->code[b])) continue;
        size_t slot = hash_call(&p->code[b].call) & (size - 1);
        int64_t a = heads[slot];
        while (a >= 0 && !repeats(w, a, b)) a = next[a];
        if (a < 0) {
            next[b] = heads[slot];
            heads[slot] = b;
            continue;
        }
        p->code[b].dead = true;
        for (int o = 0; o < p->code[b].call.nout; o++) {
            ad_storage *from = p->code[b].call.out[o]->storage, *to = p->code[a].call.out[o]->storage;
            value *v = plan_value(w, to);
            for (int64_t k = b + 1; k < p->n; k++) {
                ad_call *c = &p->code[k].call;
                for (int i = 0; i < c->nin; i++)
                    if (c->in[i] && c->in[i]->storage == from) {
                        plan_move(c->in[i], to);
                        v->last = k > v->last ? k : v->last;
                    }
            }
        }
    }
    if (heads) mem_free(heads, size * sizeof *heads);
    if (next) mem_free(next, (size_t)(p->n + 1) * sizeof *next);
    return status;
}
