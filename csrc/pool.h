/* The thread pool: one parallel loop, claimed in chunks by the caller and by sleeping workers. */
#ifndef AD_POOL_H
#define AD_POOL_H

#include <stdint.h>

typedef void (*pool_fn)(int64_t begin, int64_t end, void *ctx);

/* Calls fn over [0, n) in chunks of `grain` (the last may be shorter). The chunks depend on n and
 * grain alone, never on the number of threads. Runs on the caller alone when n <= grain, when one
 * thread is set, or when called from inside another parallel loop. */
void pool_parallel_for(int64_t n, int64_t grain, pool_fn fn, void *ctx);

/* Ctrl-C. The thread that a loop belongs to asks pool_poll now and then, when it is set; once it answers
 * nonzero, chunks that nobody has begun are left out, of this loop and of all that follow on the thread
 * until pool_take_cancelled(). */
extern int (*pool_poll)(void);
int pool_cancelled(void);      /* asks, at most every 100 ms */
int pool_take_cancelled(void); /* whether the thread's loops were cut short; and forgets it */
int pool_shield(int on);       /* on: this thread's loops always finish. Returns what it was. */

/* In a loop that waits for another thread. */
static inline void pool_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); /* a pause that does pause, unlike yield */
#endif
}

int pool_num_threads(void);         /* the caller included */
int pool_set_num_threads(int n);    /* n >= 1; returns 0, or -1 for a bad n */
int pool_threads_at_work(void);     /* fewer where others want the processors */
int pool_default_num_threads(void); /* from affinity and the cgroup quota */

#endif
