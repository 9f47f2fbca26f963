/* Which processor this is, and so which kernels run. Compiled for the baseline. */
#include "kernels/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

const kern_table *kern;
const bf16_kernels *kern_bf16;

typedef struct {
    const char *name;
    const kern_table *table;
    const bf16_kernels *bf16;
    int offered;
} isa_choice;

#ifdef __x86_64__
typedef struct {
    unsigned sse42, avx, f16c, fma, avx2, avx512f, avx512bw, avx512dq, avx512vl, avx512_vnni, avx512_bf16;
    unsigned os_ymm, os_zmm; /* the system saves these registers on a context switch */
} features;

static features detect(void) {
    features f = {0};
    unsigned a, b, c, d, leaves = __get_cpuid_max(0, NULL);
    if (leaves < 1) return f;
    __cpuid(1, a, b, c, d);
    f.sse42 = c >> 20 & 1;
    f.fma = c >> 12 & 1;
    f.avx = c >> 28 & 1;
    f.f16c = c >> 29 & 1;
    if (c >> 27 & 1) { /* OSXSAVE: XGETBV may be used */
        unsigned lo, hi;
        __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
        f.os_ymm = (lo & 0x06) == 0x06; /* xmm, ymm */
        f.os_zmm = (lo & 0xe6) == 0xe6; /* and opmask, upper zmm, zmm16 to zmm31 */
    }
    if (leaves < 7) return f;
    __cpuid_count(7, 0, a, b, c, d);
    f.avx2 = b >> 5 & 1;
    f.avx512f = b >> 16 & 1;
    f.avx512dq = b >> 17 & 1;
    f.avx512bw = b >> 30 & 1;
    f.avx512vl = b >> 31 & 1;
    f.avx512_vnni = c >> 11 & 1;
    if (a >= 1) {
        __cpuid_count(7, 1, a, b, c, d);
        f.avx512_bf16 = a >> 5 & 1;
    }
    return f;
}

static int list_isas(isa_choice *list) {
    features f = detect();
    int avx2 = f.os_ymm && f.avx && f.avx2 && f.fma;
    int avx512 = avx2 && f.os_zmm && f.avx512f && f.avx512bw && f.avx512dq && f.avx512vl;
    list[0] = (isa_choice){"avx512_bf16", &kern_avx512, &kern_avx512_bf16, avx512 && f.avx512_bf16};
    list[1] = (isa_choice){"avx512", &kern_avx512, NULL, avx512};
    list[2] = (isa_choice){"avx2", &kern_avx2, NULL, avx2};
    list[3] = (isa_choice){"sse2", &kern_sse2, NULL, 1};
    return 4;
}

static void list_features(char *to, size_t size) {
    features f = detect();
    const struct {
        const char *name;
        unsigned on;
    } all[] = {
        {"sse4.2", f.sse42},
        {"avx", f.avx && f.os_ymm},
        {"f16c", f.f16c && f.os_ymm},
        {"fma", f.fma && f.os_ymm},
        {"avx2", f.avx2 && f.os_ymm},
        {"avx512f", f.avx512f && f.os_zmm},
        {"avx512bw", f.avx512bw && f.os_zmm},
        {"avx512dq", f.avx512dq && f.os_zmm},
        {"avx512vl", f.avx512vl && f.os_zmm},
        {"avx512_vnni", f.avx512_vnni && f.os_zmm},
        {"avx512_bf16", f.avx512_bf16 && f.os_zmm},
    };
    snprintf(to, size, "x86-64: sse2");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        size_t used = strlen(to);
        if (all[i].on) snprintf(to + used, size - used, " %s", all[i].name);
    }
}

/* The brand string, with the blanks that pad it cut away; empty where there is none. */
static void processor_name(char *to, size_t size) {
    unsigned r[13] = {0};
    if ((unsigned)__get_cpuid_max(0x80000000u, NULL) >= 0x80000004u)
        for (unsigned i = 0; i < 3; i++)
            __cpuid(0x80000002u + i, r[4 * i], r[4 * i + 1], r[4 * i + 2], r[4 * i + 3]);
    const char *s = (const char *)r;
    snprintf(to, size, "%s", s + strspn(s, " "));
    for (size_t n = strlen(to); n && to[n - 1] == ' ';) to[--n] = 0;
}

#elif defined(__aarch64__)

static int list_isas(isa_choice *list) {
    list[0] = (isa_choice){"neon", &kern_neon, NULL, 1};
    return 1;
}
static void list_features(char *to, size_t size) { snprintf(to, size, "aarch64: neon"); }
static void processor_name(char *to, size_t size) { snprintf(to, size, "%s", ""); }

#else
#error "autodiffc needs x86-64 or 64-bit ARM"
#endif

int kern_select(const char **why) {
    static char message[256];
    isa_choice list[4];
    int n = list_isas(list);
    const char *want = getenv("AUTODIFFC_ISA");
    if (want && !*want) want = NULL;
    for (int i = 0; i < n; i++) {
        if (want ? strcmp(want, list[i].name) != 0 : !list[i].offered) continue;
        if (!list[i].offered) {
            snprintf(message, sizeof message, "AUTODIFFC_ISA=%s: this processor does not offer it", want);
            if (why) *why = message;
            return -1;
        }
        kern = list[i].table;
        kern_bf16 = list[i].bf16;
        return 0;
    }
    int used = snprintf(message, sizeof message, "AUTODIFFC_ISA=%.40s is unknown here; choose from", want);
    for (int i = 0; i < n; i++)
        if (list[i].offered)
            used += snprintf(message + used, sizeof message - (size_t)used, " %s", list[i].name);
    if (why) *why = message;
    return -1;
}

const char *cpu_describe(void) {
    static char text[512];
    char name[64], features[256];
    processor_name(name, sizeof name);
    list_features(features, sizeof features);
    snprintf(text, sizeof text, "%s%s%s; kernels: %s", name, *name ? "; " : "", features,
             kern ? kern->name : "not chosen yet");
    return text;
}
