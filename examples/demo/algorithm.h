/* The names of the algorithms that choose legs, as the study has them. */
#ifndef DEMO_ALGORITHM_H
#define DEMO_ALGORITHM_H

#include <stdint.h>

/* Returns CIRCFLOW_ALGORITHM_*. Ends the process with a list of the names when there is no such name. */
uint8_t algorithm_find(const char *name);

/* The name of CIRCFLOW_ALGORITHM_*, "by-ux" for BY_UX, or "unknown". */
const char *algorithm_name(unsigned algorithm);

#endif
