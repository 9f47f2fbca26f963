/* The backward walk. Nodes are visited by falling creation number, so each node comes after all that
 * used its outputs; leaves come last. The walk is a loop over a heap: no recursion, whatever the depth. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "batch.h"
#include "pool.h"
#include "program.h"
#include "reach.h"
#include "rows.h"
#include "watch.h"

typedef struct visit { /* a node, or a leaf, that a gradient has reached */
    ad_node *node;
    ad_tensor *leaf;
    ad_tensor **g; /* gradients of the node's outputs, or of the leaf */
    int ng;
    ad_tensor *one; /* room for the usual single gradient */
} visit;

#define WALK_ROOM 64

typedef struct walk {
    visit *visits;
    int64_t n, cap;
    int64_t *heap; /* indices of unvisited nodes, the latest on top */
    int64_t nheap;
    int32_t *table; /* open addressing: index + 1 of a node or leaf */
    int64_t ntable;
    bool create_graph, accumulate;
    /* autograd.grad: the tensors asked for, and where their gradients appear */
    ad_tensor **inputs;
    ad_handle *captured;
    int64_t ninputs;
    const ad_handle *roots;
    int64_t nroots, id;
    struct walk *outer;  /* the walk of this thread that this one runs inside of */
    struct reach *reach; /* the nodes that lead to them; NULL when everything is wanted */
} walk;

static _Thread_local walk *running;
static _Atomic int64_t next_walk = 1;

/* ---- which nodes lead to the inputs asked for ---- */

static bool leads(const walk *w, const void *key) { return !w->reach || reach_has(w->reach, key); }

/* ---- the visits ---- */

/* Small graphs need no memory but the stack's. */
typedef struct walk_room {
    visit visits[WALK_ROOM];
    int64_t heap[WALK_ROOM];
    int32_t table[2 * WALK_ROOM];
} walk_room;

static void walk_start(walk *w, walk_room *room) {
    w->visits = room->visits;
    w->heap = room->heap;
    w->table = room->table;
    w->cap = WALK_ROOM;
    w->ntable = 2 * WALK_ROOM;
    memset(w->table, 0, sizeof room->table);
}

static void walk_drop(const walk *w) {
    if (w->cap == WALK_ROOM) return;
    mem_free(w->visits, (size_t)w->cap * sizeof *w->visits);
    mem_free(w->heap, (size_t)w->cap * sizeof *w->heap);
    mem_free(w->table, (size_t)w->ntable * sizeof *w->table);
}

static int walk_grow(walk *w) {
    int64_t cap = 2 * w->cap;
    if (cap > INT32_MAX / 2) return ad_fail(AD_ERR_MEMORY, "a graph of more than %d nodes", INT32_MAX / 2);
    visit *visits = mem_alloc((size_t)cap * sizeof *visits);
    int64_t *heap = visits ? mem_alloc((size_t)cap * sizeof *heap) : NULL;
    int32_t *table = heap ? mem_alloc((size_t)cap * 2 * sizeof *table) : NULL;
    if (!table) {
        if (heap) mem_free(heap, (size_t)cap * sizeof *heap);
        if (visits) mem_free(visits, (size_t)cap * sizeof *visits);
        return -1;
    }
    memset(table, 0, (size_t)cap * 2 * sizeof *table);
    for (int64_t i = 0; i < w->n; i++) {
        visits[i] = w->visits[i];
        if (visits[i].g == &w->visits[i].one) visits[i].g = &visits[i].one;
        const void *key = visits[i].node ? (void *)visits[i].node : (void *)visits[i].leaf;
        size_t k = hash_ptr(key) & (size_t)(2 * cap - 1);
        while (table[k]) k = (k + 1) & (size_t)(2 * cap - 1);
        table[k] = (int32_t)(i + 1);
    }
    memcpy(heap, w->heap, (size_t)w->nheap * sizeof *heap);
    walk_drop(w);
    w->visits = visits;
    w->heap = heap;
    w->table = table;
    w->cap = cap;
    w->ntable = 2 * cap;
    return 0;
}

static uint64_t order(const walk *w, int64_t i) { return w->visits[i].node->seq; }

