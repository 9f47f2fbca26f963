/* The tape: nodes that record what was computed, in-place writes and views, hooks, and their release.
 * The backward walk is in backward.c. */
#include <stdio.h>
#include <string.h>
#include "program.h"

ad_callbacks graph_callbacks;
ad_lock hook_lock;
static _Atomic uint64_t next_seq = 1;

/* ---- nodes ---- */

void saved_release(ad_node *n) {
    atomic_store_explicit(&n->released, 1, memory_order_relaxed);
    for (int k = 0; k < n->nsaved; k++) {
        tensor_unref(n->saved[k].t);
        n->saved[k].t = NULL;
    }
}

/* Node memory is one block: struct, edges, saved, metas, sizes, attribute list. */
ad_node *node_new(const ad_op *op, int nin, int nout, int nsaved, int64_t nsizes, const ad_attr *at) {
    size_t list = at && at->nlist > 0 ? (size_t)at->nlist * sizeof(int64_t) : 0;
    size_t block = sizeof(ad_node) + (size_t)nin * (sizeof(ad_edge) + sizeof(ad_meta)) +
                   (size_t)nout * sizeof(ad_meta) + (size_t)nsaved * sizeof(ad_saved) +
                   (size_t)nsizes * sizeof(int64_t) + list;
    ad_node *n = mem_alloc_kind(block, MEM_NODE);
    if (!n) return NULL;
    atomic_init(&n->refs, 1);
    atomic_init(&n->released, 0);
    atomic_init(&n->lock, 0);
    n->op = op;
    n->seq = 0;
    n->nin = nin;
    n->nout = nout;
    n->nsaved = nsaved;
    n->block = block;
    n->hooks = NULL;
    n->key = 0;
    n->title = NULL;
    char *p = (char *)(n + 1);
    n->edges = (ad_edge *)p;
    p += (size_t)nin * sizeof(ad_edge);
    n->saved = (ad_saved *)p;
    p += (size_t)nsaved * sizeof(ad_saved);
    n->min = (ad_meta *)p;
    p += (size_t)nin * sizeof(ad_meta);
    n->mout = (ad_meta *)p;
    p += (size_t)nout * sizeof(ad_meta);
    if (at) {
        n->at = *at;
        n->at.list = (int64_t *)(p + (size_t)nsizes * sizeof(int64_t));
        if (list) memcpy((int64_t *)n->at.list, at->list, list);
    } else memset(&n->at, 0, sizeof n->at);
    return n;
}

/* The backward walk goes by these numbers. Making an edge can make a node (that of a view whose base was
 * written since), so a node takes its own number after its edges are made. */
void node_stamp(ad_node *n) { n->seq = atomic_fetch_add_explicit(&next_seq, 1, memory_order_relaxed); }

int64_t *meta_set(ad_meta *m, int64_t *room, const ad_tensor *t) {
    m->dtype = t->dtype;
    m->ndim = t->ndim;
    m->sizes = room;
    memcpy(room, t->sizes, (size_t)t->ndim * sizeof *room);
    return room + t->ndim;
}

void hooks_free(ad_hook *h) {
    while (h) {
        ad_hook *next = h->next;
        if (h->key && graph_callbacks.drop) graph_callbacks.drop(h->key);
        mem_free(h, sizeof *h);
        h = next;
    }
}

/* Long graphs are released by a loop: a node whose last reference goes is queued on the thread. */
static _Thread_local ad_node *doomed;
static _Thread_local bool draining;

void node_unref(ad_node *n) {
    if (!n || atomic_fetch_sub_explicit(&n->refs, 1, memory_order_acq_rel) != 1) return;
    n->seq = (uint64_t)(uintptr_t)doomed; /* no longer an order: the link of the queue */
    doomed = n;
    if (draining) return;
    draining = true;
    while (doomed) {
        n = doomed;
        doomed = (ad_node *)(uintptr_t)n->seq;
        hooks_free(n->hooks);
        saved_release(n);
        for (int i = 0; i < n->nin; i++) {
            node_unref(n->edges[i].node);
            tensor_unref(n->edges[i].leaf);
        }
        if (n->key && graph_callbacks.drop) graph_callbacks.drop(n->key);
        mem_free_kind(n, n->block, MEM_NODE);
    }
    draining = false;
}

/* ---- recording ---- */

static bool differentiable(const ad_tensor *t) {
    return t && dtype_is_float(t->dtype) && tensor_wants_grad(t);
}

