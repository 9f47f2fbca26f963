/* The thread pool.
 *
 * Idea: a parallel loop is a row of chunks behind one atomic word. Whoever is awake claims the next
 * chunk, the caller like any worker, so a thread that the system does not run costs its share of the
 * work and nothing else: no one ever waits for a worker that has not begun a chunk.
 *
 * That means a worker may look at a loop which ended long ago. Loops therefore live in static slots, and
 * the word a chunk is claimed from holds (generation, first and last unclaimed): a worker reads it, then what
 * to run, then claims by compare-and-swap. Were the slot given to another loop in between, the generation
 * differs and the claim fails, so what it read is never used. It is the scheme of a sequence lock with
 * the claim as its check.
 *
 * The caller claims from the front, workers from the end. So with two threads each meets the same part of
 * the data loop after loop, and finds in its cache what it put there the last time.
 *
 * Idle workers spin for a moment, because the next loop of a training step follows within microseconds,
 * then sleep in the kernel.
 *
 * Where others want the same processors (a second training run, say), more threads than there are processors
 * left only take turns: they wait for each other's chunks, spin in vain and clear each other's caches. So a
 * caller that had to wait for a processor works with fewer threads for a while, then tries again, as networks
 * avoid congestion (Chiu and Jain, 1989). Bits do not depend on the number of threads. Two
 * processes at once on two processors then do 3 to 25 % more of a ResNet's steps together, of linear
 * regression's and of AdamW's; an LSTM's stay as they are. One thread to each, bound to a processor each,
 * which is the most there is to reach, does up to a tenth more yet, since trying again costs. */
#define _GNU_SOURCE
#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_UNITS = 4096,        /* what is claimed at once is a chunk or, when there are many, several */
    SLOTS = 8,               /* loops that may run at once; one more caller runs alone */
    MAX_WORKERS = 1023,      /* threads ever created; a higher setting is accepted and not used */
    IDLE_SPIN_NS = 100000,   /* how long a worker without work spins before it sleeps */
    STEP_ASIDE_NS = 1000000, /* a worker changes its processor no more often than this */
    POLL_NS = 100000000,     /* a caller asks for Ctrl-C no more often than this */
    JOIN_SPIN_NS = 30000,    /* how long a caller spins for chunks still running elsewhere */
    WINDOW_NS = 20000000,    /* how often a caller asks whether it had to wait for a processor */
    HOLD_NS = 100000000,     /* how long it does with fewer threads then, at first, */
    MOST_HOLDS = 4,          /* and how many times as long after it tried in vain */
    CROWDED = 6,             /* a sixth of the window is too long a wait */
    WORKER_STACK = 1 << 20   /* bytes, at least */
};

/* A slot's word: generation << 32 | end << 16 | front; units front to end - 1 are still to be claimed. */
#define OPEN(generation, front, end) ((generation) << 32 | (uint64_t)(end) << 16 | (uint64_t)(front))
#define CLOSED(generation) OPEN(generation, 0, 0)
#define GENERATION(word) ((word) >> 32)
#define END(word) ((unsigned)(word) >> 16)
#define FRONT(word) ((unsigned)(word) & 0xffff)

typedef struct {
    /* What workers read; written by the owner only, and only while the word is closed. */
    _Alignas(64) atomic_uint_fast64_t word;
    atomic_uintptr_t fn, ctx;
    atomic_int_fast64_t n, grain, unit; /* elements: of the loop, of a chunk, of a unit */
    atomic_int busy;
    /* What workers write: on a line of its own. */
    _Alignas(64) atomic_uint done; /* units finished by workers */
    atomic_int waiting;            /* the owner sleeps on `done` */
} pool_slot;

static pool_slot slots[SLOTS];

static struct {
    _Alignas(64) atomic_uint count; /* of loops posted; idle workers watch it */
    atomic_int cpu;                 /* where the last one was posted */
} posted;
static _Alignas(64) atomic_uint sleepers; /* workers asleep on posted.count, or about to be */
static _Alignas(64) atomic_uint limit;    /* threads asked for, callers included; 0: not chosen yet */
static atomic_uint active;                /* of these, how many work at present */
static atomic_uint workers;               /* threads created */
static atomic_int oversubscribed;         /* more threads than processors: spinning would only harm */
static atomic_int adapts;                 /* `active` follows what others leave; not under a quota, where the
                                             system makes threads wait of whom there are not too many */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* creation of threads, change of the limit */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local int inside; /* this thread runs a chunk */

/* ---- sleeping ---- */

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>

