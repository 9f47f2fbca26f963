/* Nodes whose rule is a Python function: autograd.Function. */
#include <string.h>
#include "core.h"

static void python_rule(ad_vjp *v) { (void)v; } /* backward.c calls Python instead */
static const ad_op python_op = {.name = "python_function", .nin = -1, .nout = -1, .vjp = python_rule};

static int save_all(ad_node *n, const ad_handle *saved, const int64_t *slots, int64_t nsaved) {
    for (int k = 0; k < nsaved; k++) {
        ad_tensor *t = (ad_tensor *)saved[k];
        bool output = slots[k] >= 65536;
        uint32_t version = atomic_load_explicit(&t->storage->version, memory_order_relaxed);
        if (saved_set(n, k, t, (int)slots[k], version, output, false)) return -1;
        n->nsaved++;
    }
    return 0;
}

/* Makes `out` the outputs of a Python function of `in`: one node whose rule is a callback. kinds[k] of an
 * output: 0 carries no gradient, 1 is new, 2 is an input that was written in place. slots[k] of what is
 * saved: 65536 + its number for an output, which must not be kept with its history; else anything below.
 * The key is taken by the node once it exists. Returns the node, borrowed from the outputs, or 0. */
intptr_t ad_python_node(const ad_handle *in, int64_t nin, const ad_handle *out, const int64_t *kinds,
                        int64_t nout, const ad_handle *saved, const int64_t *slots, int64_t nsaved,
                        int64_t key, const char *title) {
    int64_t nsizes = 0;
    for (int64_t i = 0; i < nin; i++) nsizes += ((ad_tensor *)in[i])->ndim;
    for (int64_t k = 0; k < nout; k++) nsizes += ((ad_tensor *)out[k])->ndim;
    ad_node *n = node_new(&python_op, (int)nin, (int)nout, (int)nsaved, nsizes, NULL);
    if (!n) return 0;
    int64_t *room = (int64_t *)(n->mout + nout);
    n->title = title;
    n->nin = n->nsaved = 0; /* both count up, so that a failure half-way releases what is there */
    for (int64_t i = 0; i < nin; i++) {
        if (edge_set(&n->edges[i], (ad_tensor *)in[i])) {
            node_unref(n);
            return 0;
        }
        n->nin++;
        room = meta_set(&n->min[i], room, (ad_tensor *)in[i]);
    }
    node_stamp(n);
    for (int64_t k = 0; k < nout; k++) room = meta_set(&n->mout[k], room, (ad_tensor *)out[k]);
    node_stamp(n);
    int status = save_all(n, saved, slots, nsaved);
    if (!status) n->key = key;
    for (int64_t k = 0; k < nout && !status; k++) {
        ad_tensor *t = (ad_tensor *)out[k];
        if (kinds[k] == 0) continue;
        if (kinds[k] == 2) {
            status = graph_rebase(t, node_ref(n), (uint32_t)k);
            continue;
        }
        graph_set_history(t, node_ref(n), (uint32_t)k);
        if (t->base) {
            t->flags = (uint16_t)((t->flags & ~(AD_T_NOGRAD_VIEW | AD_T_INFERENCE_VIEW)) | AD_T_CUSTOM_VIEW);
            t->epoch = t->base->epoch;
        }
    }
    node_unref(n);
    return status ? 0 : (intptr_t)n;
}

/* What a node keeps: a new reference, or 0 with the error. */
ad_handle ad_node_saved(intptr_t h, int64_t k) {
    ad_node *n = (ad_node *)h;
    if (k < 0 || k >= n->nsaved) return ad_fail(AD_ERR_INDEX, "no saved tensor %lld", (long long)k), 0;
    return (ad_handle)saved_get(n, (int)k);
}

/* Makes t output nr of a node. */
void ad_join_node(ad_handle t, intptr_t node, int64_t nr) {
    graph_set_history((ad_tensor *)t, node_ref((ad_node *)node), (uint32_t)nr);
}

int64_t ad_node_nsaved(intptr_t n) { return ((ad_node *)n)->nsaved; }
int ad_node_saved_slot(intptr_t n, int64_t k) { return ((ad_node *)n)->saved[k].slot; }
int ad_node_released(intptr_t n) { return atomic_load(&((ad_node *)n)->released); }
