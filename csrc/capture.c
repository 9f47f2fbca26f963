/* Capture: a step is recorded call by call, and handed to the planner when it ends. */
#include <stdio.h>
#include <string.h>
#include "fuse.h"
#include "generator.h"
#include "joint.h"
#include "lanes.h"
#include "reach.h"

/* ---- growing arrays ---- */

static void *grown(void *old, int64_t n, int64_t *cap, size_t size) {
    if (n < *cap) return old;
    int64_t want = *cap ? 2 * *cap : 32;
    void *p = mem_alloc((size_t)want * size);
    if (!p) return NULL;
    if (*cap) {
        memcpy(p, old, (size_t)n * size);
        mem_free(old, (size_t)*cap * size);
    }
    *cap = want;
    return p;
}

/* ---- recording ---- */

static void alias_drop(ad_tensor *t) {
    if (!t) return;
    t->storage->pinned--;
    tensor_unref(t);
}

static ad_tensor *alias_keep(ad_tensor *t) {
    if (!t) return NULL;
    ad_tensor *a = tensor_alias(t, t->ndim, t->sizes, t->strides, t->offset);
    if (!a) return NULL;
    a->dtype = t->dtype;
    a->flags = t->flags & AD_T_WRAPPED;
    a->storage->pinned++;
    return a;
}

static void instr_free(instr *i) {
    ad_call *c = &i->call;
    for (int k = 0; k < c->nin; k++) alias_drop(c->in[k]);
    for (int k = 0; k < c->nout; k++) alias_drop(c->out[k]);
    mem_free(c->in, (size_t)(c->nin + c->nout + 1) * sizeof *c->in);
    fused_code *code = fused_code_of(i);
    if (code) fused_free(code);
    if (i->at.list) mem_free((void *)i->at.list, (size_t)i->at.nlist * sizeof(int64_t));
    if (c->op->flags & AD_OP_RANDOM) generator_drop(&i->at);
}

static int append(ad_program *p, const ad_call *c, const ad_op *op, int nin, ad_tensor **in, int nout,
                  ad_tensor **out) {
    instr *code = grown(p->code, p->n, &p->cap, sizeof *code);
    if (!code) return -1;
    p->code = code;
    instr *i = &code[p->n];
    memset(i, 0, sizeof *i);
    ad_tensor **room = mem_alloc((size_t)(nin + nout + 1) * sizeof *room);
    if (!room) return -1;
    i->call =
        (ad_call){.op = op, .nin = nin, .nout = nout, .in = room, .out = room + nin, .inplace = c->inplace};
    memset(room, 0, (size_t)(nin + nout + 1) * sizeof *room);
    i->at = *c->at;
    i->at.list = NULL;
    if (op->flags & AD_OP_RANDOM) generator_keep(&i->at);
    if (c->at->nlist && c->at->list) {
        int64_t *list = mem_alloc((size_t)c->at->nlist * sizeof *list);
        if (!list) {
            instr_free(i);
            return -1;
        }
        dims_copy(list, c->at->list, c->at->nlist);
        i->at.list = list;
    }
    for (int k = 0; k < nin; k++)
        if (in[k] && !(room[k] = alias_keep(in[k]))) goto fail;
    for (int k = 0; k < nout; k++)
        if (!(room[nin + k] = alias_keep(out[k]))) goto fail;
    p->n++;
    return 0;
fail:
    instr_free(i);
    return -1;
}

int program_rewrite(instr *i, const ad_op *op, int nin, int nout, ad_tensor **room) {
    int n = nin + nout, made = 0;
    while (made < n && (room[made] = alias_keep(room[made]))) made++;
    if (made < n) {
        while (made) alias_drop(room[--made]);
        mem_free(room, (size_t)(n + 1) * sizeof *room);
        return -1;
    }
    instr_free(i);
    i->call = (ad_call){.op = op, .nin = nin, .nout = nout, .in = room, .out = room + nin};
    i->at = (ad_attr){.nlist = 0};
    return 0;
}

