/* License: MIT OR Apache-2.0, as all of circflow. */

/**
 * @file seam_options.h
 * @brief How the tests of circflow set its options.
 **/

#ifndef TOR_SEAM_OPTIONS_H
#define TOR_SEAM_OPTIONS_H

#define CIRCFLOW_SYS_PRIVATE

#include "core/circflow/circflow_options_st.h"
#include "core/circflow/circflow_sys.h"

/** Sets the options as they are in <b>options</b>, which has to stay. */
static inline void
seam_set_options(char *algorithm, char *machines)
{
  static circflow_options_t options[2];
  static int n = 0;
  /* What was set before is compared with what is set now. */
  circflow_options_t *next = &options[n++ % 2];
  next->CircflowLegAlgorithm = algorithm;
  next->CircflowPaddingClient = machines;
  next->CircflowPaddingRelay = machines;
  next->CircflowPaddingHop = 2;
  circflow_set_options(next);
}

/** NULL where nobody is to say what chooses legs. */
static inline void
seam_choose_by(const char *algorithm)
{
  seam_set_options((char *) algorithm, NULL);
}

/** Client and relay pad with the machines of this file. */
static inline void
seam_pad_with(const char *path)
{
  seam_set_options(NULL, (char *) path);
}

#endif /* !defined(TOR_SEAM_OPTIONS_H) */
