/* Tests of the thread pool; meant to run plain, under ThreadSanitizer and under AddressSanitizer. */
#define _GNU_SOURCE
#include "../../csrc/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(x)                                                                                             \
    do {                                                                                                     \
        if (!(x)) {                                                                                          \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                          \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Each element is visited once, and every chunk is where n and grain put it. */
typedef struct {
    int64_t n, grain;
    int *visits;
    atomic_int wrong;
} visit_ctx;

static void visit(int64_t begin, int64_t end, void *p) {
    visit_ctx *c = p;
    int64_t expected = begin + c->grain < c->n ? begin + c->grain : c->n;
    if (begin % c->grain || end != expected) atomic_store(&c->wrong, 1);
    for (int64_t i = begin; i < end; i++) c->visits[i]++;
}

static void check_loop(int64_t n, int64_t grain) {
    visit_ctx c = {.n = n, .grain = grain, .visits = calloc((size_t)n + 1, sizeof(int))};
    pool_parallel_for(n, grain, visit, &c);
    CHECK(!c.wrong);
    for (int64_t i = 0; i < n; i++) CHECK(c.visits[i] == 1);
    free(c.visits);
}

static void test_loops(void) {
    for (int threads = 1; threads <= 5; threads++) {
        CHECK(pool_set_num_threads(threads) == 0 && pool_num_threads() == threads);
        for (int64_t n = 0; n < 40; n++)
            for (int64_t grain = 1; grain < 12; grain++) check_loop(n, grain);
        check_loop(100000, 7);
        check_loop(1, 1 << 20);
    }
}

/* Whether the system says how long a thread waited for a processor, and does not itself make it wait. */
static int waits_are_known(void) {
    char quota[32] = "max";
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (f) {
        CHECK(fscanf(f, "%31s", quota) == 1);
        fclose(f);
    }
    return !access("/proc/thread-self/schedstat", R_OK) && !strcmp(quota, "max");
}

/* Of two threads that have one processor between them the caller goes on alone. In a child, whose
 * workers are made here and stay on that processor. */
static void test_crowded(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(sched_getcpu(), &one);
        CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
        CHECK(pool_set_num_threads(2) == 0 && pool_threads_at_work() == 2);
        int64_t end = now_ns() + (waits_are_known() ? 60000000000 : 100000000);
        while (pool_threads_at_work() == 2 && now_ns() < end) check_loop(100000, 7);
        CHECK(pool_num_threads() == 2);
        if (waits_are_known()) CHECK(pool_threads_at_work() == 1);
        CHECK(pool_set_num_threads(3) == 0 && pool_threads_at_work() == 3);
        check_loop(100000, 7);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A loop inside a loop runs on the thread that meets it, in the same chunks. */
static void nested_body(int64_t begin, int64_t end, void *p) {
    atomic_int *total = p;
    for (int64_t i = begin; i < end; i++) {
        check_loop(20, 3);
        atomic_fetch_add(total, 1);
    }
}

static void test_nested(void) {
    pool_set_num_threads(3);
    atomic_int total = 0;
    for (int i = 0; i < 50; i++) pool_parallel_for(16, 1, nested_body, &total);
    CHECK(total == 50 * 16);
}

static void *concurrent_main(void *p) {
    (void)p;
    for (int i = 0; i < 1500; i++) check_loop(1 + i % 50, 1 + i % 5);
    return NULL;
}

/* More callers than slots, so that some find none. */
static void test_concurrent(int threads) {
    pool_set_num_threads(threads);
    pthread_t thread[12];
    for (int i = 0; i < 12; i++) CHECK(pthread_create(&thread[i], NULL, concurrent_main, NULL) == 0);
    for (int i = 0; i < 12; i++) pthread_join(thread[i], NULL);
}

static void *resize_main(void *p) {
    atomic_int *stop = p;
    for (int i = 0; !atomic_load(stop); i++) {
        pool_set_num_threads(1 + i % 4);
        usleep(50);
    }
    return NULL;
}

static void test_resize_while_running(void) {
    atomic_int stop = 0;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, resize_main, &stop) == 0);
    for (int i = 0; i < 20000; i++) check_loop(8, 1);
    atomic_store(&stop, 1);
    pthread_join(thread, NULL);
}

/* The context lives on the stack and is poisoned at once: a late worker would read the poison. */
static __attribute__((noinline)) void short_loop(int64_t n) {
    struct {
        atomic_int sum;
        int64_t filler[8];
    } c = {0};
    pool_parallel_for(n, 1, nested_body, &c.sum);
    CHECK(c.sum == n);
    memset(&c, 0xff, sizeof c);
}

static void test_late_workers(void) {
    pool_set_num_threads(4);
    for (int i = 0; i < 3000; i++) {
        short_loop(2);
        if (i % 64 == 0) usleep(200); /* let the workers fall asleep */
    }
}

static void test_fork(void) {
    pool_set_num_threads(3);
    check_loop(100, 1);
    for (int round = 0; round < 5; round++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(20);
            for (int i = 0; i < 200; i++) check_loop(100, 3);
            pid_t grandchild = fork();
            if (grandchild == 0) {
                alarm(20);
                check_loop(100, 3);
                _exit(0);
            }
            int status = 1;
            waitpid(grandchild, &status, 0);
            _exit(status != 0);
        }
        int status = 1;
        waitpid(child, &status, 0);
        CHECK(status == 0);
        check_loop(100, 1);
    }
}