static _Thread_local char refused[160]; /* what ended a lenient recording */

int program_append(ad_call *c) {
    ad_program *p = tls.capture;
    for (int k = 0; k < c->nout; k++)
        if (!c->out[k]->storage->recorded) c->out[k]->storage->born = 0;
    for (int k = 0; k < c->nin && c->op->flags & AD_OP_INPLACE; k++)
        if (c->in[k] && !c->in[k]->storage->recorded) c->in[k]->storage->born = 0;
    for (int k = 0; k < c->nout; k++) {
        ad_storage *s = c->out[k]->storage;
        bool fresh = !c->inplace && s->block;
        for (int i = 0; i < c->nin && fresh; i++) fresh = !c->in[i] || c->in[i]->storage != s;
        if (!fresh) continue;
        s->recorded = true;
        s->born = tls.capture_id;
    }
    /* A row that updates a copy of its first operand is two steps: the copy, then the update in place. */
    if ((c->op->flags & AD_OP_SELF) && !c->inplace && append(p, c, &ad_ops[OP_clone], 1, c->in, 1, c->out))
        return -1;
    return append(p, c, c->op, c->nin, c->in, c->nout, c->out);
}

/* An error; or, when a step may run without being recorded, the end of the recording and 0. */
int program_refuse(const char *what) {
    if (tls.capture->lenient) {
        snprintf(refused, sizeof refused, "%s", what);
        if (graph_callbacks.refused) graph_callbacks.refused();
        ad_capture_abort();
        return 0;
    }
    return ad_fail(AD_ERR_CAPTURE, "%s cannot be part of a captured step", what);
}
int program_refuse_size(const char *op) {
    char text[96];
    snprintf(text, sizeof text, "%s, whose result's size depends on the data,", op);
    return program_refuse(text);
}
const char *ad_capture_refused(void) { return refused; }

int program_touch_grad(ad_tensor *t, bool discards) {
    ad_program *p = tls.capture;
    if (!p) return 0;
    for (int64_t k = 0; k < p->neffects; k++)
        if (p->effects[k].leaf == t) return 0;
    grad_effect *e = grown(p->effects, p->neffects, &p->effects_cap, sizeof *e);
    if (!e) return -1;
    p->effects = e;
    e[p->neffects++] =
        (grad_effect){.leaf = tensor_ref(t), .entry = discards ? ANY_GRAD : grad_hold(t->grad)};
    return 0;
}

/* t.data = src. From here on the step finds t where src is, and so will a replay. But what came before reads
 * t where it was: a replay begins with a copy to there. */
int program_set_data(ad_tensor *t, ad_tensor *src) {
    ad_program *p = tls.capture;
    if (t->dtype != src->dtype || !tensor_same_sizes(t, src) || tensor_self_overlaps(t) || t->batch ||
        src->batch || src->storage->backing || t->storage->backing || p->has_split)
        return 0;
    for (int64_t k = 0; k < p->nlaid; k++)
        if (p->laid[k].t == t) return 1;
    laid_elsewhere *l = grown(p->laid, p->nlaid, &p->laid_cap, sizeof *l);
    if (!l) return -1;
    p->laid = l;
    l[p->nlaid] = (laid_elsewhere){.t = t, .before = alias_keep(t)};
    if (!l[p->nlaid].before) return -1;
    tensor_ref(t);
    p->nlaid++;
    return 1;
}

static int end_of_laid(ad_program *p) {
    for (int64_t k = 0; k < p->nlaid; k++) {
        laid_elsewhere *l = &p->laid[k];
        if (l->t->storage->backing || l->t->dtype != l->before->dtype || !tensor_same_sizes(l->t, l->before))
            return ad_fail(AD_ERR_CAPTURE, "pointing a tensor at an argument's memory");
        if (storage_users(l->before->storage) > 0) /* who else looks there would see the copies */
            return ad_fail(AD_ERR_CAPTURE, "pointing a tensor elsewhere whose memory is shared");
        if (!(l->now = alias_keep(l->t))) return -1;
    }
    return 0;
}

