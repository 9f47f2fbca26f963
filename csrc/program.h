/* Captured programs: what op.c tells the recorder. */
#ifndef AD_PROGRAM_H
#define AD_PROGRAM_H

#include "core.h"

/* Appends an executed call to the program that the thread captures; -1 with the error set. */
int program_append(ad_call *c);
/* Refuses an operation that cannot be replayed; returns -1 with the error set. */
int program_refuse(const char *what);

#endif