void edge_set(ad_edge *e, ad_tensor *t) {
    e->node = NULL;
    e->leaf = NULL;
    e->nr = 0;
    if (!differentiable(t)) return;
    ad_node *n = graph_node_of(t);
    if (n) {
        e->node = node_ref(n);
        e->nr = t->out_nr;
    } else e->leaf = tensor_ref(t);
}

/* A tensor that a node keeps must not come to keep that node, as it would when it is written in place later
 * (h += w * h). So an alias is kept; that of an input keeps what computed it. */
static ad_tensor *saved_alias(ad_tensor *t, bool with_history) {
    ad_tensor *a = tensor_alias(t, t->ndim, t->sizes, t->strides, t->offset);
    if (!a) return NULL;
    if (with_history) {
        a->node = node_ref(t->node);
        a->out_nr = t->out_nr;
        a->flags |= t->flags & AD_T_REQUIRES_GRAD;
    }
    return a;
}

int saved_set(ad_node *n, int k, ad_tensor *t, int slot, uint32_t version, bool alias, bool history) {
    if (AD_UNLIKELY(t->flags & AD_T_INFERENCE) && !tls.inference)
        return ad_fail(AD_ERR_RUNTIME,
                       "Inference tensors cannot be saved for backward. To work around you can make a "
                       "clone to get a normal tensor and use it in autograd.");
    n->saved[k].t = alias ? saved_alias(t, history) : tensor_ref(t);
    n->saved[k].version = version;
    n->saved[k].slot = slot;
    return n->saved[k].t ? 0 : -1;
}

static bool any_wants(const ad_call *c) {
    for (int i = 0; i < c->nin; i++)
        if (differentiable(c->in[i])) return true;
    return false;
}

static uint32_t saves_of(const ad_call *c) { return c->op->flags & AD_OP_EW ? ew_saves(c) : c->op->saves; }

bool graph_keeps_target(const ad_call *c) {
    if (tls.no_grad || (c->op->flags & AD_OP_NONDIFF) || !any_wants(c)) return false;
    uint32_t saves = saves_of(c);
    for (int i = 0; i < c->nin && i < 16; i++)
        if (saves & 1u << i && c->in[i] == c->in[0]) return true;
    return false;
}

/* Builds the node of a call. In place, in[0] has been overwritten: what is saved is the copy from before. */
static ad_node *node_of_call(ad_call *c) {
    const ad_op *op = c->op;
    uint32_t saves = saves_of(c);
    int64_t nsizes = 0;
    int nsaved = 0;
    for (int i = 0; i < c->nin; i++) {
        nsizes += c->in[i] ? c->in[i]->ndim : 0;
        nsaved += c->in[i] && saves & (i < 16 ? 1u << i : 0);
    }
    for (int k = 0; k < c->nout; k++) {
        nsizes += c->out[k]->ndim;
        nsaved += k < 3 && saves & (unsigned)SY << k;
    }
    ad_node *n = node_new(op, c->nin, c->nout, nsaved, nsizes, c->at);
    if (!n) return NULL;
    int64_t *room = (int64_t *)(n->mout + c->nout);
    int k = 0;
    n->nsaved = 0; /* counts up, so that a failure half-way releases what is there */
    for (int i = 0; i < c->nin; i++) {
        edge_set(&n->edges[i], c->in[i]);
        if (!c->in[i]) {
            memset(&n->min[i], 0, sizeof n->min[i]);
            continue;
        }
        room = meta_set(&n->min[i], room, c->in[i]);
    }
    node_stamp(n);
    for (int o = 0; o < c->nout; o++) room = meta_set(&n->mout[o], room, c->out[o]);
    for (int i = 0; i < c->nin; i++) {
        ad_tensor *t = c->in[i];
        if (!t || !(saves & (i < 16 ? 1u << i : 0))) continue;
        if (c->before && t == c->out[0]) t = c->before;
        uint32_t version = atomic_load_explicit(&t->storage->version, memory_order_relaxed);
        bool overwritten = c->inplace && t->storage == c->out[0]->storage;
        if (overwritten) version--; /* the value that was read is one write ago */
        bool itself = !t->node && (t->flags & AD_T_REQUIRES_GRAD); /* a leaf that will not gain a history */
        if (saved_set(n, k, t, i, version, !itself, true)) goto fail;
        n->nsaved = ++k;
    }
    for (int o = 0; o < c->nout && o < 3; o++) {
        if (!(saves & (unsigned)SY << o)) continue;
        uint32_t version = atomic_load_explicit(&c->out[o]->storage->version, memory_order_relaxed);
        if (saved_set(n, k, c->out[o], 65536 + o, version, true, false)) goto fail;
        n->nsaved = ++k;
    }
    return n;
fail:
    node_unref(n);
    return NULL;
}

