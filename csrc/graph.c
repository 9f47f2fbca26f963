/* The tape: nodes that record what was computed, in-place writes and views, hooks, and their release.
 * The backward walk is in backward.c. */
#include <stdio.h>
#include <string.h>
#include "joint.h"

ad_callbacks graph_callbacks;

void graph_drop(int64_t key) {
    if (key && graph_callbacks.drop) graph_callbacks.drop(key);
}
ad_lock hook_lock;
_Atomic int graph_anomaly;
static uint64_t next_seq = 1;

#define SLOT_PACKED (1 << 30) /* `t` is the key of what a hook made of the tensor */

/* ---- nodes ---- */

void saved_release(ad_node *n) {
    atomic_store_explicit(&n->released, 1, memory_order_relaxed);
    for (int k = 0; k < n->nsaved; k++) {
        ad_tensor *t = n->saved[k].t;
        n->saved[k].t = NULL;
        if (AD_UNLIKELY(n->saved[k].slot & SLOT_PACKED)) {
            graph_drop((int64_t)(intptr_t)t);
        } else tensor_unref(t);
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
    n->info = AD_UNLIKELY(atomic_load_explicit(&graph_anomaly, memory_order_relaxed))
                  ? graph_callbacks.trace(tls.blame)
                  : 0;
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
void node_stamp(ad_node *n) { n->seq = next_seq++; }
uint64_t graph_mark(void) { return next_seq++; }

int64_t *meta_set(ad_meta *m, int64_t *room, const ad_tensor *t) {
    m->dtype = t->dtype;
    m->ndim = t->ndim;
    m->batched = t->batch != NULL;
    m->sizes = room;
    memcpy(room, t->sizes, (size_t)t->ndim * sizeof *room);
    return room + t->ndim;
}

void hooks_free(ad_hook *h) {
    while (h) {
        ad_hook *next = h->next;
        graph_drop(h->key);
        mem_free(h, sizeof *h);
        h = next;
    }
}

/* Long graphs are released by a loop: a node whose last reference goes is queued on the thread. */
static _Thread_local ad_node *doomed;
static _Thread_local bool draining;

void node_unref(ad_node *n) {
    if (!n || !count_down(&n->refs)) return;
    n->seq = (uint64_t)(uintptr_t)doomed; /* no longer an order: the link of the queue */
    doomed = n;
    if (draining) return;
    draining = true;
    while (doomed) {
        n = doomed;
        doomed = (ad_node *)(uintptr_t)n->seq;
        hooks_free(n->hooks);
        saved_release(n);
        joint_node_gone(n);
        for (int i = 0; i < n->nin; i++) {
            node_unref(n->edges[i].node);
            tensor_unref(n->edges[i].leaf);
        }
        graph_drop(n->key);
        graph_drop(n->info);
        mem_free_kind(n, n->block, MEM_NODE);
    }
    draining = false;
}

/* ---- recording ---- */

static bool differentiable(const ad_tensor *t) {
    return t && dtype_is_float(t->dtype) && tensor_wants_grad(t);
}

static int check_view(const ad_tensor *t, bool base);

int edge_set(ad_edge *e, ad_tensor *t) {
    e->node = NULL;
    e->leaf = NULL;
    e->nr = 0;
    if (!differentiable(t)) return 0;
    if (AD_UNLIKELY(t->base && t->epoch != t->base->epoch) && t->base->node && check_view(t, true)) return -1;
    ad_node *n = graph_node_of(t);
    if (n) {
        e->node = node_ref(n);
        e->nr = t->out_nr;
    } else e->leaf = tensor_ref(t);
    return 0;
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
    if (AD_UNLIKELY(t->tangents != NULL) && tangents_share(a, t)) {
        tensor_unref(a);
        return NULL;
    }
    return a;
}

int saved_set(ad_node *n, int k, ad_tensor *t, int slot, uint32_t version, bool alias, bool history) {
    if (AD_UNLIKELY(t->flags & AD_T_INFERENCE) && !tls.inference)
        return ad_fail(
            AD_ERR_RUNTIME,
            "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference "
            "mode "
            "in computation tracked by autograd. To work around this, you can make a clone to get a normal "
            "tensor and use it in autograd, or use `no_grad()` instead of `inference_mode()`.");
    n->saved[k].version = version;
    n->saved[k].slot = slot;
    if (AD_UNLIKELY(tls.saved_hooks)) {
        ad_tensor *plain = tensor_alias(t, t->ndim, t->sizes, t->strides, t->offset);
        int64_t key = plain ? graph_callbacks.pack((ad_handle)plain) : 0;
        tensor_unref(plain);
        n->saved[k].t = (ad_tensor *)(intptr_t)key;
        n->saved[k].slot |= SLOT_PACKED;
        return key ? 0 : plain ? ad_fail(AD_ERR_PYTHON, "a pack hook raised") : -1;
    }
    n->saved[k].t = alias ? saved_alias(t, history) : tensor_ref(t);
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
    n->nsaved = 0; /* both count up, so that a failure half-way releases what is there */
    n->nin = 0;
    for (int i = 0; i < c->nin; i++) {
        if (edge_set(&n->edges[i], c->in[i])) goto fail;
        n->nin++;
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
    c->node = n;
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

/* Refuses a view whose history an in-place write cannot update: `base` when it was the base, or another view
 * of it, that was written. */
static int check_view(const ad_tensor *t, bool base) {
    char what[192], title[64];
    snprintf(what, sizeof what, "%s",
             base ? "its base or another view of its base has been modified inplace"
                  : "is being modified inplace");
    if (t->node) node_short_title(t->node, title, sizeof title);
    else snprintf(title, sizeof title, "None");
    bool nograd = t->flags & AD_T_NOGRAD_VIEW, inference = t->flags & AD_T_INFERENCE_VIEW;
    if (!nograd && !inference && t->flags & AD_T_CUSTOM_VIEW)
        return ad_fail(
            AD_ERR_RUNTIME,
            "Output %u of %s is a view and %s. This view was created inside a custom Function (or because an "
            "input was returned as-is) and the autograd logic to handle view+inplace would override the "
            "custom backward associated with the custom Function, leading to incorrect gradients. This "
            "behavior is forbidden. You can fix this by cloning the output of the custom Function.",
            t->out_nr, title, what);
    if (!nograd && !inference && t->flags & AD_T_MULTI_VIEW)
        return ad_fail(
            AD_ERR_RUNTIME,
            "Output %u of %s is a view and %s. This view is the output of a function that returns multiple "
            "views. Such functions do not allow the output views to be modified inplace. You should replace "
            "the inplace operation by an out-of-place one.",
            t->out_nr, title, what);
    if (!nograd && !inference) return 0;
    if (t->flags & AD_T_MULTI_VIEW)
        return ad_fail(
            AD_ERR_RUNTIME,
            "A view was created in %s mode and %s with grad mode enabled. This view is the output of a "
            "function that returns multiple views. Such functions do not allow the output views to be "
            "modified inplace. You should replace the inplace operation by an out-of-place one.",
            inference ? "inference" : "no_grad", what);
    return ad_fail(
        AD_ERR_RUNTIME,
        "A view was created in %s mode and %s %s. Given that this use case is ambiguous and error-prone, it "
        "is forbidden. You can clarify your code by moving both the view and the inplace either both inside "
        "the %s block (if you don't want the inplace to be tracked) or both outside (if you want the inplace "
        "to be tracked).",
        inference ? "inference" : "no_grad", what, inference ? "in normal mode" : "with grad mode enabled",
        inference ? "inference_mode" : "no_grad");
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
            if (check_view(t, false)) return -1;
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

int graph_check_inputs(const ad_call *c) {
    for (int i = 0; i < c->nin; i++) {
        const ad_tensor *t = c->in[i];
        if (t && AD_UNLIKELY(tensor_view_stale(t)) && dtype_is_float(t->dtype) && check_view(t, true))
            return -1;
    }
    return 0;
}

bool graph_wants(const ad_call *c) { return !tls.no_grad && any_wants(c); }

static void bump(ad_tensor *t) {
    ad_storage *s = t->storage;
    if (!(t->flags & AD_T_NO_VERSION)) atomic_fetch_add_explicit(&s->version, 1, memory_order_relaxed);
    else if (atomic_fetch_add_explicit(&s->unseen, 1, memory_order_relaxed) == UINT8_MAX) s->exposed = true;
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
        (t->flags & (AD_T_NOGRAD_VIEW | AD_T_INFERENCE_VIEW | AD_T_CUSTOM_VIEW | AD_T_MULTI_VIEW)))
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
    scatter->title = "CopySlices";
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
    c->node = n;
    return n ? graph_rebase(t, n, 0) : -1;
}

/* The in-place form of a view (t_, squeeze_, ...): t is shown the way `view`, a view of t, is. */
int ad_become(ad_handle h, ad_handle view_h) {
    ad_tensor *t = (ad_tensor *)h, *view = (ad_tensor *)view_h;
    if (graph_check_inplace(t, !tls.no_grad && tensor_wants_grad(t))) return -1;
    if (tls.capture && !ad_capture_made(h) &&
        program_refuse(
            "the in-place form of a view (t_(), squeeze_(), ...) of a tensor from outside the step"))
        return -1;
    if (tensor_set_geometry(t, view->ndim, view->sizes, view->strides)) return -1;
    t->offset = view->offset;
    atomic_fetch_add(&t->storage->moved, 1);
    bump(t);
    if (view->node) graph_set_history(t, node_ref(view->node), view->out_nr);
    tangents_free(t->tangents);
    t->tangents = NULL;
    return tangents_share(t, view);
}

/* ---- hooks ---- */

static void hook_append(ad_hook **end, ad_hook *k) {
    lock_take(&hook_lock);
    while (*end) end = &(*end)->next;
    __atomic_store_n(end, k, __ATOMIC_RELEASE);
    lock_drop(&hook_lock);
}

/* The list that hooks of a kind on a tensor (its present node, or itself) or on a node are in. */
static ad_hook **hook_list(ad_tensor *t, ad_node *n, uint32_t *nr) {
    *nr = 0;
    if (n) return &n->hooks;
    if (!(n = graph_node_of(t))) return &t->hooks;
    *nr = t->out_nr;
    return &n->hooks;
}

int64_t ad_hook_key(ad_handle h, intptr_t node, int kind) {
    uint32_t nr;
    int64_t key = 0;
    ad_hook **list = hook_list((ad_tensor *)h, (ad_node *)node, &nr);
    lock_take(&hook_lock);
    for (const ad_hook *k = *list; k && !key; k = k->next)
        if (k->kind == kind && k->nr == nr) key = k->key;
    lock_drop(&hook_lock);
    return key;
}

int ad_sole_owner(ad_handle h) {
    ad_tensor *t = (ad_tensor *)h;
    return atomic_load(&t->refs) == 1 && (!t->node || atomic_load(&t->node->refs) == 1);
}

int ad_add_hook(ad_handle h, intptr_t node, int kind, int64_t key) {
    uint32_t nr;
    ad_tensor *t = (ad_tensor *)h;
    if (t && !tensor_wants_grad(t))
        return ad_fail(AD_ERR_RUNTIME, "cannot register a hook on a tensor that doesn't require gradient");
    ad_hook **list = hook_list(t, (ad_node *)node, &nr), *k = mem_alloc(sizeof *k);
    if (!k) return -1;
    *k = (ad_hook){.kind = kind, .key = key, .nr = nr};
    hook_append(list, k);
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
    *k = (ad_hook){.kind = HOOK_STORE, .store = t, .nr = t->out_nr};
    hook_append(end, k);
    t->flags |= AD_T_RETAINS_GRAD;
    return 0;
}

/* ---- saved tensors ---- */

/* A saved tensor that a hook had packed, with the history that the tensor had. */
static ad_tensor *unpack_hooked(ad_node *n, int slot, int64_t key) {
    ad_tensor *plain = (ad_tensor *)graph_callbacks.unpack(key);
    if (!plain) return ad_fail_null(AD_ERR_PYTHON, "an unpack hook raised");
    const ad_meta *m = slot >= 65536                ? &n->mout[slot - 65536]
                       : slot >= 0 && slot < n->nin ? &n->min[slot]
                                                    : NULL;
    if (m && (m->dtype != plain->dtype || !dims_equal(m->ndim, m->sizes, plain->ndim, plain->sizes))) {
        ad_fail(AD_ERR_RUNTIME, "an unpack hook gave a tensor of size %s and %s for one of size %s and %s",
                fmt_sizes(plain->ndim, plain->sizes), dtype_name[plain->dtype], fmt_sizes(m->ndim, m->sizes),
                dtype_name[m->dtype]);
        tensor_unref(plain);
        return NULL;
    }
    const ad_edge *e = slot < n->nin && slot >= 0 ? &n->edges[slot] : NULL;
    if (tls.no_grad || (slot < 65536 && (!e || (!e->node && !e->leaf)))) return plain;
    ad_tensor *a = tensor_alias(plain, plain->ndim, plain->sizes, plain->strides, plain->offset);
    tensor_unref(plain);
    if (!a) return NULL;
    if (slot >= 65536) graph_set_history(a, node_ref(n), (uint32_t)(slot - 65536));
    else if (e->node) graph_set_history(a, node_ref(e->node), e->nr);
    else {
        ad_tensor *leaf = e->leaf;
        ad_node *same = synthetic(OP_alias, 1, &leaf, NULL, a);
        if (!same) {
            tensor_unref(a);
            return NULL;
        }
        graph_set_history(a, same, 0);
    }
    return a;
}

/* A new reference to what is saved; under the node's lock, because another thread may walk the same graph and
 * give it up. */
static ad_tensor *saved_take(ad_node *n, int k) {
    ad_saved *s = &n->saved[k];
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
    if (s->slot < 65536 || tls.no_grad) return tensor_ref(s->t);
    /* An output, wanted for a gradient of the gradient: a copy of the handle that knows its node. */
    ad_tensor *a = saved_alias(s->t, false);
    if (a) {
        a->node = node_ref(n);
        a->out_nr = (uint32_t)(s->slot - 65536);
    }
    return a;
}

ad_tensor *saved_get(ad_node *n, int k) {
    lock_take(&n->lock);
    int slot = n->saved[k].slot;
    int64_t key = slot & SLOT_PACKED ? (int64_t)(intptr_t)n->saved[k].t : 0;
    ad_tensor *t = key ? NULL : saved_take(n, k);
    lock_drop(&n->lock);
    /* Python may walk the same graph */
    return AD_UNLIKELY(key) ? unpack_hooked(n, slot & ~SLOT_PACKED, key) : t;
}

static ad_tensor *unpack(ad_vjp *v, int slot) {
    ad_node *n = v->node;
    for (int k = 0; k < n->nsaved; k++) {
        if ((n->saved[k].slot & ~SLOT_PACKED) != slot) continue;
        return em_keep(&v->E, saved_get(n, k));
    }
    ad_fail(AD_ERR_RUNTIME, "internal: %s reads a tensor that it did not save", n->op->name);
    v->E.failed = true;
    return NULL;
}

ad_tensor *vjp_in(ad_vjp *v, int i) { return v->E.failed ? NULL : unpack(v, i); }
ad_tensor *vjp_out(ad_vjp *v, int k) { return v->E.failed ? NULL : unpack(v, 65536 + k); }
