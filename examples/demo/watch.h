/* make demo-padding: a circuit that nobody uses, and how regular its padding is. */
#ifndef DEMO_WATCH_H
#define DEMO_WATCH_H

#include "options.h"

/* Prints what it saw. The status for the shell. */
int watch_idle(const struct options *options);

#endif