int graph_record(ad_call *c) {
    if (!any_wants(c)) return 0;
    if (AD_UNLIKELY(!c->op->vjp)) { /* an operation without a rule: refuse now, not in backward */
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "the derivative of %s is not implemented", c->op->name);
    }
    ad_node *n = node_of_call(c);
    if (!n) return -1;
    bool used = false;
    for (int k = 0; k < c->nout; k++) {
        ad_tensor *t = c->out[k];
        if (!dtype_is_float(t->dtype) || c->spec[k].nondiff) continue;
        if (used) node_ref(n);
        used = true;
        t->node = n;
        t->out_nr = (uint32_t)k;
    }
    if (!used) node_unref(n);
    return 0;
}

/* ---- in place ---- */

static int check_view(const ad_tensor *t) {
    const char *how = NULL;
    if (t->flags & AD_T_CUSTOM_VIEW) {
        char title[64] = "a custom Function";
        if (t->node) node_title(t->node, title, sizeof title);
        return ad_fail(
            AD_ERR_RUNTIME,
            "Output %u of %s is a view and is being modified inplace. This view was created inside a "
            "custom Function (or because an input was returned as-is) and the autograd logic to handle "
            "view+inplace would override the custom backward associated with the custom Function, leading "
            "to incorrect gradients. This behavior is forbidden. You can fix this by cloning the output of "
            "the custom Function.",
            t->out_nr, title);
    }
    if (t->flags & AD_T_MULTI_VIEW) {
        char title[64] = "the function that made it";
        if (t->node) node_title(t->node, title, sizeof title);
        return ad_fail(
            AD_ERR_RUNTIME,
            "Output %u of %s is a view and is being modified inplace. This view is the output of a "
            "function that returns multiple views. Such functions do not allow the output views to be "
            "modified inplace. You should replace the inplace operation by an out-of-place one.",
            t->out_nr, title);
    }
    if (t->flags & AD_T_INFERENCE) return 0;
    if (t->flags & AD_T_NOGRAD_VIEW) how = "no_grad";
    if (!how) return 0;
    return ad_fail(
        AD_ERR_RUNTIME,
        "A view was created in no_grad mode and is being modified inplace with grad mode enabled. Given "
        "that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by "
        "moving both the view and the inplace either both inside the no_grad block (if you don't want the "
        "inplace to be tracked) or both outside (if you want the inplace to be tracked).");
}

int graph_check_inplace(ad_tensor *t, bool wants) {
    if (t->storage->readonly)
        return ad_fail(AD_ERR_RUNTIME,
                       "the tensor's memory is read-only (it came from a read-only array); clone() it first");
    if (t->flags & AD_T_INFERENCE && !tls.inference)
        return ad_fail(AD_ERR_RUNTIME,
                       "Inplace update to inference tensor outside InferenceMode is not allowed. You can "
                       "make a clone to get a normal tensor before doing inplace update.");
    /* A view made under no_grad, or before its base required grad, has no history of its own to tell. */
    bool through = !tls.no_grad && t->base && dtype_is_float(t->dtype) && tensor_wants_grad(t->base);
    if (wants || through) {
        bool own = through || tensor_wants_grad(t);
        if (t->base) {
            if (check_view(t)) return -1;
            if (own && !t->base->node)
                return ad_fail(AD_ERR_RUNTIME,
                               "a view of a leaf Variable that requires grad is being used in an "
                               "in-place operation.");
        }
        if (own && !t->node)
            return ad_fail(AD_ERR_RUNTIME,
                           "a leaf Variable that requires grad is being used in an in-place operation.");
    }
    if (t->numel > 1 && tensor_self_overlaps(t))
        return ad_fail(AD_ERR_RUNTIME,
                       "unsupported operation: more than one element of the written-to tensor refers to a "
                       "single memory location. Please clone() the tensor before performing the "
                       "operation.");
    return 0;
}

bool graph_wants(const ad_call *c) { return !tls.no_grad && any_wants(c); }

static void bump(ad_tensor *t) {
    if (!(t->flags & AD_T_NO_VERSION))
        atomic_fetch_add_explicit(&t->storage->version, 1, memory_order_relaxed);
}

