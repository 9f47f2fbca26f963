/* Autocast and the profiler: see watch.c and profile.c. */
#ifndef WATCH_H
#define WATCH_H

#include "core.h"

extern _Atomic int apply_watched; /* how many of them are on, in all threads */

/* apply() of op.c, without and with what watches */
int apply_row(const ad_op *op, int nin, ad_tensor *const *in, const ad_attr *at, ad_tensor **out,
              ad_tensor *target);
int apply_watched_row(const ad_op *op, int nin, ad_tensor *const *in, const ad_attr *at, ad_tensor **out,
                      ad_tensor *target);
/* apply_row() under the profiler (profile.c) */
int profiled(const ad_op *op, int nin, ad_tensor *const *in, const ad_attr *at, ad_tensor **out,
             ad_tensor *target);
int autocast_pause(void); /* off until resumed with what it returns: around gradient rules */
void autocast_resume(int dtype);

#endif
