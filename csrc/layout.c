/* Which layout the products of a program read their second operands in: as they lie, or in panels
 * (gemm_pack), packed once for several products or several runs. Both give the same bits.
 *
 * kept: what no call writes and each run finds in the same place, as weights in inference, or frozen ones.
 * Packed when two runs have found it unchanged, so that the weights of a module that is compiled alone, which
 * its training changes from run to run, are read as they lie.
 *
 * shared: what several products read before anything writes it. Packed by the first of them in each run. */
#include "lanes.h"
#include "ops/matmul.h"

struct ad_layout {
    gemm_args g;        /* of the first product that reads it */
    const ad_tensor *b; /* its second operand */
    int64_t first;      /* that call */
    bool kept, packed, known;
    uint32_t version, unseen; /* of the storage at the last run */
    void *panels;
    size_t bytes;
};

static bool is_product(const ad_op *op) {
    return op == &ad_ops[OP_linear] || op == &ad_ops[OP_mm] || op == &ad_ops[OP_matmul] ||
           op == &ad_ops[OP_bmm];
}

/* Whether a write to `t` may change what `s` holds: it may be the same memory where an argument is another
 * each time, and where addresses were given away. */
static bool may_change(const ad_tensor *t, const ad_storage *s) {
    const ad_storage *w = t->storage;
    return w == s || w->backing || (w->exposed && s->exposed);
}

static bool writes(const instr *i, const ad_storage *s) {
    const ad_call *c = &i->call;
    for (int o = 0; o < c->nout && !i->dead; o++)
        if (may_change(c->out[o], s)) return true;
    for (int n = 0; n < c->nin && !i->dead && c->op->flags & AD_OP_INPLACE; n++)
        if (c->in[n] && may_change(c->in[n], s)) return true;
    return false;
}

/* ---- choosing ---- */

/* Whether nothing changes it from run to run but what its storage counts. */
static bool may_keep(const ad_program *p, const ad_storage *s) {
    if (s->backing || s->owner || s->exposed || !s->block) return false;
    for (int64_t k = 0; k < p->nouts; k++)
        if (p->outs[k]->storage == s) return false;
    for (int64_t k = 0; k < p->n; k++)
        if (writes(&p->code[k], s)) return false;
    return !p->nlaid;
}

static bool same_panels(const ad_layout *l, const ad_tensor *b, const gemm_args *g) {
    return l->b->storage == b->storage && l->b->offset == b->offset && l->g.type == g->type &&
           l->g.n == g->n && l->g.k == g->k && l->g.rsb == g->rsb && l->g.csb == g->csb;
}

/* The layout that call k can share, or -1: one of the same part, what it reads not written since it was
 * packed. */
static int64_t find(const ad_program *p, int64_t k, const gemm_args *g) {
    const ad_tensor *b = p->code[k].call.in[1];
    for (int64_t n = p->nlayouts - 1; n >= 0; n--) {
        const ad_layout *l = &p->layouts[n];
        if (!same_panels(l, b, g)) continue;
        if (l->kept) return n;
        if (p->has_split && (l->first < p->split) != (k < p->split)) continue;
        for (int64_t j = l->first; j < k; j++)
            if (writes(&p->code[j], b->storage)) return -1;
        return n;
    }
    return -1;
}

/* Keeps what pays: each run's panels are for two products at least. */
static int keep_shared(ad_program *p, int64_t n) {
    ad_layout *l = &p->layouts[n];
    int64_t uses = 0;
    for (int64_t k = l->first; k < p->n; k++) uses += p->code[k].layout == n + 1;
    if (uses > 1 && !(l->panels = mem_alloc(l->bytes))) return -1;
    for (int64_t k = l->first; k < p->n; k++) {
        if (p->code[k].layout != n + 1) continue;
        p->code[k].at.i[MATMUL_PANELS] = (int64_t)(intptr_t)l->panels;
        if (uses < 2) p->code[k].layout = 0;
    }
    p->code[l->first].packs = uses > 1;
    return 0;
}

int layout_choose(ad_program *p) {
    int64_t products = 0;
    for (int64_t k = 0; k < p->n; k++) products += !p->code[k].dead && is_product(p->code[k].call.op);
    if (!products || p->aliased) return 0;
    if (!(p->layouts = mem_alloc((size_t)products * sizeof *p->layouts))) return -1;
    p->layouts_cap = products;
    for (int64_t k = 0; k < p->n; k++) {
        instr *i = &p->code[k];
        gemm_args g;
        if (i->dead || !is_product(i->call.op) || !matmul_panels(&i->call, &g)) continue;
        size_t bytes = gemm_panel_bytes(&g);
        const ad_tensor *b = i->call.in[1];
        bool kept = bytes && may_keep(p, b->storage);
        /* calls that run side by side have no order in which one could pack for the others */
        if (!bytes || (!kept && lanes_first(p, k) != lanes_last(p, k))) continue;
        int64_t n = find(p, k, &g);
        if (n < 0) {
            n = p->nlayouts++;
            p->layouts[n] = (ad_layout){.g = g, .b = b, .first = k, .kept = kept, .bytes = bytes};
            p->nkept += kept;
        }
        i->layout = (int32_t)(n + 1);
    }
    for (int64_t n = 0; n < p->nlayouts; n++)
        if (!p->layouts[n].kept && keep_shared(p, n)) return -1;
    return 0;
}

void layout_free(ad_program *p) {
    for (int64_t n = 0; n < p->nlayouts; n++)
        if (p->layouts[n].panels) mem_free(p->layouts[n].panels, p->layouts[n].bytes);
    if (p->layouts) mem_free(p->layouts, (size_t)p->layouts_cap * sizeof *p->layouts);
}

/* ---- running ---- */

static void pack(ad_layout *l) {
    gemm_args g = l->g;
    g.b = tensor_data(l->b);
    gemm_pack(&g, l->panels);
}

/* Lets the products read the panels, or the operand as it lies. */
static void point(ad_program *p, int64_t n, const void *panels) {
    for (int64_t k = p->layouts[n].first; k < p->n; k++)
        if (p->code[k].layout == n + 1) p->code[k].at.i[MATMUL_PANELS] = (int64_t)(intptr_t)panels;
}

void layout_look(ad_program *p) {
    for (int64_t n = 0; n < p->nlayouts; n++) {
        ad_layout *l = &p->layouts[n];
        const ad_storage *s = l->b->storage;
        if (!l->kept) continue;
        uint32_t version = atomic_load_explicit(&s->version, memory_order_relaxed),
                 unseen = atomic_load_explicit(&s->unseen, memory_order_relaxed);
        bool same = l->known && version == l->version && unseen == l->unseen && !s->exposed;
        if (same && l->packed) continue;
        l->known = true;
        l->version = version;
        l->unseen = unseen;
        if (same && (l->panels || (l->panels = mem_alloc(l->bytes)))) {
            pack(l);
            point(p, n, l->panels);
            l->packed = true;
        } else if (l->packed) {
            point(p, n, NULL);
            l->packed = false;
        }
    }
}

void layout_pack(const ad_program *p, const instr *i) { pack(&p->layouts[i->layout - 1]); }

/* What call k reads: 0 its operands as they lie, 1 panels that are kept from run to run, 2 panels that a call
 * before it has packed, 3 panels that it packs itself. */
int ad_program_layout(intptr_t h, int64_t k) {
    const ad_program *p = (const ad_program *)h;
    if (k < 0 || k >= p->n || !p->code[k].layout) return 0;
    return p->layouts[p->code[k].layout - 1].kept ? 1 : p->code[k].packs ? 3 : 2;
}