void program_free(ad_program *p) {
    for (int64_t k = 0; k < p->nlaid; k++) {
        tensor_unref(p->laid[k].t);
        alias_drop(p->laid[k].before);
        alias_drop(p->laid[k].now);
    }
    if (p->laid) mem_free(p->laid, (size_t)p->laid_cap * sizeof *p->laid);
    for (int64_t k = 0; k < p->n; k++) instr_free(&p->code[k]);
    for (int64_t k = 0; k < p->neffects; k++) {
        tensor_unref(p->effects[k].leaf);
        grad_drop(p->effects[k].entry);
        grad_drop(p->effects[k].exit);
    }
    if (p->bound) {
        for (int64_t k = 0; k < p->nargs; k++)
            if (p->bound[k]) storage_release(p->bound[k]);
        mem_free(p->bound, (size_t)(p->nargs + 1) * sizeof *p->bound);
    }
    for (int64_t k = 0; k < p->nargs; k++) tensor_unref(p->args[k]);
    for (int64_t k = 0; k < p->nouts; k++) {
        tensor_unref(p->outs[k]);
        if (p->made) tensor_unref(p->made[k]);
    }
    for (int64_t k = 0; k < p->nchecks; k++) {
        if (!p->checks[k].s) continue; /* an argument */
        p->checks[k].s->pinned--;
        storage_release(p->checks[k].s);
    }
    for (int64_t k = 0; k < p->nwritten; k++) {
        p->written[k]->pinned--;
        storage_release(p->written[k]);
    }
    for (int64_t k = 0; k < p->nwatched; k++) {
        p->watched[k].s->pinned--;
        storage_release(p->watched[k].s);
    }
    if (p->watched) mem_free(p->watched, (size_t)p->watched_cap * sizeof *p->watched);
    joint_free(p);
    layout_free(p);
    lanes_free(p);
    if (p->cap) mem_free(p->code, (size_t)p->cap * sizeof *p->code);
    if (p->effects_cap) mem_free(p->effects, (size_t)p->effects_cap * sizeof *p->effects);
    if (p->args_cap) mem_free(p->args, (size_t)p->args_cap * sizeof *p->args);
    if (p->outs) mem_free(p->outs, (size_t)p->outs_cap * sizeof *p->outs);
    if (p->places) mem_free(p->places, (size_t)(p->nouts + 1) * sizeof *p->places);
    if (p->made) mem_free(p->made, (size_t)(p->nouts + 1) * sizeof *p->made);
    if (p->checks) mem_free(p->checks, (size_t)p->checks_cap * sizeof *p->checks);
    if (p->written) mem_free(p->written, (size_t)p->written_cap * sizeof *p->written);
    if (p->arena) mem_free(p->arena, p->arena_bytes);
    if (p->scratch) mem_free(p->scratch, p->scratch_bytes);
    mem_free(p, sizeof *p);
}

int ad_capture_begin(int lenient) {
    if (tls.capture) return ad_fail(AD_ERR_CAPTURE, "a captured step cannot capture another one");
    ad_program *p = mem_alloc(sizeof *p);
    if (!p) return -1;
    memset(p, 0, sizeof *p);
    static _Atomic uint32_t recordings;
    p->lenient = lenient;
    p->refs = 1;
    refused[0] = 0;
    p->first_node = graph_mark();
    p->mode = program_mode();
    while (!(p->id = atomic_fetch_add(&recordings, 1) + 1)) {}
    tls.capture = p;
    tls.capture_id = p->id;
    return 0;
}

