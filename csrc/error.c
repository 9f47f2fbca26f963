/* The calling thread's last error: a class and a message. */
#include <stdarg.h>
#include <stdio.h>
#include "core.h"

static _Thread_local int error_class;
static _Thread_local char error_text[2048];

static void set(int cls, const char *fmt, va_list ap) {
    error_class = cls;
    vsnprintf(error_text, sizeof error_text, fmt, ap);
}

int ad_fail(int cls, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    set(cls, fmt, ap);
    va_end(ap);
    return -1;
}

void *ad_fail_null(int cls, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    set(cls, fmt, ap);
    va_end(ap);
    return NULL;
}

int ad_error_class(void) { return error_class; }
const char *ad_error_message(void) { return error_text; }

const char *fmt_sizes(int ndim, const int64_t *sizes) {
    static _Thread_local char ring[4][256];
    static _Thread_local int next;
    char *s = ring[next++ & 3];
    size_t used = 0, room = sizeof ring[0];
    used += (size_t)snprintf(s, room, "[");
    for (int d = 0; d < ndim && used < room - 24; d++)
        used += (size_t)snprintf(s + used, room - used, d ? ", %lld" : "%lld", (long long)sizes[d]);
    snprintf(s + used, room - used, "]");
    return s;
}