static void sleep_while(atomic_uint *word, unsigned value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake(atomic_uint *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}
#else
static pthread_mutex_t sleep_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t sleep_cond = PTHREAD_COND_INITIALIZER;

static void sleep_while(atomic_uint *word, unsigned value) {
    pthread_mutex_lock(&sleep_lock);
    if (atomic_load(word) == value) pthread_cond_wait(&sleep_cond, &sleep_lock);
    pthread_mutex_unlock(&sleep_lock);
}

static void wake(atomic_uint *word, int count) {
    (void)word, (void)count;
    pthread_mutex_lock(&sleep_lock);
    pthread_cond_broadcast(&sleep_cond);
    pthread_mutex_unlock(&sleep_lock);
}
#endif

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Spins until *word leaves `value`; returns 0 when ns nanoseconds passed first. */
static int spin_while(atomic_uint *word, unsigned value, int64_t ns) {
    if (atomic_load_explicit(&oversubscribed, memory_order_relaxed)) ns = 0;
    for (int64_t end = 0;;) {
        for (int i = 0; i < 32; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != value) return 1;
            pool_pause();
        }
        int64_t t = now_ns();
        if (!end) end = t + ns;
        if (t >= end) return 0;
    }
}

/* ---- running ---- */

int (*pool_poll)(void);
static atomic_int any_cancelled; /* threads whose loops are being cut short */
static _Thread_local int cancelled, shielded;
static _Thread_local int64_t polled;

int pool_cancelled(void) {
    if (shielded || !pool_poll || cancelled) return cancelled && !shielded;
    int64_t t = now_ns();
    if (t - polled < POLL_NS) return 0;
    bool first = !polled;
    polled = t;
    if (first || !pool_poll()) return 0;
    atomic_fetch_add(&any_cancelled, 1);
    return cancelled = 1;
}

int pool_take_cancelled(void) {
    if (!atomic_load_explicit(&any_cancelled, memory_order_relaxed) || !cancelled) return 0;
    cancelled = 0;
    atomic_fetch_sub(&any_cancelled, 1);
    return 1;
}

int pool_shield(int on) {
    int was = shielded;
    shielded = on;
    return was;
}

static void run_range(int64_t begin, int64_t end, int64_t grain, pool_fn fn, void *ctx) {
    for (; end - begin > grain; begin += grain) {
        fn(begin, begin + grain, ctx);
        if (pool_cancelled()) return;
    }
    fn(begin, end, ctx);
}

/* Claims and runs units until none is left; returns how many. All are of one loop: it cannot end, and the
 * slot cannot change hands, before the units of the first claim are reported in `done`. */
static unsigned run_units(pool_slot *s, int from_end) {
    unsigned count = 0;
    uint64_t w = atomic_load_explicit(&s->word, memory_order_acquire);
    for (;;) {
        /* Acquire: having read a later loop's value, the claim below cannot miss its closed word. */
        pool_fn fn = (pool_fn)atomic_load_explicit(&s->fn, memory_order_acquire);
        void *ctx = (void *)atomic_load_explicit(&s->ctx, memory_order_acquire);
        int64_t n = (int64_t)atomic_load_explicit(&s->n, memory_order_acquire);
        int64_t grain = (int64_t)atomic_load_explicit(&s->grain, memory_order_acquire);
        int64_t unit = (int64_t)atomic_load_explicit(&s->unit, memory_order_acquire);
        unsigned front = FRONT(w), end = END(w);
        if (front >= end) return count;
        bool drop = !from_end && pool_cancelled(); /* claims all that is left, and runs none of it */
        uint64_t next = drop       ? CLOSED(GENERATION(w))
                        : from_end ? OPEN(GENERATION(w), front, end - 1)
                                   : OPEN(GENERATION(w), front + 1, end);
        if (!atomic_compare_exchange_strong_explicit(&s->word, &w, next, memory_order_acq_rel,
                                                     memory_order_acquire))
            continue; /* another took it, or the slot went to another loop, which is as good */
        if (drop) return count + (end - front);
        int64_t begin = (int64_t)(from_end ? end - 1 : front) * unit;
        run_range(begin, n - begin < unit ? n : begin + unit, grain, fn, ctx);
        count++;
        w = next;
    }
}

#ifdef __linux__
/* Is this the processor on which the last loop was posted? */
static int beside_poster(void) {
    return sched_getcpu() == atomic_load_explicit(&posted.cpu, memory_order_relaxed);
}

/* Some schedulers wake a thread on the processor of whoever woke it and leave it there, queued behind the
 * very caller that it is to help, while another processor idles. So a worker that finds itself where the
 * last loop was posted steps aside: it forbids itself that processor for a moment. */