/* A stand-in for an argument: the same memory under a storage of its own, which a replay points elsewhere. */
ad_handle ad_capture_arg(ad_handle h) {
    ad_program *p = tls.capture;
    ad_tensor *t = (ad_tensor *)h, **args = grown(p->args, p->nargs, &p->args_cap, sizeof *args);
    if (!args) return 0;
    p->args = args;
    ad_storage *s = storage_new(0);
    if (!s) return 0;
    ad_tensor *a = tensor_alias(t, t->ndim, t->sizes, t->strides, t->offset);
    if (!a) {
        storage_release(s);
        return 0;
    }
    s->born = 0;
    s->data = t->storage->data;
    s->nbytes = t->storage->nbytes;
    s->readonly = t->storage->readonly;
    /* a stand-in may outlive the recording */
    s->backing = t->storage->backing ? t->storage->backing : t->storage;
    atomic_fetch_add(&s->backing->refs, 1);
    storage_release(a->storage);
    a->storage = s;
    args[p->nargs++] = tensor_ref(a);
    return (ad_handle)a;
}

/* Writes to stand-ins are writes to the arguments. */
static void pass_versions(const ad_program *p) {
    if (p->has_split) return; /* done then */
    for (int64_t k = 0; k < p->nargs; k++) {
        ad_storage *s = p->args[k]->storage;
        atomic_fetch_add(&s->backing->version, atomic_load(&s->version));
    }
}

static void rebase(ad_tensor *t, const ad_storage *from, ad_storage *to) {
    if (!t || t->storage != from) return;
    t->storage->pinned--;
    storage_release(t->storage);
    atomic_fetch_add(&to->refs, 1);
    to->pinned++;
    t->storage = to;
}

/* Whoever kept a stand-in keeps what it was: the program goes on with storages of its own, which replays
 * point at other memory. */
static int part_from_stand_ins(ad_program *p) {
    for (int64_t a = 0; a < p->nargs; a++) {
        ad_storage *old = p->args[a]->storage, *now = storage_new(0);
        if (!now) return -1;
        now->data = old->data;
        now->nbytes = old->nbytes;
        now->readonly = old->readonly;
        for (int64_t k = 0; k < p->n; k++) {
            const ad_call *c = &p->code[k].call;
            for (int i = 0; i < c->nin; i++) rebase(c->in[i], old, now);
            for (int o = 0; o < c->nout; o++) rebase(c->out[o], old, now);
        }
        for (int64_t k = 0; k < p->nwritten; k++)
            if (p->written[k] == old) {
                old->pinned--;
                storage_release(old);
                atomic_fetch_add(&now->refs, 1);
                now->pinned++;
                p->written[k] = now;
            }
        ad_tensor *t = p->args[a];
        ad_tensor *mine = tensor_alias(t, t->ndim, t->sizes, t->strides, t->offset);
        if (!mine) {
            storage_release(now);
            return -1;
        }
        if (tensor_wants_grad(t)) mine->flags |= AD_T_REQUIRES_GRAD;
        storage_release(mine->storage);
        mine->storage = now;
        for (int64_t k = 0; k < p->nouts; k++)
            if (p->outs[k]->storage == old) {
                storage_release(old);
                atomic_fetch_add(&now->refs, 1);
                p->outs[k]->storage = now;
            }
        p->args[a] = mine;
        tensor_unref(t);
    }
    return 0;
}

void ad_capture_abort(void) {
    if (!tls.capture) return;
    pass_versions(tls.capture);
    program_free(tls.capture);
    tls.capture = NULL;
    tls.capture_id = 0;
}

/* Whether a tensor holds what Python gave it during this recording: a replay would find the same. */
int ad_capture_constant(ad_handle h) {
    const ad_storage *s = ((ad_tensor *)h)->storage;
    return tls.capture_id && s->born == tls.capture_id && !s->recorded;
}

/* A tensor made of Python's data, in a step that may go on to write to it: each replay starts from a copy.
 * Takes the reference and gives one. */
ad_handle ad_capture_fresh(ad_handle h) {
    ad_tensor *t = (ad_tensor *)h;
    if (!tls.capture || !t) return h;
    ad_tensor *copy = ad_apply1(OP_clone, 1, &t, NULL);
    if (copy && tls.capture) {
        copy->storage->recorded = false;
        copy->storage->born = tls.capture_id;
    }
    tensor_unref(t);
    return (ad_handle)copy;
}

