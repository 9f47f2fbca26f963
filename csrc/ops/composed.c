/* Rules of operations that have a kernel of their own, by way of a composition of others. */
#include "composed.h"

#define MOST 16 /* inputs or outputs */

void vjp_optional_in(ad_vjp *v, int n, ad_tensor **in) {
    for (int i = 0; i < n; i++) in[i] = NULL;
    for (int k = 0; k < v->node->nsaved && !v->E.failed; k++) {
        int slot = v->node->saved[k].slot & 0xffff;
        if (slot < n && !(v->node->saved[k].slot & 65536)) in[slot] = vjp_in(v, slot);
    }
}

void composed_vjp(ad_vjp *v, int nin, ad_tensor **in, composition compose) {
    ad_em *E = &v->E;
    ad_tensor *own[MOST] = {NULL}, *out[MOST] = {NULL};
    ad_handle roots[MOST], grads[MOST], wanted[MOST], found[MOST];
    int64_t nroots = 0, nwanted = 0;
    int which[MOST];
    bool history = !tls.no_grad; /* of the gradients */
    tls.no_grad = false;
    /* Aliases, so that the walk ends where the operation began, and they in turn have the inputs' history. */
    for (int i = 0; i < nin; i++) {
        own[i] = in[i];
        if (!in[i] || !vjp_needs(v, i)) continue;
        own[i] = em1(E, OP_alias, in[i]);
        if (!own[i]) goto done;
        which[nwanted] = i;
        wanted[nwanted++] = (ad_handle)own[i];
    }
    compose(E, v->at, own, out);
    if (E->failed) goto done;
    for (int k = 0; k < v->nout; k++) {
        if (!v->g[k] || !out[k] || !tensor_wants_grad(out[k])) continue;
        roots[nroots] = (ad_handle)out[k];
        grads[nroots++] = (ad_handle)v->g[k];
    }
    if (!nroots || !nwanted) goto done;
    if (ad_backward(roots, grads, nroots, 1, history, wanted, found, nwanted, 0, 1)) {
        E->failed = true;
        goto done;
    }
    for (int64_t k = 0; k < nwanted; k++)
        if (found[k]) v->gin[which[k]] = em_keep(E, (ad_tensor *)found[k]);
done:
    tls.no_grad = !history;
}

void composed_jvp(ad_jvp *j, composition compose) {
    const ad_call *c = j->c;
    ad_tensor *out[MOST] = {NULL};
    int level = tls.forward; /* the rule runs below the level whose tangents it makes */
    ad_forward_depth(level + 1);
    compose(&j->E, c->at, c->in, out);
    for (int k = 0; k < c->nout && !j->E.failed; k++) {
        ad_tensor *t = out[k] ? (ad_tensor *)ad_tangent((ad_handle)out[k], level) : NULL;
        if (t) j->tout[k] = em_keep(&j->E, t);
    }
    ad_forward_depth(level);
}
