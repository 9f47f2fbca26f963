/* What the planner knows of a program: one value for each storage that it touches. */
#ifndef AD_PLAN_H
#define AD_PLAN_H

#include "program.h"

typedef struct value {
    ad_storage *s;
    int64_t first, last; /* calls that touch it first and last */
    int64_t writes;      /* how many calls write it */
    bool made_here;      /* a call writes it before any reads it */
    bool internal;       /* so it is, and nobody else holds it */
    bool constant;       /* computed once, when the step was recorded */
    bool returned;       /* internal, but computed in memory that the caller gets */
    bool live;
    size_t place;
    int64_t in_place_of; /* the value whose memory it takes over while a call computes it; -1 for none */
} value;

typedef struct plan {
    ad_program *p;
    value *v;
    int64_t n, cap;
    int64_t *table; /* open addressing by storage: index + 1 */
    int64_t ntable;
} plan;

value *plan_value(const plan *w, const ad_storage *s);
/* Whether a call gives its output all of its values: then what was there before does not matter. */
bool plan_overwrites(const instr *i, const ad_tensor *out);
/* Puts one of the program's tensors on another storage. */
void plan_move(ad_tensor *t, ad_storage *to);

/* simplify.c */
void fold_constants(plan *w);
int share_calls(plan *w); /* -1 with the error set when memory runs out */

#endif
