/* License: MIT OR Apache-2.0, as all of circflow. */

/**
 * @file circflow_stub.c
 * @brief The options of circflow in a tor that is built without it, which are
 *   known, and warned of.
 **/

#include "orconfig.h"

#include "core/circflow/circflow_sys.h"
#include "lib/conf/confdecl.h"
#include "lib/conf/conftypes.h"
#include "lib/subsys/subsys.h"

#define CONF_CONTEXT STUB_TABLE
#include "core/circflow/circflow_options.inc"
#undef CONF_CONTEXT

static const config_format_t circflow_options_stub_fmt = {
  .vars = circflow_options_t_vars,
};

const struct subsys_fns_t sys_circflow = {
  SUBSYS_DECLARE_LOCATION(),

  .name = "circflow",
  .supported = false,
  .level = CIRCFLOW_SUBSYS_LEVEL,
  .options_format = &circflow_options_stub_fmt,
};