static void step_aside(int64_t *not_before) {
    if (!beside_poster() || atomic_load_explicit(&oversubscribed, memory_order_relaxed)) return;
    int64_t t = now_ns();
    if (t < *not_before) return;
    *not_before = t + STEP_ASIDE_NS;
    cpu_set_t all;
    if (sched_getaffinity(0, sizeof all, &all)) return;
    cpu_set_t others = all;
    CPU_CLR(sched_getcpu(), &others);
    if (!CPU_COUNT(&others) || sched_setaffinity(0, sizeof others, &others)) return;
    sched_setaffinity(0, sizeof all, &all);
}
#else
static int beside_poster(void) { return 0; }
static void step_aside(int64_t *not_before) { (void)not_before; }
#endif

static void *worker_main(void *arg) {
    int64_t not_before = 0;
    unsigned id = (unsigned)(uintptr_t)arg;
    inside = shielded = 1;
    for (;;) {
        unsigned most = atomic_load(&active);
        if (id + 1 >= most) { /* not needed for now */
            sleep_while(&active, most);
            continue;
        }
        unsigned seen = atomic_load_explicit(&posted.count, memory_order_acquire);
        step_aside(&not_before);
        int found = 0;
        for (int i = 0; i < SLOTS; i++) {
            unsigned count = run_units(&slots[i], 1);
            if (!count) continue;
            found = 1;
            /* Past this addition the loop may be over: only the slot itself may be touched. */
            atomic_fetch_add(&slots[i].done, count);
            if (atomic_load(&slots[i].waiting)) wake(&slots[i].done, 1);
        }
        /* Spinning where the caller wants to run would keep it from posting anything. */
        if (found || spin_while(&posted.count, seen, beside_poster() ? 0 : IDLE_SPIN_NS)) continue;
        atomic_fetch_add(&sleepers, 1);
        sleep_while(&posted.count, seen);
        atomic_fetch_sub(&sleepers, 1);
    }
    return NULL;
}

/* ---- threads ---- */

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork_parent(void) { pthread_mutex_unlock(&lock); }

/* The child has this thread alone: forget the workers and every loop that others had begun. */
static void after_fork_child(void) {
    atomic_store(&workers, 0);
    atomic_store(&sleepers, 0);
    for (int i = 0; i < SLOTS; i++) {
        uint64_t generation = GENERATION(atomic_load(&slots[i].word)) + 1;
        atomic_store(&slots[i].word, CLOSED(generation));
        atomic_store(&slots[i].done, 0);
        atomic_store(&slots[i].waiting, 0);
        atomic_store(&slots[i].busy, 0);
    }
#ifndef __linux__
    pthread_mutex_init(&sleep_lock, NULL);
    pthread_cond_init(&sleep_cond, NULL);
#endif
    pthread_mutex_init(&lock, NULL);
}

static int processors(void);
static int quota_processors(int most);

static void set_limit(int n) {
    atomic_store(&oversubscribed, n > processors());
    atomic_store(&limit, (unsigned)n);
    atomic_store(&active, (unsigned)n);
}

static void initialize(void) {
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    set_limit(pool_default_num_threads());
    atomic_store(&adapts, quota_processors(INT_MAX) == INT_MAX);
}

/* Wakes those who have to look at `active` again. Those that became needed sleep on it; those that are no
 * longer must leave posted.count, or they would swallow wake-ups meant for others. */
static void active_changed(void) {
    atomic_fetch_add(&posted.count, 1);
    wake(&active, MAX_WORKERS);
    wake(&posted.count, MAX_WORKERS);
}

/* ---- in company ---- */

/* How long this thread has waited for a processor while it could have run, in nanoseconds; -1: unknown. */
static int64_t waited(void) {
#ifdef __linux__
    char text[96];
    int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return -1;
    text[n] = 0;
    char *second = strchr(text, ' '); /* time run, time waited, turns */
    return second ? strtoll(second, NULL, 10) : -1;
#else
    return -1;
#endif
}