/* The number of the recorded call that updated parameters last. */
int64_t ad_capture_position(void) {
    int64_t k = tls.capture ? tls.capture->n - 1 : -1;
    while (k >= 0 && !(tls.capture->code[k].call.op->flags & AD_OP_INPLACE)) k--;
    return k;
}
int ad_capture_made(ad_handle h) {
    const ad_program *p = tls.capture;
    const ad_storage *s = ((ad_tensor *)h)->storage;
    for (int64_t k = p ? p->n - 1 : -1; k >= 0; k--)
        for (int o = 0; o < p->code[k].call.nout; o++)
            if (p->code[k].call.out[o]->storage == s) return 1;
    return 0;
}
int ad_capturing(void) { return tls.capture != NULL; }

/* Whether t has a history that no backward pass has been through: if one has, none can go through it again.
 */
int ad_capture_open(ad_handle h) {
    ad_tensor *t = (ad_tensor *)h;
    if (!t->node) return 0;
    ad_node **list = NULL;
    int64_t cap = 0, count = 0;
    reach seen = {0};
    ad_handle root = (ad_handle)t;
    bool found = false;
    if (!reach_collect(&root, 1, &seen, &list, &cap, &count))
        for (int64_t k = 0; k < count && !found; k++) found = atomic_load(&list[k]->released);
    if (list) mem_free(list, (size_t)cap * sizeof *list);
    reach_free(&seen);
    return !found;
}

static bool touches(const ad_program *p, const ad_storage *s) {
    for (int64_t k = 0; k < p->n; k++) {
        const ad_call *c = &p->code[k].call;
        for (int i = 0; i < c->nin; i++)
            if (c->in[i] && c->in[i]->storage == s) return true;
        for (int o = 0; o < c->nout; o++)
            if (c->out[o]->storage == s) return true;
    }
    return false;
}

/* What a replay need not find as it was. Leaves that the step itself made, and nobody else holds, are gone
 * with it, and their gradients. Gradients that the step looked at and then dropped may be others. */
static void loosen(ad_program *p) {
    int64_t kept = 0;
    for (int64_t k = 0; k < p->neffects; k++) {
        grad_effect e = p->effects[k];
        if (atomic_load(&e.leaf->refs) > 1) {
            p->effects[kept++] = e;
            continue;
        }
        grad_drop(e.entry);
        tensor_unref(e.leaf);
    }
    p->neffects = kept;
    for (int64_t k = 0; k < p->neffects; k++) {
        grad_effect *e = &p->effects[k];
        if (e->entry && e->entry != ANY_GRAD && e->leaf->grad != e->entry && !touches(p, e->entry->storage)) {
            grad_drop(e->entry);
            e->entry = SOME_GRAD;
        } else if (e->entry && e->entry != ANY_GRAD && e->leaf->grad != e->entry &&
                   grad_is_alone(e->entry, 0))
            e->copied = true;
    }
}

static int add_outputs(ad_program *p, const ad_handle *outs, int64_t n) {
    for (int64_t k = 0; k < n; k++) {
        ad_tensor *t = (ad_tensor *)outs[k], **room = grown(p->outs, p->nouts, &p->outs_cap, sizeof *room);
        if (!room) return -1;
        p->outs = room;
        if (!(room[p->nouts] = tensor_alias(t, t->ndim, t->sizes, t->strides, t->offset))) return -1;
        p->nouts++;
    }
    return 0;
}

/* ---- a function whose results are differentiated later: the backward pass is recorded when it comes ---- */

/* Ends the first part, which returns `outs`, and lets the thread go on without recording. Returns the
 * recording, for ad_capture_resume(), or 0 when it cannot have a second part. */
