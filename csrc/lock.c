/* Short locks: one word, taken by spinning and then by giving up the processor.
 *
 * The word of a taken lock is the generation of its process, which grows at every fork: what a thread of
 * the parent held at that moment, and can never give back in the child, counts as free there. */
#include <pthread.h>
#include <sched.h>
#include "core.h"

uint32_t lock_generation = 1;

static void in_child(void) { lock_generation++; }
__attribute__((constructor)) static void on_load(void) { pthread_atfork(NULL, NULL, in_child); }

/* The holder may need the interpreter to go on: a thread that waits must not keep it. */
void lock_wait(ad_lock *l) {
    void *interpreter = interpreter_release();
    for (unsigned spins = 0;; spins++) {
        uint32_t now = atomic_load_explicit(l, memory_order_relaxed);
        if (now != lock_generation &&
            atomic_compare_exchange_weak_explicit(l, &now, lock_generation, memory_order_acquire,
                                                  memory_order_relaxed))
            break;
        if (spins > 100) sched_yield();
    }
    interpreter_take(interpreter);
}
