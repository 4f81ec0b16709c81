/* The padding machines that the demo can run: examples/machines/NAME.txt for both ends, or NAME-client.txt and
 * NAME-exit.txt where the ends differ. NAME may also be a path: of a file, or of such a pair without the endings. */
#ifndef DEMO_MACHINES_H
#define DEMO_MACHINES_H

/* The other end is the exit; or, where only padding is watched, the middle relay. */
enum { AT_CLIENT, AT_OTHER, ENDS, MACHINES_PATH_CAP = 512 };

/* Finds the files with that name, for each end. An unknown name ends the process, with a list of the known names. */
void machines_find(const char *name, char paths[ENDS][MACHINES_PATH_CAP]);

#endif
