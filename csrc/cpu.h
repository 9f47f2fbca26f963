/* The processor: see kernels/table.h for the choice of kernels. */
#ifndef AD_CPU_H
#define AD_CPU_H

/* One line for show_config(): the processor, what it offers, the kernels in use. The string belongs to
 * the library and is rewritten by each call. */
const char *cpu_describe(void);

#endif