/* A retained gradient is that of the latest history: its hook moves along. */
static void move_retained(ad_tensor *t, ad_node *n, uint32_t nr) {
    if (t->node == n) return;
    ad_hook **p, *moved = NULL;
    lock_take(&hook_lock);
    for (p = &t->node->hooks; *p; p = &(*p)->next)
        if ((*p)->store == t) {
            moved = *p;
            __atomic_store_n(p, moved->next, __ATOMIC_RELEASE);
            break;
        }
    if (moved && n) {
        moved->nr = nr;
        moved->next = n->hooks;
        __atomic_store_n(&n->hooks, moved, __ATOMIC_RELEASE);
    }
    lock_drop(&hook_lock);
    if (!n) {
        t->flags &= (uint16_t)~AD_T_RETAINS_GRAD;
        if (moved) mem_free(moved, sizeof *moved);
    }
}

void graph_set_history(ad_tensor *t, ad_node *n, uint32_t nr) {
    if (AD_UNLIKELY(t->flags & AD_T_RETAINS_GRAD) && t->node) move_retained(t, n, nr);
    node_unref(t->node);
    t->node = n;
    t->out_nr = nr;
    if (n) t->flags &= (uint16_t)~AD_T_REQUIRES_GRAD;
}

/* The attributes of as_strided rows: sizes, strides and offset of the view, then those of the base. */
static int64_t view_list(const ad_tensor *v, const ad_tensor *base, int64_t *list) {
    int64_t n = 0;
    for (int d = 0; d < v->ndim; d++) list[n++] = v->sizes[d];
    for (int d = 0; d < v->ndim; d++) list[n++] = v->strides[d];
    for (int d = 0; d < base->ndim; d++) list[n++] = base->sizes[d];
    for (int d = 0; d < base->ndim; d++) list[n++] = base->strides[d];
    return n;
}

/* A node as if `op` had been applied to `in`, giving a tensor of t's geometry. */
static ad_node *synthetic(int op, int nin, ad_tensor **in, const ad_attr *at, ad_tensor *out) {
    ad_spec spec = {.nondiff = false};
    ad_call c = {.op = &ad_ops[op], .nin = nin, .nout = 1, .in = in, .out = &out, .at = at, .spec = &spec};
    return node_of_call(&c);
}

static ad_attr view_attr(const ad_tensor *v, const ad_tensor *base, int64_t *list) {
    return (ad_attr){
        .i = {v->ndim, v->offset, base->ndim, base->offset}, .list = list, .nlist = view_list(v, base, list)};
}

ad_node *graph_node_of(ad_tensor *t) {
    ad_tensor *base = t->base;
    if (AD_LIKELY(!base || __atomic_load_n(&t->epoch, __ATOMIC_ACQUIRE) == base->epoch) ||
        (t->flags & AD_T_NOGRAD_VIEW))
        return t->node;
    /* The base was written through another view since: read this view out of the base's new history. Two
     * threads that only read may both come here. */
    static ad_lock rebuilding;
    lock_take(&rebuilding);
    if (__atomic_load_n(&t->epoch, __ATOMIC_RELAXED) != base->epoch) {
        int64_t list[4 * AD_MAXDIM];
        ad_attr at = view_attr(t, base, list);
        ad_node *n = base->node ? synthetic(OP_as_strided, 1, &base, &at, t) : NULL;
        if (n) graph_set_history(t, n, 0);
        __atomic_store_n(&t->epoch, base->epoch, __ATOMIC_RELEASE);
    }
    lock_drop(&rebuilding);
    return t->node;
}

int graph_rebase(ad_tensor *t, ad_node *n, uint32_t nr) {
    ad_tensor *base = t->base;
    graph_set_history(t, n, nr);
    if (!base) {
        t->epoch++;
        return 0;
    }
    /* The base becomes what as_strided_scatter(base, t) gives, and the view is read out of that. */
    int64_t list[4 * AD_MAXDIM];
    ad_attr at = view_attr(t, base, list);
    t->epoch = base->epoch; /* the node is of now: edge_set must not rebuild it */
    ad_node *scatter = synthetic(OP_as_strided_scatter, 2, (ad_tensor *[]){base, t}, &at, base);
    if (!scatter) return -1;
    graph_set_history(base, scatter, 0);
    base->epoch++;
    ad_node *read = synthetic(OP_as_strided, 1, &base, &at, t);
    if (!read) return -1;
    graph_set_history(t, read, 0);
    t->epoch = base->epoch;
    return 0;
}

