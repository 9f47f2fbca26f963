/* The vector layer against scalar code: partial access (against an inaccessible page), masks, minimum
 * and maximum with NaN, reductions, integer arithmetic. Built once per instruction set, as test_vmath.c. */
#include "isa_target.h"

#include <sys/mman.h>
#include <unistd.h>

static int failures;
#define CHECK(c)                                                                                             \
    do {                                                                                                     \
        if (!(c)) printf("%s: %s:%d: %s\n", ISA, __FILE__, __LINE__, #c), failures++;                        \
    } while (0)

/* The end of a writable page that an inaccessible one follows. */
static char *page_end(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + page, page, PROT_NONE) != 0) abort();
    return p + page;
}

#define CT f64
#include "../../csrc/kernels/vec.h"
#include "../../csrc/kernels/vmath.h"
#include "vec_cases.h"
#undef CT
#define CT f32
#include "../../csrc/kernels/vec.h"
#include "../../csrc/kernels/vmath.h"
#include "vec_cases.h"
#undef CT
#define CT i64
#include "../../csrc/kernels/vec.h"
#include "../../csrc/kernels/vmath.h"
#include "vec_cases.h"

static int64_t pow_wrapped(int64_t a, int64_t e) {
    uint64_t r = 1;
    for (; e > 0; e--) r *= (uint64_t)a;
    return (int64_t)r;
}

static void integers(void) {
    static const int64_t v[] = {0,  1,  -1, 2,  -2, 3,   -3,   7,         -7,        10,  63,
                                64, 65, -5, 12, 18, 100, -100, INT64_MIN, INT64_MAX, -64, 1000003};
    const int n = sizeof v / sizeof *v;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            int64_t a = v[i], b = v[j];
            V x = K(a), y = K(b);
            if (b == 0) {
                CHECK(v_floor_div(x, y)[0] == 0 && v_trunc_div(x, y)[0] == 0);
                CHECK(v_fmod(x, y)[0] == 0 || v_fmod(x, y)[0] == a);
            } else if (a == INT64_MIN && b == -1) {
                CHECK(v_floor_div(x, y)[0] == INT64_MIN && v_trunc_div(x, y)[0] == INT64_MIN);
                CHECK(v_fmod(x, y)[0] == 0 && v_remainder(x, y)[0] == 0);
            } else {
                int64_t q = a / b, r = a % b, adjust = r != 0 && (r < 0) != (b < 0);
                CHECK(v_trunc_div(x, y)[0] == q && v_fmod(x, y)[0] == r);
                CHECK(v_floor_div(x, y)[0] == q - adjust);
                CHECK(v_remainder(x, y)[0] == (adjust ? r + b : r));
            }
            if (b >= 0 && b <= 1000) CHECK(v_pow(x, y)[0] == pow_wrapped(a, b));
            if (b < 0) CHECK(v_pow(x, y)[0] == (a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0));
            int in = b >= 0 && b < 64;
            CHECK(v_shl(x, y)[0] == (in ? (int64_t)((uint64_t)a << b) : 0));
            CHECK(v_shr(x, y)[0] == (in ? a >> b : a >> 63));
            CHECK(v_add(x, y)[0] == (int64_t)((uint64_t)a + (uint64_t)b));
            CHECK(v_mul(x, y)[0] == (int64_t)((uint64_t)a * (uint64_t)b));
            CHECK(v_min(x, y)[0] == (a < b ? a : b) && v_max(x, y)[0] == (a > b ? a : b));
        }
}

int main(void) {
    if (!OFFERED) return 77;
    cases_f64();
    cases_f32();
    cases_i64();
    integers();
    printf("%-8s vector layer: %d failures\n", ISA, failures);
    return failures != 0;
}
#include "isa_target_end.h"
