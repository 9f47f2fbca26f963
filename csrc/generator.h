/* Generators of random numbers: the state of rng.h, a lock, and a count of references. */
#ifndef AD_GENERATOR_H
#define AD_GENERATOR_H

#include <pthread.h>
#include <stdatomic.h>
#include "core.h"
#include "rng.h"

typedef struct ad_generator {
    _Atomic int32_t refs;
    pthread_mutex_t lock; /* around every draw: two threads may share a generator */
    rng_state state;
} ad_generator;

/* A random row keeps its generator in this integer attribute; 0 is the default one. */
enum { AT_GENERATOR = 7 };

ad_generator *generator_of(const ad_attr *at);
/* References that a captured program holds; the default generator is never freed. */
void generator_keep(const ad_attr *at);
void generator_drop(const ad_attr *at);
/* Seeds the default generator from the system, and keeps its lock whole over fork(). Called once. */
void generator_start(void);

#endif
