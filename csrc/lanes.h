/* Small calls of a captured program side by side. */
#ifndef AD_LANES_H
#define AD_LANES_H

#include "program.h"

enum { LANE_CALLS = 64, MOST_LANES = 4 };

/* Calls [from, to) of a program, which threads take one by one as soon as those that they wait for are done.
 */
typedef struct lane_group {
    int64_t from, to;
    int n, lanes;
    double alone, together;     /* predicted nanoseconds, on one thread and on `lanes` */
    int64_t call[LANE_CALLS];   /* the live ones, those first that most of the time waits for */
    uint64_t needs[LANE_CALLS]; /* which others of the group each waits for */
    double took[2];             /* nanoseconds of late, one after the other and side by side; 0: not known */
    unsigned runs;
} lane_group;

/* Finds the groups that are worth it, before values are given their places; -1 without memory. */
int lanes_find(ad_program *p);
/* The first and the last call at which a value may be touched that is touched at call k. */
int64_t lanes_first(const ad_program *p, int64_t k);
int64_t lanes_last(const ad_program *p, int64_t k);
/* Once values have their places: what waits for what, and workspace for each lane; -1 without memory. */
int lanes_prepare(ad_program *p);
/* Runs a group; -1 with the error set when a call refuses the values that it reads: then none has run. */
int lanes_run(const ad_program *p, lane_group *g);
void lanes_free(ad_program *p);

#endif