int graph_record_inplace(ad_call *c) {
    ad_tensor *t = c->out[0];
    bump(t);
    bool record = graph_wants(c) && dtype_is_float(t->dtype) && !(c->op->flags & AD_OP_NONDIFF);
    if (!record) {
        /* A constant written over a tensor with history: its gradient stops here. */
        if (tls.no_grad || !(c->op->flags & AD_OP_NONDIFF) || !t->node) return 0;
        return graph_rebase(t, NULL, 0);
    }
    if (!c->op->vjp)
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "the derivative of %s is not implemented", c->op->name);
    ad_node *n = node_of_call(c);
    return n ? graph_rebase(t, n, 0) : -1;
}

/* The in-place form of a view (t_, squeeze_, ...): t is shown the way `view`, a view of t, is. */
int ad_become(ad_handle h, ad_handle view_h) {
    ad_tensor *t = (ad_tensor *)h, *view = (ad_tensor *)view_h;
    if (graph_check_inplace(t, !tls.no_grad && tensor_wants_grad(t))) return -1;
    if (tls.capture && !ad_capture_made(h))
        return program_refuse("the in-place form of a view (t_(), squeeze_(), ...) of a tensor from outside the step");
    if (tensor_set_geometry(t, view->ndim, view->sizes, view->strides)) return -1;
    t->offset = view->offset;
    atomic_fetch_add(&t->storage->moved, 1);
    bump(t);
    if (view->node) graph_set_history(t, node_ref(view->node), view->out_nr);
    return 0;
}

/* ---- hooks ---- */

static void hook_append(ad_hook **end, ad_hook *k) {
    lock_take(&hook_lock);
    while (*end) end = &(*end)->next;
    __atomic_store_n(end, k, __ATOMIC_RELEASE);
    lock_drop(&hook_lock);
}

int ad_add_hook(ad_handle h, int64_t key) {
    ad_tensor *t = (ad_tensor *)h;
    ad_node *n = graph_node_of(t);
    if (!n && !(t->flags & AD_T_REQUIRES_GRAD))
        return ad_fail(AD_ERR_RUNTIME, "cannot register a hook on a tensor that doesn't require gradient");
    ad_hook *k = mem_alloc(sizeof *k), **end = n ? &n->hooks : &t->hooks;
    if (!k) return -1;
    *k = (ad_hook){.key = key, .nr = n ? t->out_nr : 0};
    hook_append(end, k);
    return 0;
}

int ad_remove_hook(ad_handle h, int64_t key) {
    ad_tensor *t = (ad_tensor *)h;
    ad_hook *found = NULL;
    lock_take(&hook_lock);
    for (int pass = 0; pass < 2 && !found; pass++) {
        if (pass == 0 && !t->node) continue;
        for (ad_hook **p = pass == 0 ? &t->node->hooks : &t->hooks; *p; p = &(*p)->next)
            if ((*p)->key == key) {
                found = *p;
                __atomic_store_n(p, found->next, __ATOMIC_RELEASE);
                found->next = NULL;
                break;
            }
    }
    lock_drop(&hook_lock);
    hooks_free(found);
    return 0;
}

int ad_retain_grad(ad_handle h) {
    ad_tensor *t = (ad_tensor *)h;
    ad_node *n = graph_node_of(t);
    if (!n) {
        if (t->flags & AD_T_REQUIRES_GRAD) return 0; /* leaves keep theirs anyway */
        return ad_fail(AD_ERR_RUNTIME, "can't retain_grad on Tensor that has requires_grad=False");
    }
    if (t->flags & AD_T_RETAINS_GRAD) return 0;
    ad_hook *k = mem_alloc(sizeof *k), **end = &n->hooks;
    if (!k) return -1;
    *k = (ad_hook){.store = t, .nr = t->out_nr};
    hook_append(end, k);
    t->flags |= AD_T_RETAINS_GRAD;
    return 0;
}

/* ---- saved tensors ---- */