/* How many threads this loop may have. */
static unsigned threads_now(void) {
    static _Thread_local struct {
        int64_t begin, waited;
    } window;
    static atomic_int_fast64_t hold, until; /* for how long with fewer threads, and until when */
    unsigned most = (unsigned)pool_num_threads();
    if (most == 1 || !atomic_load_explicit(&adapts, memory_order_relaxed)) return most;
    unsigned now = atomic_load_explicit(&active, memory_order_relaxed);
    int64_t t = now_ns(), length = t - window.begin;
    if (length < WINDOW_NS) return now;
    int64_t all = waited(), wait = all - window.waited;
    bool first = !window.begin;
    window.begin = t;
    window.waited = all;
    if (first || all < 0) return now;
    int64_t held = atomic_load(&hold);
    unsigned next = now, step = now / 4 + 1;
    if (wait > length / CROWDED) {
        if (now > 1) next = now - (now + 2) / 4;
        held = !held ? HOLD_NS : held < MOST_HOLDS * (int64_t)HOLD_NS ? 2 * held : held;
        atomic_store(&hold, held);
        atomic_store(&until, t + held);
    } else if (t >= atomic_load(&until)) {
        if (now < most) atomic_store(&until, t + WINDOW_NS); /* a window to see how it goes */
        else if (t >= atomic_load(&until) + HOLD_NS) atomic_store(&hold, 0);
        next = now + step < most ? now + step : most;
    }
    if (next > most) next = most;
    if (next != now && atomic_compare_exchange_strong(&active, &now, next)) active_changed();
    return atomic_load(&active);
}

int pool_threads_at_work(void) {
    pool_num_threads();
    return (int)atomic_load(&active);
}

static void create_workers(unsigned wanted) {
    if (wanted > MAX_WORKERS) wanted = MAX_WORKERS;
    pthread_mutex_lock(&lock);
    unsigned have = atomic_load(&workers);
    if (have < wanted) {
        /* Signals belong to the threads of the program, which knows what to do with them. */
        sigset_t all, old;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        pthread_attr_t attr;
        pthread_attr_init(&attr);
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        size_t stack = 0; /* musl gives 128 KB, and kernels pack their panels there */
        if (!pthread_attr_getstacksize(&attr, &stack) && stack < WORKER_STACK)
            pthread_attr_setstacksize(&attr, WORKER_STACK);
        for (; have < wanted; have++) {
            pthread_t thread;
            if (pthread_create(&thread, &attr, worker_main, (void *)(uintptr_t)have)) break;
        }
        pthread_attr_destroy(&attr);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        /* Threads that the system refused are not asked for again at every loop. */
        atomic_store(&workers, wanted);
    }
    pthread_mutex_unlock(&lock);
}

/* ---- the interface ---- */

static pool_slot *take_slot(void) {
    for (int i = 0; i < SLOTS; i++) {
        int free = 0;
        if (!atomic_load_explicit(&slots[i].busy, memory_order_relaxed) &&
            atomic_compare_exchange_strong_explicit(&slots[i].busy, &free, 1, memory_order_acq_rel,
                                                    memory_order_relaxed))
            return &slots[i];
    }
    return NULL;
}

void pool_parallel_for(int64_t n, int64_t grain, pool_fn fn, void *ctx) {
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    if (atomic_load_explicit(&any_cancelled, memory_order_relaxed) && cancelled && !shielded) return;
    if (n <= grain) {
        fn(0, n, ctx);
        return;
    }
    unsigned threads = inside ? 1 : threads_now();
    pool_slot *s;
    if (threads == 1 || !(s = take_slot())) {
        run_range(0, n, grain, fn, ctx);
        return;
    }
    int64_t chunks = n / grain + (n % grain != 0);
    int64_t unit = grain * (chunks / MAX_UNITS + (chunks % MAX_UNITS != 0));
    unsigned units = (unsigned)(n / unit + (n % unit != 0));
    unsigned needed = threads - 1;
    if (atomic_load_explicit(&workers, memory_order_relaxed) < needed) {
        if (needed <= MAX_WORKERS || atomic_load(&workers) < MAX_WORKERS) create_workers(needed);
    }

    /* Close the word under a new generation, describe the loop, open it at unit 1: unit 0 is ours. */
    uint64_t generation = GENERATION(atomic_load_explicit(&s->word, memory_order_relaxed)) + 1;
    atomic_store_explicit(&s->word, CLOSED(generation), memory_order_relaxed);
    atomic_store_explicit(&s->done, 0, memory_order_relaxed);
    atomic_store_explicit(&s->waiting, 0, memory_order_relaxed);
    atomic_store_explicit(&s->fn, (uintptr_t)fn, memory_order_release);
    atomic_store_explicit(&s->ctx, (uintptr_t)ctx, memory_order_release);
    atomic_store_explicit(&s->n, n, memory_order_release);
    atomic_store_explicit(&s->grain, grain, memory_order_release);
    atomic_store_explicit(&s->unit, unit, memory_order_release);
    atomic_store_explicit(&s->word, OPEN(generation, 1, units), memory_order_release);
#ifdef __linux__
    atomic_store_explicit(&posted.cpu, sched_getcpu(), memory_order_relaxed);
#endif
    atomic_fetch_add(&posted.count, 1);
    unsigned asleep = atomic_load(&sleepers);
    if (asleep) wake(&posted.count, (int)(units - 1 < asleep ? units - 1 : asleep));

    inside = 1;
    run_range(0, unit < n ? unit : n, grain, fn, ctx);
    unsigned mine = 1 + run_units(s, 0);
    inside = 0;

    unsigned theirs = units - mine, done;
    while ((done = atomic_load_explicit(&s->done, memory_order_acquire)) != theirs) {
        if (spin_while(&s->done, done, JOIN_SPIN_NS)) continue;
        atomic_store(&s->waiting, 1);
        if (atomic_load(&s->done) == done) sleep_while(&s->done, done);
    }
    atomic_store_explicit(&s->busy, 0, memory_order_release);
}

