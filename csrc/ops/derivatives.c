/* The gradient and tangent rules of elementwise rows, expanded from elementwise.def. */
#include <ctype.h>
#include <math.h>
#include <string.h>
#include "../core.h"
#include "../kernels/constants.h"
#include "declare.h"

/* In the rules: g is the incoming gradient (or tangent), a, b, c the operands (x is a), y the result. */
typedef ad_tensor *(*derivative)(ad_em *E, ad_tensor *g, ad_tensor *a, ad_tensor *b, ad_tensor *c,
                                 ad_tensor *y);

#include "derivative_names.h"
#define RULE(name, k, expr)                                                                                  \
    static ad_tensor *rule_##name##_##k(ad_em *E, ad_tensor *g, ad_tensor *a, ad_tensor *b, ad_tensor *c,    \
                                        ad_tensor *y) {                                                      \
        ad_tensor *x = a;                                                                                    \
        (void)E, (void)g, (void)x, (void)b, (void)c, (void)y;                                                \
        return expr;                                                                                         \
    }
#define EW1(name, types, body, promo, dx, doc) RULE(name, 0, dx)
#define EW2(name, types, body, promo, da, db, doc) RULE(name, 0, da) RULE(name, 1, db)
#define EW3(name, types, body, promo, da, db, dc, doc) RULE(name, 0, da) RULE(name, 1, db) RULE(name, 2, dc)
#define SEL3(name, types, body, promo, da, db, doc) RULE(name, 0, ZERO) RULE(name, 1, da) RULE(name, 2, db)
#define CMP1(...)
#define CMP2(...)
#include "elementwise.def"
#undef EW1
#undef EW2
#undef EW3
#undef SEL3

static const struct row_rules {
    derivative rule[3];
    const char *text[3]; /* as written, to see which operands it reads */
} rows[EW_ROWS] = {
#define EW1(name, types, body, promo, dx, doc) [EW_##name] = {{rule_##name##_0}, {#dx}},
#define EW2(name, types, body, promo, da, db, doc)                                                           \
    [EW_##name] = {{rule_##name##_0, rule_##name##_1}, {#da, #db}},
#define EW3(name, types, body, promo, da, db, dc, doc)                                                       \
    [EW_##name] = {{rule_##name##_0, rule_##name##_1, rule_##name##_2}, {#da, #db, #dc}},
#define SEL3(name, types, body, promo, da, db, doc)                                                          \
    [EW_##name] = {{rule_##name##_0, rule_##name##_1, rule_##name##_2}, {"", #da, #db}},
#include "elementwise.def"
#undef EW1
#undef EW2
#undef EW3
#undef SEL3
#undef CMP1
#undef CMP2
};

/* What each derivative reads: SA, SB, SC, SY, from the names in its text. Filled when the library loads. */
static uint32_t reads[EW_ROWS][3];

static uint32_t names_in(const char *p) {
    uint32_t mask = 0;
    while (*p) {
        const char *from = p;
        while (isalnum((unsigned char)*p) || *p == '_') p++;
        if (p - from == 1)
            mask |= *from == 'a' || *from == 'x' ? SA
                    : *from == 'b'               ? SB
                    : *from == 'c'               ? SC
                    : *from == 'y'               ? SY
                                                 : 0;
        if (p == from) p++;
    }
    return mask;
}

__attribute__((constructor)) static void on_load(void) {
    for (int r = 0; r < EW_ROWS; r++)
        for (int k = 0; k < 3; k++)
            if (rows[r].text[k]) reads[r][k] = names_in(rows[r].text[k]);
}

uint32_t ew_saves(const ad_call *c) {
    uint32_t mask = 0;
    for (int i = 0; i < c->nin; i++)
        if (dtype_is_float(c->in[i]->dtype) && tensor_wants_grad(c->in[i])) mask |= reads[c->op->row][i];
    return mask;
}

void ew_vjp(ad_vjp *v) {
    int row = v->node->op->row;
    for (int i = 0; i < v->nin && !v->E.failed; i++) {
        if (!vjp_needs(v, i)) continue;
        uint32_t need = reads[row][i];
        ad_tensor *a = need & SA ? vjp_in(v, 0) : NULL, *b = need & SB ? vjp_in(v, 1) : NULL;
        ad_tensor *c = need & SC ? vjp_in(v, 2) : NULL, *y = need & SY ? vjp_out(v, 0) : NULL;
        if (v->E.failed) return;
        const ad_meta *m = vjp_meta(v, i);
        ad_tensor *d = rows[row].rule[i](&v->E, v->g[0], a, b, c, y);
        v->gin[i] = em_cast(&v->E, em_sum_to(&v->E, d, m->ndim, m->sizes), m->dtype);
    }
}

void ew_jvp(ad_jvp *j) {
    const ad_call *c = j->c;
    ad_tensor *x[3] = {NULL, NULL, NULL}, *y = c->out[0], *sum = NULL;
    for (int i = 0; i < c->nin; i++) x[i] = c->in[i];
    for (int i = 0; i < c->nin && !j->E.failed; i++) {
        if (!j->t[i]) continue;
        ad_tensor *t = em_expand(&j->E, em_cast(&j->E, j->t[i], y->dtype), y->ndim, y->sizes);
        ad_tensor *d = rows[c->op->row].rule[i](&j->E, t, x[0], x[1], x[2], y);
        if (d) sum = sum ? em2(&j->E, OP_add, sum, d) : d;
    }
    j->tout[0] = sum;
}