static void heap_push(walk *w, int64_t index) {
    int64_t i = w->nheap++;
    while (i && order(w, w->heap[(i - 1) / 2]) < order(w, index)) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = index;
}

static int64_t heap_pop(walk *w) {
    int64_t top = w->heap[0], last = w->heap[--w->nheap], i = 0;
    for (;;) {
        int64_t child = 2 * i + 1;
        if (child >= w->nheap) break;
        if (child + 1 < w->nheap && order(w, w->heap[child + 1]) > order(w, w->heap[child])) child++;
        if (order(w, w->heap[child]) <= order(w, last)) break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return top;
}

static int64_t walk_visit(walk *w, ad_node *node, ad_tensor *leaf) {
    if (w->n == w->cap && walk_grow(w)) return -1;
    const void *key = node ? (void *)node : (void *)leaf;
    size_t k = hash_ptr(key) & (size_t)(w->ntable - 1);
    for (; w->table[k]; k = (k + 1) & (size_t)(w->ntable - 1)) {
        visit *v = &w->visits[w->table[k] - 1];
        if (v->node == node && v->leaf == leaf) return w->table[k] - 1;
    }
    int64_t i = w->n++;
    visit *v = &w->visits[i];
    *v = (visit){.node = node_ref(node), .leaf = tensor_ref(leaf), .ng = node ? node->nout : 1};
    v->g = &v->one;
    if (v->ng > 1) {
        v->g = mem_alloc((size_t)v->ng * sizeof *v->g);
        if (!v->g) {
            v->g = &v->one;
            v->ng = 1;
            return -1;
        }
        memset(v->g, 0, (size_t)v->ng * sizeof *v->g);
    }
    w->table[k] = (int32_t)(i + 1);
    if (node) heap_push(w, i);
    return i;
}

/* Adds g (borrowed) to what a node's output, or a leaf, has received. */
static int walk_send(walk *w, ad_node *node, ad_tensor *leaf, uint32_t nr, ad_tensor *g) {
    if (AD_UNLIKELY(g->batch != NULL)) {
        ad_tensor *out = batch_outside(g, node, nr, leaf);
        int status = !out ? -1 : out->batch == g->batch ? 0 : walk_send(w, node, leaf, nr, out);
        bool same = out && out->batch == g->batch;
        tensor_unref(out);
        if (!same) return status;
    }
    int64_t i = walk_visit(w, node, leaf);
    if (i < 0) return -1;
    ad_tensor **slot = &w->visits[i].g[nr];
    if (!*slot) {
        *slot = tensor_ref(g);
        return 0;
    }
    bool ours = tls.no_grad && atomic_load(&(*slot)->refs) == 1 && storage_users((*slot)->storage) == 1 &&
                (*slot)->dtype == g->dtype && !tensor_self_overlaps(*slot) && batch_covers(*slot, g);
    ad_tensor *in[2] = {*slot, g},
              *sum = ours ? ad_apply_inplace(OP_add, 2, in, NULL) : ad_apply1(OP_add, 2, in, NULL);
    if (!sum) return -1;
    tensor_unref(*slot);
    *slot = sum;
    return 0;
}

static void walk_free(walk *w) {
    for (int64_t i = 0; i < w->n; i++) {
        visit *v = &w->visits[i];
        for (int k = 0; k < v->ng; k++) tensor_unref(v->g[k]);
        if (v->g != &v->one) mem_free(v->g, (size_t)v->ng * sizeof *v->g);
        node_unref(v->node);
        tensor_unref(v->leaf);
    }
    walk_drop(w);
}

/* ---- hooks, leaves ---- */

/* Two threads may accumulate into one leaf, and a third read or drop its .grad. */
ad_lock *grad_lock(const ad_tensor *t) {
    static ad_lock locks[32];
    return &locks[hash_ptr(t) % 32];
}

static int check_like(const char *what, ad_tensor *g, int dtype, int ndim, const int64_t *sizes) {
    if (dims_equal(ndim, sizes, g->ndim, g->sizes) && g->dtype == dtype) return 0;
    return ad_fail(AD_ERR_RUNTIME, "%s: got a gradient of size %s and %s, expected %s and %s", what,
                   fmt_sizes(g->ndim, g->sizes), dtype_name[g->dtype], fmt_sizes(ndim, sizes),
                   dtype_name[dtype]);
}

static int set_grad(ad_tensor *t, ad_tensor *g, bool create_graph) {
    ad_tensor *in[2] = {NULL, g}, *now, *old = NULL;
    /* .data, resize_ or set_ can have changed the tensor since the graph was made, and its .grad. */
    if (check_like("the gradient of a tensor that was changed since its graph was made", g, t->dtype, t->ndim,
                   t->sizes))
        return -1;
    if (AD_UNLIKELY(g->batch != NULL) && !batch_covers(t, g))
        return ad_fail(AD_ERR_RUNTIME,
                       "backward() under vmap would add the gradients of all samples to the .grad of a "
                       "tensor that they share: use func.grad, or backward() after vmap");
    if (tls.capture && program_touch_grad(t, false)) return -1;
    if (AD_UNLIKELY(t->rows != NULL)) { /* which become dense */
        ad_tensor *dense = rows_dense(t);
        if (!dense) return -1;
        rows_clear(t);
        old = t->grad;
        t->grad = dense;
        tensor_unref(old);
        old = NULL;
    }
    lock_take(grad_lock(t));
    if (!t->grad) {
        bool ours = atomic_load(&g->refs) <= 2 && storage_users(g->storage) == 1 && !g->base && !g->node;
        bool fits = dims_equal(t->ndim, t->strides, g->ndim, g->strides) ||
                    (tensor_is_contiguous(t) && tensor_is_contiguous(g));
        now = !create_graph && ours && fits ? tensor_ref(g) : ad_apply1(OP_clone, 1, &g, NULL);
    } else if (check_like("a .grad of another size or dtype than its tensor's", t->grad, t->dtype, t->ndim,
                          t->sizes)) {
        now = NULL;
    } else {
        in[0] = t->grad;
        now = create_graph ? ad_apply1(OP_add, 2, in, NULL) : ad_apply_inplace(OP_add, 2, in, NULL);
    }
    if (now) {
        old = t->grad;
        t->grad = now;
    }
    lock_drop(grad_lock(t));
    tensor_unref(old);
    return now ? 0 : -1;
}

/* A reference to a tensor that may be on its way out, or NULL. */
static ad_tensor *ref_if_alive(ad_tensor *t) {
    int32_t n = t ? atomic_load(&t->refs) : 0;
    while (n > 0)
        if (atomic_compare_exchange_weak(&t->refs, &n, n + 1)) return t;
    return NULL;
}

/* Hooks may add and remove hooks, of this list too, and other threads as well: the list is read at the
 * start. A hook that is removed before its turn is no longer known to Python, which then does nothing. */
static int run_hooks(ad_hook *const *list, ad_tensor **g, int ng, bool create_graph) {
    struct {
        int64_t key;
        ad_tensor *store;
        int nr;
    } room[8], *todo = room;
    int n = 0, cap = 8, status = 0;
    if (AD_LIKELY(!__atomic_load_n(list, __ATOMIC_ACQUIRE))) return 0;
    for (bool fits = false; !fits;) {
        n = 0;
        lock_take(&hook_lock);
        for (int kind = HOOK_TENSOR; kind <= HOOK_STORE; kind++)
            for (const ad_hook *h = *list; h; h = h->next)
                if (h->kind == kind && (int)h->nr < ng && g[h->nr] && n++ < cap) {
                    todo[n - 1].key = h->key;
                    todo[n - 1].store = h->key ? NULL : ref_if_alive(h->store);
                    todo[n - 1].nr = (int)h->nr;
                }
        lock_drop(&hook_lock);
        fits = n <= cap;
        if (fits) break;
        for (int k = 0; k < cap; k++) tensor_unref(todo[k].store);
        if (todo != room) mem_free(todo, (size_t)cap * sizeof *todo);
        cap = 2 * n;
        todo = mem_alloc((size_t)cap * sizeof *todo);
        if (!todo) return -1;
    }
    for (int k = 0; k < n && !status; k++) {
        ad_tensor **slot = &g[todo[k].nr];
        if (!todo[k].key) {
            if (todo[k].store) status = set_grad(todo[k].store, *slot, create_graph);
            continue;
        }
        ad_handle r = graph_callbacks.hook(todo[k].key, (ad_handle)*slot);
        if (r == -1) status = ad_fail(AD_ERR_PYTHON, "a hook raised");
        else if (r && check_like("a hook changed the kind of a gradient", (ad_tensor *)r, (*slot)->dtype,
                                 (*slot)->ndim, (*slot)->sizes)) {
            tensor_unref((ad_tensor *)r);
            status = -1;
        } else if (r) {
            tensor_unref(*slot);
            *slot = (ad_tensor *)r;
        }
    }
    for (int k = 0; k < n; k++) tensor_unref(todo[k].store);
    if (todo != room) mem_free(todo, (size_t)cap * sizeof *todo);
    return status;
}

/* The hooks of a node, or those after a leaf's accumulation. They may replace `grads`: what replaces them is
 * kept in E, or without one takes over the reference of the old. */
static int run_node_hooks(ad_hook *const *list, int kind, ad_tensor **grads, int n, ad_tensor **outer, int m,
                          ad_em *E) {
    int64_t key = 0;
    if (AD_LIKELY(!__atomic_load_n(list, __ATOMIC_ACQUIRE))) return 0;
    lock_take(&hook_lock);
    for (const ad_hook *h = *list; h && !key; h = h->next)
        if (h->kind == kind) key = h->key;
    lock_drop(&hook_lock);
    if (!key) return 0;
    ad_handle room[16], *h = room;
    if (n > 16 && !(h = mem_alloc((size_t)n * sizeof *h))) return -1;
    for (int k = 0; k < n; k++) h[k] = (ad_handle)grads[k];
    int status = graph_callbacks.node_hook(key, kind, n, h, m, (const ad_handle *)outer);
    for (int k = 0; k < n; k++)
        if (h[k] != (ad_handle)grads[k]) {
            ad_tensor *old = grads[k];
            grads[k] = (ad_tensor *)h[k];
            if (!E) tensor_unref(old);
            else if (h[k] && !em_keep(E, grads[k])) status = -1;
        }
    if (h != room) mem_free(h, (size_t)n * sizeof *h);
    return status ? ad_fail(AD_ERR_PYTHON, "a hook raised") : 0;
}

/* ---- anomaly mode ---- */

static bool has_nan(ad_tensor *t) {
    if (!t || !dtype_is_float(t->dtype) || !t->numel) return false;
    bool was = tls.no_grad, found = false;
    tls.no_grad = true;
    ad_tensor *flat = tensor_is_contiguous(t) ? tensor_ref(t) : ad_apply1(OP_contiguous, 1, &t, NULL);
    tls.no_grad = was;
    double tile[256];
    for (int64_t i = 0; flat && i < flat->numel && !found; i += 256) {
        int64_t n = flat->numel - i < 256 ? flat->numel - i : 256, size = dtype_size[flat->dtype];
        dtype_loads[flat->dtype][CT_F64](n, tile, (char *)tensor_data(flat) + i * size, size);
        for (int64_t k = 0; k < n; k++) found |= tile[k] != tile[k];
    }
    tensor_unref(flat);
    return found;
}

/* After a node's rule: says where the node was made when the rule failed or gave NaN. */
static int examine(ad_node *n, ad_tensor **gin, int status) {
    char title[64];
    node_title(n, title, sizeof title);
    for (int i = 0; i < n->nin && !status && atomic_load(&graph_anomaly) == 2; i++)
        if (has_nan(gin[i]))
            status =
                ad_fail(AD_ERR_RUNTIME, "Function '%s' returned nan values in its %dth output.", title, i);
    if (status) graph_callbacks.blame(n->info, title);
    return status;
}

/* ---- one node ---- */

static int python_vjp(ad_vjp *v, ad_node *n) {
    ad_handle room[32], *h = room;
    size_t bytes = (size_t)(v->nin + v->nout) * sizeof *h;
    if (v->nin + v->nout > 32 && !(h = mem_alloc(bytes))) return -1;
    for (int k = 0; k < v->nout; k++) h[k] = (ad_handle)v->g[k];
    memset(h + v->nout, 0, (size_t)v->nin * sizeof *h);
    int status = graph_callbacks.backward(n->key, v->nout, h, v->nin, h + v->nout);
    for (int i = 0; i < v->nin; i++)
        if (h[v->nout + i]) v->gin[i] = em_keep(&v->E, (ad_tensor *)h[v->nout + i]);
    if (h != room) mem_free(h, bytes);
    return status ? ad_fail(AD_ERR_PYTHON, "a Python function's backward raised") : 0;
}

static int check_grad(const ad_node *n, int i, ad_tensor **g, ad_em *E) {
    const ad_meta *m = &n->min[i];
    char title[64];
    if (!dims_equal(m->ndim, m->sizes, (*g)->ndim, (*g)->sizes)) {
        ad_tensor *fit = NULL;
        if ((*g)->ndim >= m->ndim) fit = em_sum_to(E, *g, m->ndim, m->sizes);
        if (!fit)
            return ad_fail(AD_ERR_RUNTIME,
                           "Function %s returned an invalid gradient at index %d - got %s but expected "
                           "shape compatible with %s",
                           (node_title(n, title, sizeof title), title), i, fmt_sizes((*g)->ndim, (*g)->sizes),
                           fmt_sizes(m->ndim, m->sizes));
        *g = fit;
    }
    if ((*g)->dtype != m->dtype) *g = em_cast(E, *g, m->dtype);
    return *g ? 0 : -1;
}

static int visit_node(walk *w, int64_t index) {
    ad_node *n = w->visits[index].node;
    ad_tensor **g = w->visits[index].g; /* stable: this visit's array moves only with `one` */
    ad_tensor *g_one;
    int status = 0;
    int ng = w->visits[index].ng;
    if (run_hooks(&n->hooks, g, ng, w->create_graph)) return -1;
    for (int64_t k = 0; k < w->ninputs; k++) {
        ad_tensor *in = w->inputs[k];
        if (in->node == n && !w->captured[k] && g[in->out_nr])
            w->captured[k] = (ad_handle)tensor_ref(g[in->out_nr]);
    }
    bool any = false;
    for (int i = 0; i < n->nin && !any; i++) {
        const ad_edge *e = &n->edges[i];
        any = (e->node && leads(w, e->node)) || (e->leaf && leads(w, e->leaf));
    }
    bool some = false;
    for (int k = 0; k < ng; k++) some |= g[k] != NULL;
    if (!any || !some) return 0;
    if (run_node_hooks(&n->hooks, HOOK_PRE, g, ng, NULL, 0, NULL)) return -1;
    some = false;
    for (int k = 0; k < ng;
         k++) { /* hooks take gradients away and give others, .data and resize_ change tensors */
        const ad_meta *m = &n->mout[k];
        some |= g[k] != NULL;
        if (!g[k] || (dims_equal(m->ndim, m->sizes, g[k]->ndim, g[k]->sizes) && m->dtype == g[k]->dtype))
            continue;
        char what[128], title[64];
        node_title(n, title, sizeof title);
        snprintf(what, sizeof what, "%s: a hook or a change of a tensor between forward and backward", title);
        return check_like(what, g[k], m->dtype, m->ndim, m->sizes);
    }
    if (!some) return 0;
    if (ng == 1) { /* the visits may move while the rule's results are sent */
        g_one = g[0];
        g = &g_one;
    }
    ad_tensor *gin_room[16], **gin = gin_room;
    if (n->nin > 16 && !(gin = mem_alloc((size_t)n->nin * sizeof *gin))) return -1;
    memset(gin, 0, (size_t)n->nin * sizeof *gin);
    ad_vjp v = {.node = n, .at = &n->at, .nin = n->nin, .nout = ng, .g = g, .gin = gin};
    for (int i = 0; w->reach && i < n->nin && i < 64; i++) {
        const ad_edge *e = &n->edges[i];
        if (!leads(w, e->node ? (void *)e->node : (void *)e->leaf)) v.unasked |= (uint64_t)1 << i;
    }
    int64_t blame = tls.blame;
    tls.blame = n->info;
    if (n->key) status = python_vjp(&v, n);
    else n->op->vjp(&v);
    if (v.E.failed) status = -1;
    if (AD_UNLIKELY(atomic_load_explicit(&graph_anomaly, memory_order_relaxed)))
        status = examine(n, gin, status);
    tls.blame = blame;
    if (!status) status = run_node_hooks(&n->hooks, HOOK_POST, gin, n->nin, v.g, ng, &v.E);
    for (int i = 0; i < n->nin && !status; i++) {
        ad_edge *e = &n->edges[i];
        if (!gin[i] || (!e->node && !e->leaf)) continue;
        if (!leads(w, e->node ? (void *)e->node : (void *)e->leaf)) continue;
        status = check_grad(n, i, &gin[i], &v.E);
        if (status) break;
        ad_tensor *mine = tensor_ref(gin[i]);
        gin[i] = NULL;
        /* drop the rule's own reference first where it is the last but ours, so that sums may reuse it */
        for (int k = v.E.n - 1; k >= 0; k--)
            if (v.E.v[k] == mine) {
                tensor_unref(mine);
                v.E.v[k] = v.E.v[--v.E.n];
                break;
            }
        status = walk_send(w, e->node, e->leaf, e->nr, mine);
        tensor_unref(mine);
    }
    em_done(&v.E);
    if (gin != gin_room) mem_free(gin, (size_t)n->nin * sizeof *gin);
    return status;
}

static int visit_leaf(walk *w, visit *v) {
    ad_tensor *t = v->leaf;
    /* What a compiled function computes for a leaf passes its hooks when it is accumulated, and not before.
     */
    bool recorded = tls.capture && tls.capture->has_split && w->ninputs && !w->accumulate;
    if (!recorded && run_hooks(&t->hooks, v->g, 1, w->create_graph)) return -1;
    for (int64_t k = 0; k < w->ninputs; k++)
        if (w->inputs[k] == t && !w->captured[k]) w->captured[k] = (ad_handle)tensor_ref(v->g[0]);
    if (!w->accumulate || !v->g[0]) return 0;
    if (w->ninputs) {
        bool asked = false;
        for (int64_t k = 0; k < w->ninputs; k++) asked |= w->inputs[k] == t;
        if (!asked) return 0;
    }
    if (set_grad(t, v->g[0], w->create_graph)) return -1;
    return run_node_hooks(&t->hooks, HOOK_ACCUMULATED, &t, 1, NULL, 0, NULL);
}

/* ---- roots ---- */

static int send_root(walk *w, ad_tensor *root, ad_tensor *g, int64_t k) {
    ad_node *n = graph_node_of(root);
    if (!n && !(root->flags & AD_T_REQUIRES_GRAD))
        return ad_fail(AD_ERR_RUNTIME,
                       "element %lld of tensors does not require grad and does not have a grad_fn",
                       (long long)k);
    ad_tensor *seed = NULL;
    if (g) {
        if (!tensor_same_sizes(root, g))
            return ad_fail(AD_ERR_RUNTIME,
                           "Mismatch in shape: grad_output[%lld] has a shape of torch.Size(%s) and "
                           "output[%lld] has a shape "
                           "of torch.Size(%s).",
                           (long long)k, fmt_sizes(g->ndim, g->sizes), (long long)k,
                           fmt_sizes(root->ndim, root->sizes));
        if (g->dtype != root->dtype) {
            ad_attr at = {.i = {root->dtype}};
            g = seed = ad_apply1(OP_to, 1, &g, &at);
            if (!g) return -1;
        }
    } else {
        if (root->numel != 1)
            return ad_fail(AD_ERR_RUNTIME, "grad can be implicitly created only for scalar outputs");
        ad_attr at = {.i = {root->dtype, 1}, .f = {1}, .list = root->sizes, .nlist = root->ndim};
        g = seed = ad_apply1(OP_full, 0, NULL, &at);
        if (!g) return -1;
    }
    int status = walk_send(w, n, n ? NULL : root, n ? root->out_nr : 0, g);
    tensor_unref(seed);
    return status;
}

int ad_backward(const ad_handle *roots, const ad_handle *grads, int64_t n, int retain_graph, int create_graph,
                const ad_handle *inputs, ad_handle *out, int64_t ninputs, int accumulate, int allow_unused) {
    walk w = {.create_graph = create_graph,
              .accumulate = accumulate,
              .inputs = (ad_tensor **)inputs,
              .captured = out,
              .ninputs = ninputs,
              .roots = roots,
              .nroots = n,
              .outer = running,
              .id = atomic_fetch_add_explicit(&next_walk, 1, memory_order_relaxed)};
    walk_room room;
    walk_start(&w, &room);
    reach r = {0};
    bool was = tls.no_grad, was_off = tls.grad_off, fresh;
    int status = -1, cast = autocast_pause(); /* gradients have the dtypes that the operands had */
    for (int64_t k = 0; k < ninputs; k++) out[k] = 0;
    tls.no_grad = tls.grad_off = !create_graph; /* both: Python that runs in between may set and restore it */
    running = &w;
    if (ninputs) {
        for (int64_t k = 0; k < ninputs; k++) {
            ad_tensor *t = w.inputs[k];
            ad_node *node = graph_node_of(t);
            if (!node && !(t->flags & AD_T_REQUIRES_GRAD)) {
                ad_fail(AD_ERR_RUNTIME, "One of the differentiated Tensors does not require grad");
                goto done;
            }
            const void *key = node ? (void *)node : (void *)t;
            if (reach_put(&r, key, &fresh) < 0) goto done;
        }
        if (reach_mark(&r, roots, n)) goto done;
        w.reach = &r;
    }
    for (int64_t k = 0; k < n; k++)
        if (send_root(&w, (ad_tensor *)roots[k], grads ? (ad_tensor *)grads[k] : NULL, k)) goto done;
    for (int64_t steps = 1; w.nheap; steps++) {
        int64_t index = heap_pop(&w);
        ad_node *node = w.visits[index].node;
        if (visit_node(&w, index)) goto done;
        if (!retain_graph) {
            lock_take(&node->lock);
            saved_release(node);
            lock_drop(&node->lock);
        }
        visit *v = &w.visits[index];
        for (int k = 0; k < v->ng; k++) {
            tensor_unref(v->g[k]);
            v->g[k] = NULL;
        }
        if ((steps & 63) == 0) interpreter_take(interpreter_release()); /* other threads' turn */
        if ((steps & 15) == 0 && pool_cancelled() && pool_take_cancelled()) {
            ad_fail(AD_ERR_INTERRUPT, "interrupted in backward");
            goto done;
        }
    }
    for (int64_t i = 0; i < w.n; i++)
        if (w.visits[i].leaf && visit_leaf(&w, &w.visits[i])) goto done;
    for (int64_t k = 0; k < ninputs && !accumulate; k++)
        if (!out[k] && !allow_unused) {
            ad_fail(AD_ERR_RUNTIME,
                    "The differentiated Tensor at index %lld appears to not have been used in the graph. Set "
                    "allow_unused=True if this is the desired behavior.",
                    (long long)k);
            goto done;
        }
    status = 0;
done:
    tls.no_grad = was;
    tls.grad_off = was_off;
    autocast_resume(cast);
    running = w.outer;
    walk_free(&w);
    reach_free(&r);
    if (status || accumulate)
        for (int64_t k = 0; k < ninputs; k++) {
            tensor_unref((ad_tensor *)out[k]);
            out[k] = 0;
        }
    return status;
}

/* The usual case with few arguments to convert: one root, `grad` or 0, leaves' .grad. */
int ad_backward1(ad_handle root, ad_handle grad, int retain_graph, int create_graph) {
    return ad_backward(&root, &grad, 1, retain_graph, create_graph, NULL, NULL, 0, 1, 1);
}

/* ---- asked by hooks while a walk runs ---- */

int64_t ad_backward_id(void) { return running ? running->id : 0; }
int ad_backward_accumulates(void) { return running && running->accumulate && !running->ninputs; }

/* Whether the gradient of t is going to be known in this walk. */
int ad_backward_reaches(ad_handle h) {
    ad_tensor *t = (ad_tensor *)h;
    ad_node *node = graph_node_of(t), **list = NULL;
    const void *key = node ? (const void *)node : (const void *)t;
    int64_t cap = 0, count;
    reach seen = {0};
    if (!running) return 0;
    int status = reach_collect(running->roots, running->nroots, &seen, &list, &cap, &count);
    int found = !status && reach_has(&seen, key) && leads(running, key);
    if (list) mem_free(list, (size_t)cap * sizeof *list);
    reach_free(&seen);
    return status ? -1 : found;
}