int pool_num_threads(void) {
    unsigned n = atomic_load_explicit(&limit, memory_order_relaxed);
    if (n) return (int)n;
    pthread_once(&once, initialize);
    return (int)atomic_load(&limit);
}

int pool_set_num_threads(int n) {
    if (n < 1) return -1;
    pthread_once(&once, initialize);
    pthread_mutex_lock(&lock);
    set_limit(n);
    pthread_mutex_unlock(&lock);
    active_changed();
    return 0;
}

/* ---- how many threads ---- */

static int processors(void) {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : (int)n;
}

/* Reads up to two numbers from a small file; "max" reads as -1. Returns how many. */
static int read_numbers(const char *dir, const char *file, int64_t out[2]) {
    char path[4200], a[32], b[32];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, file) >= sizeof path) return 0;
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    int got = fscanf(f, "%31s %31s", a, b);
    fclose(f);
    if (got >= 1) out[0] = strcmp(a, "max") ? strtoll(a, NULL, 10) : -1;
    if (got >= 2) out[1] = strtoll(b, NULL, 10);
    return got < 0 ? 0 : got;
}

/* The quota of the control group at root/path and of those around it, in whole processors; `most` when
 * there is none. Inside a container the path may be the host's, and only root itself exists. */
static int group_quota(const char *root, const char *path, int v2, int most) {
    char dir[4096];
    if ((size_t)snprintf(dir, sizeof dir, "%s%s", root, path) >= sizeof dir) return most;
    for (size_t floor = strlen(root);;) {
        int64_t quota[2] = {-1, 0}, period[2] = {0, 0};
        if (v2) {
            if (read_numbers(dir, "cpu.max", quota) == 2) period[0] = quota[1];
        } else if (read_numbers(dir, "cpu.cfs_quota_us", quota)) {
            read_numbers(dir, "cpu.cfs_period_us", period);
        }
        if (quota[0] > 0 && period[0] > 0) {
            int64_t whole = quota[0] / period[0] + (quota[0] % period[0] != 0);
            if (whole < most) most = (int)whole;
        }
        char *slash = strrchr(dir, '/');
        if (!slash || (size_t)(slash - dir) < floor) return most;
        *slash = 0;
    }
}

static int has_word(const char *list, const char *word) {
    size_t length = strlen(word);
    for (const char *p = list; (p = strstr(p, word)); p += length)
        if ((p == list || p[-1] == ',') && (p[length] == ',' || !p[length])) return 1;
    return 0;
}

static int quota_processors(int most) {
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (!f) return most;
    char line[4096];
    while (fgets(line, sizeof line, f)) { /* number:controllers:path */
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) continue;
        *controllers++ = 0;
        *path++ = 0;
        if (!*controllers) {
            most = group_quota("/sys/fs/cgroup", path, 1, most);
        } else if (has_word(controllers, "cpu")) {
            most = group_quota("/sys/fs/cgroup/cpu", path, 0, most);
            most = group_quota("/sys/fs/cgroup/cpu,cpuacct", path, 0, most);
        }
    }
    fclose(f);
    return most;
}

static int from_environment(const char *name) {
    const char *text = getenv(name);
    if (!text) return 0;
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10); /* OMP_NUM_THREADS may be a list: its first number counts */
    return end == text || errno || n < 1 || n > 1 << 20 ? 0 : (int)n;
}

int pool_default_num_threads(void) {
    int n = from_environment("AUTODIFFC_NUM_THREADS");
    if (!n) n = from_environment("OMP_NUM_THREADS");
    return n ? n : quota_processors(processors());
}
