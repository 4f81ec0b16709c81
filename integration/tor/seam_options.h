/* How the tests of the seam set what the adapter asks for: in a tor of which no line is changed, by environment variables.
 * The patch has a file of its own with the same functions (patch/new/src/test/seam_options.h). */
#ifndef TOR_SEAM_OPTIONS_H
#define TOR_SEAM_OPTIONS_H

#include <stdlib.h>

static inline void
seam_set(const char *name, const char *value)
{
  if (value)
    setenv(name, value, 1);
  else
    unsetenv(name);
}

/* NULL where nobody is to say what chooses legs. */
static inline void
seam_choose_by(const char *algorithm)
{
  seam_set("CIRCFLOW_ALGORITHM", algorithm);
}

/* Client and relay pad with the machines of this file. */
static inline void
seam_pad_with(const char *path)
{
  seam_set("CIRCFLOW_TOR_PADDING_CLIENT", path);
  seam_set("CIRCFLOW_TOR_PADDING_RELAY", path);
}

/* Does padding keep what is sent? Where no line of tor is changed, it was asked by then. */
#define seam_is_held(stream_id, circ, command, body, len, layer) \
  ((void) (stream_id), (void) (body), (void) (len), (void) (layer), false)

#endif /* !defined(TOR_SEAM_OPTIONS_H) */