intptr_t ad_capture_suspend(const ad_handle *outs, int64_t n) {
    ad_program *p = tls.capture;
    if (!p->has_split) {
        if (p->neffects)
            return ad_fail(AD_ERR_CAPTURE, "a step that sets gradients returns a tensor with its graph"), 0;
        if (add_outputs(p, outs, n)) return 0;
        pass_versions(p);
        p->split = p->n;
        p->has_split = true;
        p->nouts_forward = p->nouts;
        p->nargs_forward = p->nargs;
    }
    tls.capture = NULL;
    tls.capture_id = 0;
    return (intptr_t)p;
}

int ad_capture_resume(intptr_t h) {
    if (tls.capture) return ad_fail(AD_ERR_CAPTURE, "a captured step cannot capture another one");
    tls.capture = (ad_program *)h;
    tls.capture_id = tls.capture->id;
    return 0;
}

/* From here on nodes are the recording's own; those before are of the stand-ins. */
void ad_capture_nodes(void) { tls.capture->first_node = graph_mark(); }

/* The leaves that want gradients in the histories of the roots: new references in `out`. The histories end at
 * the n stand-ins. Returns how many leaves there are, or -1 when there is no room, or when a history goes
 * back to before the recording in another way. */
int64_t ad_capture_leaves(const ad_handle *roots, int64_t nroots, const ad_handle *stand_ins, int64_t n,
                          ad_handle *out, int64_t room) {
    ad_node **list = NULL;
    int64_t cap = 0, count = 0, found = 0;
    reach seen = {0}, known = {0};
    bool fresh, fine = true;
    for (int64_t k = 0; k < n && fine; k++) { /* the walk does not go through these */
        ad_node *one = graph_node_of((ad_tensor *)stand_ins[k]);
        if (one && reach_put(&seen, one, &fresh) < 0) fine = false;
    }
    fine = fine && !reach_collect(roots, nroots, &seen, &list, &cap, &count);
    for (int64_t k = 0; k < count && fine; k++) {
        fine = list[k]->seq >= tls.capture->first_node;
        for (int i = 0; i < list[k]->nin && fine; i++) {
            ad_tensor *leaf = list[k]->edges[i].leaf;
            if (!leaf) continue;
            if (reach_put(&known, leaf, &fresh) < 0 || found == room) fine = false;
            else if (fresh) out[found++] = (ad_handle)tensor_ref(leaf);
        }
    }
    if (list) mem_free(list, (size_t)cap * sizeof *list);
    reach_free(&seen);
    reach_free(&known);
    while (!fine && found) tensor_unref((ad_tensor *)out[--found]);
    return fine ? found : -1;
}

/* Ends the recording. `outs` are the tensors that the step returned, or the gradients that its second part
 * did. Returns the program, or 0. */
intptr_t ad_capture_end(const ad_handle *outs, int64_t n) {
    ad_program *p = tls.capture;
    if (!p) return ad_fail(AD_ERR_CAPTURE, "no capture is under way"), 0;
    tls.capture = NULL;
    tls.capture_id = 0;
    pass_versions(p);
    if (add_outputs(p, outs, n)) goto fail;
    p->held = n;
    if (end_of_laid(p)) goto fail;
    if (p->has_split && p->neffects) {
        ad_fail(AD_ERR_CAPTURE, "a hook sets a gradient");
        goto fail;
    }
    loosen(p);
    for (int64_t k = 0; k < p->neffects; k++) {
        for (int64_t a = 0; a < p->nargs; a++)
            if (p->args[a]->storage->backing == p->effects[k].leaf->storage &&
                tensor_wants_grad(p->args[a])) {
                ad_fail(AD_ERR_CAPTURE, "an argument that requires grad gets its gradient inside the step");
                goto fail;
            }
        ad_tensor *g = p->effects[k].exit = grad_hold(p->effects[k].leaf->grad);
        if (g && g->storage->backing) {
            ad_fail(AD_ERR_CAPTURE,
                    "the captured step leaves an argument as a gradient: assign a clone() of it");
            goto fail;
        }
    }
    p->recorded = p->n;
    if (plan_program(p) || part_from_stand_ins(p)) goto fail;
    return (intptr_t)p;
fail:
    program_free(p);
    return 0;
}
