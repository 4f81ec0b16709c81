/* License: MIT OR Apache-2.0, as all of circflow. */

/**
 * @file circflow_sys.c
 * @brief circflow as a subsystem of tor: its options, and its metrics.
 *
 * The rest of this folder is an adapter that knows no configuration. It asks
 * by the functions of circflow_hooks.h that begin with flow_option_.
 **/

#define CIRCFLOW_SYS_PRIVATE

#include "core/or/or.h"

#include "app/config/config.h"
#include "core/circflow/circflow_hooks.h"
#include "core/circflow/circflow_options_st.h"
#include "core/circflow/circflow_sys.h"
#include "lib/conf/conftypes.h"
#include "lib/fs/files.h"
#include "lib/log/escape.h"
#include "lib/subsys/subsys.h"

#include <circflow.h>

#define CONF_CONTEXT TABLE
#include "core/circflow/circflow_options.inc"
#undef CONF_CONTEXT

/** Magic number for circflow_options_t. */
#define CIRCFLOW_OPTIONS_MAGIC 0x63666c77

/** The options of now. They are those of or_options_t, which frees them. */
static const circflow_options_t *options_now = NULL;

/** Files of padding machines. They are read when the configuration is looked
 * at first, and never again: later the sandbox may be on. */
static struct machines_file_t {
  char *path;
  char *text;
} machines_files[2];

/** The text of the file <b>path</b>, which is kept as number <b>at</b>; NULL
 * if there is none, or if it cannot be read. */
static const char *
machines_read(int at, const char *path)
{
  struct machines_file_t *file = &machines_files[at];
  if (!path || !*path)
    return NULL;
  if (file->path && !strcmp(file->path, path))
    return file->text;
  char *text = read_file_to_str(path, 0, NULL);
  if (!text)
    return NULL;
  tor_free(file->path);
  tor_free(file->text);
  file->path = tor_strdup(path);
  file->text = text;
  return text;
}

/** Are there padding machines in <b>text</b>? If not, says why. */
static bool
machines_will_do(const char *text, char *why, size_t why_len)
{
  struct circflow_engine_config config;
  struct circflow_engine *engine = NULL;
  struct circflow_machines_id machines;
  if (circflow_engine_config_init(&config, sizeof(config)) != CIRCFLOW_OK ||
      circflow_engine_new(&config, &engine) != CIRCFLOW_OK) {
    strlcpy(why, "no engine", why_len);
    return false;
  }
  int32_t status =
    circflow_machines_load(engine, text, strlen(text), &machines);
  if (status != CIRCFLOW_OK) {
    char detail[160] = "";
    (void) circflow_engine_get_last_detail(engine, detail, sizeof(detail),
                                           NULL);
    tor_snprintf(why, why_len, "%s (%s)", circflow_status_text(status),
                 detail);
  }
  (void) circflow_engine_free(engine, NULL, NULL);
  return status == CIRCFLOW_OK;
}

/** Looks at the file of padding machines of one option. 0, or -1 with a
 * message. */
static int
machines_validate(int at, const char *option, const char *path, char **msg)
{
  char why[512] = "";
  if (!path || !*path)
    return 0;
  const char *text = machines_read(at, path);
  if (!text) {
    tor_asprintf(msg, "%s: cannot read %s", option, escaped(path));
    return -1;
  }
  if (!machines_will_do(text, why, sizeof(why))) {
    tor_asprintf(msg, "%s: %s: %s", option, path, why);
    return -1;
  }
  return 0;
}

/** Implements validate_fn_t. */
STATIC int
circflow_validate_options(const void *value, char **msg)
{
  const circflow_options_t *options = value;
  const char *name = options->CircflowLegAlgorithm;
  if (flow_algorithm_named(name) == ALGORITHM_NONE) {
    char *all = flow_algorithm_names();
    tor_asprintf(msg,
                 "CircflowLegAlgorithm is %s, which is no algorithm. The "
                 "names are %s; or ux, for the other end's wish.",
                 escaped(name), all);
    tor_free(all);
    return -1;
  }
  if (options->CircflowPaddingHop < 1 || options->CircflowPaddingHop > 3) {
    tor_asprintf(msg, "CircflowPaddingHop is %d, and has to be 1, 2 or 3.",
                 options->CircflowPaddingHop);
    return -1;
  }
  if (machines_validate(0, "CircflowPaddingRelay",
                        options->CircflowPaddingRelay, msg) < 0)
    return -1;
  return machines_validate(1, "CircflowPaddingClient",
                           options->CircflowPaddingClient, msg);
}

/** Implements subsys_fns_t.set_options. */
STATIC int
circflow_set_options(void *arg)
{
  const circflow_options_t *options = arg;
  const char *before = options_now ? options_now->CircflowLegAlgorithm : NULL;
  bool is_new = strcmp_opt(before, options->CircflowLegAlgorithm) != 0;
  if (options->TestingCircflowTrace && !get_options()->TestingTorNetwork)
    log_warn(LD_CONFIG, "TestingCircflowTrace is for testing networks only, "
             "and is ignored.");
  options_now = options;
  if (is_new)
    flow_algorithm_read();
  return 0;
}

static const config_format_t circflow_options_fmt = {
  .size = sizeof(circflow_options_t),
  .magic = { "circflow_options_t", CIRCFLOW_OPTIONS_MAGIC,
             offsetof(circflow_options_t, magic) },
  .vars = circflow_options_t_vars,
  .validate_fn = circflow_validate_options,
};

const char *
flow_option_algorithm(void)
{
  return options_now ? options_now->CircflowLegAlgorithm : NULL;
}

bool
flow_option_pads(void)
{
  return options_now && (options_now->CircflowPaddingClient ||
                         options_now->CircflowPaddingRelay);
}

char *
flow_option_padding(bool is_client, const char **path)
{
  *path = is_client ? options_now->CircflowPaddingClient
                    : options_now->CircflowPaddingRelay;
  const char *text = machines_read(is_client, *path);
  return text ? tor_strdup(text) : NULL;
}

uint8_t
flow_option_padding_hop(void)
{
  return (uint8_t) options_now->CircflowPaddingHop;
}

const char *
flow_option_trace(void)
{
  return options_now && get_options()->TestingTorNetwork
           ? options_now->TestingCircflowTrace
           : NULL;
}

static void
subsys_circflow_shutdown(void)
{
  options_now = NULL;
  for (size_t i = 0; i < ARRAY_LENGTH(machines_files); i++) {
    tor_free(machines_files[i].path);
    tor_free(machines_files[i].text);
  }
}

const subsys_fns_t sys_circflow = {
  SUBSYS_DECLARE_LOCATION(),

  .name = "circflow",
  .supported = true,
  .level = CIRCFLOW_SUBSYS_LEVEL,
  .shutdown = subsys_circflow_shutdown,
  .options_format = &circflow_options_fmt,
  .set_options = circflow_set_options,
  .get_metrics = flow_figures_stores,
};