ad_tensor *saved_get(ad_node *n, int k, bool *borrowed) {
    ad_saved *s = &n->saved[k];
    *borrowed = true;
    if (!s->t)
        return ad_fail_null(AD_ERR_RUNTIME,
                            "Trying to backward through the graph a second time (or directly access saved "
                            "tensors after they have already been freed). Saved intermediate values of the "
                            "graph are freed when you call .backward() or autograd.grad(). Specify "
                            "retain_graph=True if you need to backward through the graph a second time or if "
                            "you need to access saved tensors after calling backward.");
    uint32_t now = atomic_load_explicit(&s->t->storage->version, memory_order_relaxed);
    if (AD_UNLIKELY(now != s->version)) {
        const ad_node *by = s->slot >= 65536 ? n : s->t->node;
        char from[96], title[64];
        node_describe(by, s->slot >= 65536 ? (uint32_t)(s->slot - 65536) : s->t->out_nr, from, sizeof from);
        node_title(n, title, sizeof title);
        return ad_fail_null(
            AD_ERR_RUNTIME,
            "one of the variables needed for gradient computation has been modified by an inplace "
            "operation: [torch.%sTensor %s]%s, is at version %u; expected version %u instead. It was "
            "saved by %s. Hint: enable anomaly detection to find the operation that failed to compute "
            "its gradient, with autograd.set_detect_anomaly(True).",
            dtype_class[s->t->dtype], fmt_sizes(s->t->ndim, s->t->sizes), from, now, s->version, title);
    }
    if (s->slot < 65536 || tls.no_grad) return s->t;
    /* An output, wanted for a gradient of the gradient: a copy of the handle that knows its node. */
    ad_tensor *a = saved_alias(s->t, false);
    if (a) {
        a->node = node_ref(n);
        a->out_nr = (uint32_t)(s->slot - 65536);
        *borrowed = false;
    }
    return a;
}

static ad_tensor *unpack(ad_vjp *v, int slot) {
    ad_node *n = v->node;
    for (int k = 0; k < n->nsaved; k++) {
        if (n->saved[k].slot != slot) continue;
        bool borrowed;
        ad_tensor *t = saved_get(n, k, &borrowed);
        if (!t) v->E.failed = true;
        return borrowed ? t : em_keep(&v->E, t);
    }
    ad_fail(AD_ERR_RUNTIME, "internal: %s reads a tensor that it did not save", n->op->name);
    v->E.failed = true;
    return NULL;
}

ad_tensor *vjp_in(ad_vjp *v, int i) { return v->E.failed ? NULL : unpack(v, i); }
ad_tensor *vjp_out(ad_vjp *v, int k) { return v->E.failed ? NULL : unpack(v, 65536 + k); }

/* ---- a node seen from Python ---- */

void node_title(const ad_node *n, char *out, size_t room) { /* "as_strided" -> "AsStridedBackward0" */
    const char *from = n->op->name;
    if (n->title) {
        snprintf(out, room, "%s", n->title);
        return;
    }
    if (n->op == &ad_ops[OP_copy]) { /* PyTorch's odd one */
        snprintf(out, room, "CopyBackwards");
        return;
    }
    if (n->op == &ad_ops[OP_to]) from = "to_copy";
    if (n->op == &ad_ops[OP_split]) from = n->at.i[1] ? "unbind" : "split";
    if (n->op == &ad_ops[OP_unview] && n->at.i[7] == OP_diagonal) from = "diag_embed";
    size_t k = 0;
    bool up = true;
    for (; *from && k + 1 < room; from++) {
        if (*from == '_') {
            up = true;
            continue;
        }
        out[k++] = up && *from >= 'a' && *from <= 'z' ? (char)(*from - 32) : *from;
        up = false;
    }
    static const char tail[] = "Backward0";
    for (int i = 0; tail[i] && k + 1 < room; i++) out[k++] = tail[i];
    out[k] = 0;
}

void node_describe(const ad_node *n, uint32_t nr, char *out, size_t room) {
    char title[64];
    out[0] = 0;
    if (!n) return;
    node_title(n, title, sizeof title);
    snprintf(out, room, ", which is output %u of %s", nr, title);
}

intptr_t ad_node_of(ad_handle t) { return (intptr_t)node_ref(graph_node_of((ad_tensor *)t)); }
void ad_node_release(intptr_t n) { node_unref((ad_node *)n); }
int64_t ad_node_key(intptr_t n) { return ((ad_node *)n)->key; }
int ad_node_inputs(intptr_t n) { return ((ad_node *)n)->nin; }
const char *ad_node_name(intptr_t n) {
    static _Thread_local char title[64];
    node_title((ad_node *)n, title, sizeof title);
    return title;
}
intptr_t ad_node_next(intptr_t h, int i, ad_handle *leaf, int *nr) {
    ad_node *n = (ad_node *)h;
    if (i < 0 || i >= n->nin) return 0;
    *leaf = (ad_handle)tensor_ref(n->edges[i].leaf);
    *nr = (int)n->edges[i].nr;
    return (intptr_t)node_ref(n->edges[i].node);
}
