/* License: MIT OR Apache-2.0, as all of circflow. */

/**
 * @file seam_options.h
 * @brief How the tests of circflow set its options.
 **/

#ifndef TOR_SEAM_OPTIONS_H
#define TOR_SEAM_OPTIONS_H

#define CIRCFLOW_SYS_PRIVATE

#include "core/circflow/circflow_hooks.h"
#include "core/circflow/circflow_options_st.h"
#include "core/circflow/circflow_sys.h"

/** Sets one of the options, as its function does. */
static inline void
seam_set(void (*change)(circflow_options_t *, const char *), const char *value)
{
  static circflow_options_t options[2] = {
    { .CircflowPaddingHop = 2 }, { .CircflowPaddingHop = 2 }
  };
  static int n = 0;
  /* What was set before is compared with what is set now. */
  circflow_options_t *next = &options[(n + 1) % 2];
  *next = options[n % 2];
  n++;
  change(next, value);
  circflow_set_options(next);
}

static inline void
seam_change_algorithm(circflow_options_t *options, const char *value)
{
  options->CircflowLegAlgorithm = (char *) value;
}

static inline void
seam_change_machines(circflow_options_t *options, const char *value)
{
  options->CircflowPaddingClient = (char *) value;
  options->CircflowPaddingRelay = (char *) value;
}

/** NULL where nobody is to say what chooses legs. */
static inline void
seam_choose_by(const char *algorithm)
{
  seam_set(seam_change_algorithm, algorithm);
}

/** Client and relay pad with the machines of this file. */
static inline void
seam_pad_with(const char *path)
{
  seam_set(seam_change_machines, path);
}

/** Does padding keep what is sent? For tests that take the place of the
 * function that asks. */
static inline bool
seam_is_held(streamid_t stream_id, circuit_t *circ, uint8_t command,
             const char *body, size_t len, const crypt_path_t *layer)
{
  return flow_pad_holds(stream_id, circ, command, body, len, layer);
}

#endif /* !defined(TOR_SEAM_OPTIONS_H) */
