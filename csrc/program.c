/* Captured programs. */
#include "program.h"

int program_append(ad_call *c) {
    return ad_fail(AD_ERR_CAPTURE, "%s cannot be captured yet", c->op->name);
}

int program_refuse(const char *what) {
    return ad_fail(AD_ERR_CAPTURE, "%s cannot be captured: its result's shape depends on the data", what);
}
