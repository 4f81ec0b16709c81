/* make demo-padding: a circuit without data, and how regular its padding is. */
#ifndef DEMO_WATCH_H
#define DEMO_WATCH_H

#include "options.h"

/* Prints the result. Returns the exit status. */
int watch_idle(const struct options *options);

#endif
