/* A recorded function with its backward pass: a replayed call is one node of the tape.
 *
 * The node's rule runs the program's second part. What lies between the parts is the program's memory, so
 * that a program has one call at a time: it is busy until that call's node has been through its backward
 * pass, or is gone. The node keeps the program; the program knows the node of its last call, and does not
 * keep it. */
#include "joint.h"

static void joint_vjp(ad_vjp *v);
static const ad_op joint_op = {.name = "compiled_function", .nin = -1, .nout = -1, .vjp = joint_vjp};

/* Where the gradient of what is differentiated comes from. */
enum { NOWHERE = -1, COMPUTED = -2 }; /* or the number of a gradient that comes in, as it is */

typedef struct joint_end {
    int64_t arg;     /* which argument of the first part it is, or -1 */
    ad_tensor *leaf; /* or the leaf */
    int64_t from;
} joint_end;

/* Says what is differentiated: for each of the n ends an argument's number or -1 and then a leaf, and where
 * its gradient comes from; and for each result of the first part whether it carries gradients. */
int ad_program_join(intptr_t h, const int64_t *args, const ad_handle *leaves, const int64_t *from, int64_t n,
                    const int64_t *carries, int64_t nresults) {
    ad_program *p = (ad_program *)h;
    if (!p->has_split || p->ends || nresults != p->nouts_forward)
        return ad_fail(AD_ERR_RUNTIME, "the program is not one of two parts");
    p->ends = mem_alloc((size_t)(n + 1) * sizeof *p->ends);
    p->carries = p->ends ? mem_alloc((size_t)(nresults + 1) * sizeof *p->carries) : NULL;
    if (!p->carries) return -1;
    for (int64_t k = 0; k < n; k++) {
        p->ends[k] = (joint_end){.arg = args[k], .leaf = NULL, .from = from[k]};
        if (args[k] < 0) p->ends[k].leaf = tensor_ref((ad_tensor *)leaves[k]);
    }
    p->nends = n;
    p->ncarries = nresults;
    for (int64_t k = 0; k < nresults; k++) p->carries[k] = carries[k] != 0;
    return 0;
}

void joint_free(ad_program *p) {
    for (int64_t k = 0; k < p->nends; k++) tensor_unref(p->ends[k].leaf);
    if (p->carries) mem_free(p->carries, (size_t)(p->ncarries + 1) * sizeof *p->carries);
    if (p->ends) mem_free(p->ends, (size_t)(p->nends + 1) * sizeof *p->ends);
}

bool joint_busy(const ad_program *p) {
    return p->open && !atomic_load_explicit(&p->open->released, memory_order_relaxed);
}
int ad_program_busy(intptr_t h) { return joint_busy((const ad_program *)h); }

void joint_node_gone(ad_node *n) {
    if (n->op != &joint_op) return;
    ad_program *p = (ad_program *)(intptr_t)n->at.i[0];
    if (p->open == n) p->open = NULL;
    program_unref(p);
}

/* Makes the results of a call outputs of one node. */
int joint_record(ad_program *p, const ad_handle *args, const ad_handle *outs) {
    int64_t nsizes = 0;
    for (int64_t i = 0; i < p->nends; i++)
        nsizes += (p->ends[i].leaf ? p->ends[i].leaf : (ad_tensor *)args[p->ends[i].arg])->ndim;
    for (int64_t k = 0; k < p->nouts_forward; k++) nsizes += p->outs[k]->ndim;
    ad_node *n = node_new(&joint_op, (int)p->nends, (int)p->nouts_forward, 0, nsizes, NULL);
    if (!n) return -1;
    int64_t *room = (int64_t *)(n->mout + p->nouts_forward);
    n->title = "CompiledFunctionBackward";
    n->at.i[0] = (int64_t)(intptr_t)p;
    count_up(&p->refs);
    p->open = n;
    n->nin = 0; /* counts up, so that a failure half-way releases what is there */
    for (int64_t i = 0; i < p->nends; i++) {
        ad_tensor *t = p->ends[i].leaf ? p->ends[i].leaf : (ad_tensor *)args[p->ends[i].arg];
        if (edge_set(&n->edges[i], t)) {
            node_unref(n);
            return -1;
        }
        n->nin++;
        room = meta_set(&n->min[i], room, t);
    }
    node_stamp(n);
    for (int64_t k = 0; k < p->nouts_forward; k++) {
        room = meta_set(&n->mout[k], room, (ad_tensor *)outs[k]);
        if (p->carries[k]) graph_set_history((ad_tensor *)outs[k], node_ref(n), (uint32_t)k);
    }
    node_unref(n);
    return 0;
}

/* The gradient of result k as the second part takes it. */
static ad_tensor *incoming(ad_vjp *v, int k) {
    ad_tensor *g = v->g[k];
    const ad_meta *m = &v->node->mout[k];
    if (!g) return em_zeros(&v->E, m->dtype, m->ndim, m->sizes);
    if (g->batch) {
        ad_fail(AD_ERR_BATCH,
                "the backward pass of a compiled function under vmap: call the function that was "
                "compiled instead");
        return NULL;
    }
    return tensor_is_contiguous(g) ? g : em1(&v->E, OP_contiguous, g);
}

static int run_rule(ad_vjp *v, ad_program *p) {
    ad_handle few[32], *room = few;
    size_t bytes = (size_t)(p->nouts + 1) * sizeof *room;
    int64_t n = 0;
    if (tls.capture && program_refuse("the backward pass of a compiled function that was called before"))
        return -1;
    if (atomic_load_explicit(&v->node->released, memory_order_relaxed))
        return ad_fail(
            AD_ERR_RUNTIME,
            "Trying to backward through the graph a second time (or directly access saved tensors after they "
            "have already been freed). Specify retain_graph=True if you need to backward through the graph a "
            "second time.");
    if (!tls.grad_off)
        return ad_fail(
            AD_ERR_RUNTIME,
            "gradients of gradients are asked for of a compiled function whose first call did not have them: "
            "compile with disable=True, or the function that computes the gradients instead");
    if (p->nouts > 32 && !(room = mem_alloc(bytes))) return -1;
    int status = 0;
    for (int64_t k = 0; k < p->nouts_forward && !status; k++) {
        if (!p->carries[k]) continue;
        ad_tensor *g = incoming(v, (int)k);
        if (!g) status = -1;
        room[n++] = (ad_handle)g;
    }
    int64_t came = n;
    for (int64_t i = 0; i < v->nin && !status; i++) /* before the room is written over */
        if (p->ends[i].from >= 0 && p->ends[i].from < came)
            v->gin[i] = em_keep(&v->E, tensor_ref((ad_tensor *)room[p->ends[i].from]));
    if (!status) status = program_backward(p, room, came, room);
    n = 0;
    for (int64_t i = 0; i < v->nin && !status; i++)
        if (p->ends[i].from == COMPUTED) v->gin[i] = em_keep(&v->E, (ad_tensor *)room[n++]);
    if (room != few) mem_free(room, bytes);
    return status;
}

static void joint_vjp(ad_vjp *v) {
    if (run_rule(v, (ad_program *)(intptr_t)v->at->i[0])) v->E.failed = true;
}
