#include "generator.h"
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "program.h"

static ad_generator standard = {.refs = 1, .lock = PTHREAD_MUTEX_INITIALIZER};

static void before_fork(void) { pthread_mutex_lock(&standard.lock); }
static void after_fork(void) { pthread_mutex_unlock(&standard.lock); }

void generator_start(void) {
    static atomic_flag started = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set(&started)) return;
    uint64_t seed = 0;
    FILE *f = fopen("/dev/urandom", "rb");
    if (!f || fread(&seed, sizeof seed, 1, f) !=
                  1) { /* no such device in this sandbox: the clock and the process */
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        seed = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u ^ (uint64_t)now.tv_sec ^ (uint64_t)getpid() << 32;
    }
    if (f) fclose(f);
    rng_seed(&standard.state, seed);
    pthread_atfork(before_fork, after_fork, after_fork);
}

ad_generator *generator_of(const ad_attr *at) {
    ad_generator *g = (ad_generator *)(intptr_t)at->i[AT_GENERATOR];
    return g ? g : &standard;
}

static void unref(ad_generator *g) {
    if (g == &standard || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1) return;
    pthread_mutex_destroy(&g->lock);
    mem_free(g, sizeof *g);
}

void generator_keep(const ad_attr *at) {
    atomic_fetch_add_explicit(&generator_of(at)->refs, 1, memory_order_relaxed);
}
void generator_drop(const ad_attr *at) { unref(generator_of(at)); }

/* ---- entry points ---- */

intptr_t ad_generator_default(void) { return (intptr_t)&standard; }

intptr_t ad_generator_new(void) {
    ad_generator *g = mem_alloc(sizeof *g);
    if (!g) return 0;
    memset(g, 0, sizeof *g);
    atomic_init(&g->refs, 1);
    pthread_mutex_init(&g->lock, NULL);
    rng_seed(&g->state, RNG_DEFAULT_SEED);
    return (intptr_t)g;
}

void ad_generator_free(intptr_t h) { unref((ad_generator *)h); }

int ad_generator_seed(intptr_t h, uint64_t seed) {
    ad_generator *g = (ad_generator *)h;
    if (tls.capture && program_refuse("seeding a generator")) return -1;
    pthread_mutex_lock(&g->lock);
    rng_seed(&g->state, seed);
    pthread_mutex_unlock(&g->lock);
    return 0;
}

uint64_t ad_generator_initial_seed(intptr_t h) {
    ad_generator *g = (ad_generator *)h;
    pthread_mutex_lock(&g->lock);
    uint64_t seed = g->state.seed;
    pthread_mutex_unlock(&g->lock);
    return seed;
}

int ad_generator_get_state(intptr_t h, uint8_t *bytes) {
    ad_generator *g = (ad_generator *)h;
    if (tls.capture && program_refuse("reading a generator's state")) return -1;
    pthread_mutex_lock(&g->lock);
    rng_get_state(&g->state, bytes);
    pthread_mutex_unlock(&g->lock);
    return 0;
}

int ad_generator_set_state(intptr_t h, const uint8_t *bytes, int64_t n) {
    ad_generator *g = (ad_generator *)h;
    if (tls.capture && program_refuse("setting a generator's state")) return -1;
    if (n != RNG_STATE_BYTES)
        return ad_fail(
            AD_ERR_RUNTIME,
            "Expected a CPUGeneratorImplState of size %d but found the input RNG state size to be %lld",
            RNG_STATE_BYTES, (long long)n);
    pthread_mutex_lock(&g->lock);
    int status = rng_set_state(&g->state, bytes, (size_t)n);
    pthread_mutex_unlock(&g->lock);
    return status ? ad_fail(AD_ERR_RUNTIME, "Invalid mt19937 state") : 0;
}