#ifdef __SANITIZE_THREAD__
/* By default ThreadSanitizer ends a child that creates threads. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) { return "die_after_fork=0"; }
#else
/* Forks while other threads are inside loops. */
static void test_fork_while_running(void) {
    pool_set_num_threads(3);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, concurrent_main, NULL) == 0);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            int visits[20] = {0}; /* no malloc here: another thread may have held its lock */
            visit_ctx c = {.n = 20, .grain = 3, .visits = visits};
            pool_parallel_for(20, 3, visit, &c);
            for (int k = 0; k < 20; k++)
                if (visits[k] != 1) _exit(1);
            _exit(c.wrong);
        }
        int status = 1;
        waitpid(child, &status, 0);
        CHECK(status == 0);
    }
    pthread_join(thread, NULL);
}
#endif

static void test_defaults(void) {
    CHECK(pool_set_num_threads(0) == -1 && pool_set_num_threads(-3) == -1);
    setenv("OMP_NUM_THREADS", "3,2", 1);
    CHECK(pool_default_num_threads() == 3);
    setenv("AUTODIFFC_NUM_THREADS", "5", 1);
    CHECK(pool_default_num_threads() == 5);
    setenv("AUTODIFFC_NUM_THREADS", "none", 1);
    CHECK(pool_default_num_threads() == 3);
    unsetenv("AUTODIFFC_NUM_THREADS");
    unsetenv("OMP_NUM_THREADS");
    int n = pool_default_num_threads();
    CHECK(n >= 1 && n <= sysconf(_SC_NPROCESSORS_CONF));
    printf("default threads: %d\n", n);
}

/* Two chunks of a given length: what the loop takes beyond one chunk is the price of sharing. */
static void busy(int64_t begin, int64_t end, void *p) {
    (void)begin, (void)end;
    int64_t until = now_ns() + *(int64_t *)p;
    while (now_ns() < until) {}
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void report_latency(void) {
    enum { ROUNDS = 2001 };
    static int64_t took[ROUNDS];
    pool_set_num_threads(pool_default_num_threads());
    for (int64_t length = 0; length <= 8000; length = length ? 2 * length : 1000) {
        for (int i = 0; i < ROUNDS; i++) {
            int64_t t = now_ns();
            pool_parallel_for(2, 1, busy, &length);
            took[i] = now_ns() - t;
        }
        qsort(took, ROUNDS, sizeof *took, compare);
        printf("two chunks of %lld ns: %lld ns (median)\n", (long long)length, (long long)took[ROUNDS / 2]);
    }
}

int main(void) {
    alarm(600);
    test_defaults();
    test_loops();
    test_nested();
    test_concurrent(3);
    test_concurrent(2);
    test_crowded();
    test_late_workers();
    test_resize_while_running();
    test_fork();
#ifndef __SANITIZE_THREAD__
    test_fork_while_running(); /* ThreadSanitizer's own runtime does not survive it */
#endif
    report_latency();
    puts("pool: ok");
    return 0;
}
