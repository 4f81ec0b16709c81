/* What the example in README takes for granted, so that it can be compiled as it stands there (readme.c runs it). */
#include <circflow.h>

static circflow_circuit_id circuits[2];
static circflow_message message;

void write_control(void *host, const circflow_insn *insn, const uint8_t *body);
void handle(const circflow_message *message);
void handle_held(void *host, const circflow_insn *insn, const uint8_t *body);
void report_window(void *host, circflow_circuit_id circuit);
void open_streams(void *host);
void read_streams(void *host);
void stop_reading(void *host);
void destroy(void *host, const circflow_insn *insn);
void write_cells(uint64_t leg_tag, uint32_t switch_delta, const circflow_message *message);
void send_end(circflow_circuit_id circuit, uint16_t stream_id, uint8_t reason);
void random_bytes(uint8_t *bytes, size_t len);
void wipe(uint8_t *bytes, size_t len);
void end_streams(void *host);
void start_timer(void *host, uint64_t after_ns);
uint64_t now_ns(void);
