/* Tests of the seam: conflux.h of tor, from tor's side. The patch brings them into tor's test program. `make tor-tests`
 * builds them in the place of the one test of conflux_cell.c, in folders of their own.
 *
 * "same" runs on both builds and prints what it saw: a long random history of a set, sending and receiving, in which
 * stock tor and tor with circflow must take the same decisions. "cost" runs on both too: cost.py counts its
 * instructions. The others are about what circflow does better or by itself, and run with circflow only. */
#define TOR_CONFLUX_PRIVATE
#define TOR_CONGESTION_CONTROL_PRIVATE
#define TOR_CONGESTION_CONTROL_COMMON_PRIVATE

#include "core/or/or.h"

#include "core/or/circuitlist.h"
#include "core/or/conflux.h"
#include "core/or/conflux_params.h"
#include "core/or/conflux_pool.h"
#include "core/or/conflux_st.h"
#include "core/or/congestion_control_st.h"
#include "core/or/congestion_control_common.h"
#include "core/or/crypt_path_st.h"
#include "core/or/or_circuit_st.h"
#include "core/or/relay.h"
#include "feature/nodelist/networkstatus_st.h"
#include "lib/arch/bytes.h"
#include "lib/time/compat_time.h"
#include "test/log_test_helpers.h"
#include "test/test.h"
#include "trunnel/conflux.h"

#define LEGS 3

/* An exit's set, with its circuits. What it sends and closes is noted here. Set and legs are made and freed by the pool
 * alone, as it does for a client's LINK and for circuits that go. */
static conflux_t *cfx;
static or_circuit_t *circs[LEGS];
static int switches;
static uint32_t last_switch;
static circuit_t *last_switch_circ;
static int send_answer;
static int closes;
static int last_close_reason;

/* The clock stands still but for the handshake of a leg. It never goes back. */
static uint64_t clock_usec = 1000000;

static uint64_t
read_clock(void)
{
  return clock_usec;
}

/* The body of LINK and LINKED (prop329 2.2). */
#define LINK_LEN (1 + DIGEST256_LEN + 8 + 8 + 1)

static int
note_send(streamid_t stream_id, circuit_t *circ, uint8_t command, const char *body, size_t len,
          crypt_path_t *layer, const char *file, int line)
{
  (void) stream_id, (void) layer, (void) file, (void) line;
  if (command == RELAY_COMMAND_CONFLUX_LINKED) {
    tor_assert(len == LINK_LEN);
    return 0;
  }
  tor_assert(command == RELAY_COMMAND_CONFLUX_SWITCH && len == 4);
  switches++;
  last_switch = tor_ntohl(get_uint32(body));
  last_switch_circ = circ;
  return send_answer;
}

static void
note_close(circuit_t *circ, int reason, int line, const char *file)
{
  circ->marked_for_close = (uint16_t) line;
  circ->marked_for_close_file = file;
  last_close_reason = reason;
  closes++;
}

static circuit_t *
new_circuit(int i)
{
  or_circuit_t *circ = tor_malloc_zero(sizeof(*circ));
  circ->base_.magic = OR_CIRCUIT_MAGIC;
  circ->base_.purpose = CIRCUIT_PURPOSE_OR;
  circ->base_.state = CIRCUIT_STATE_OPEN;
  circ->base_.ccontrol = tor_malloc_zero(sizeof(congestion_control_t));
  circ->base_.ccontrol->sendme_inc = 31;
  circ->base_.ccontrol->cwnd = 100;
  circs[i] = circ;
  return TO_CIRCUIT(circ);
}

/* The client links a circuit. It has sent so many messages, and wants this of us. */
static void
add_leg_as(int i, uint64_t client_sent, uint8_t ux)
{
  circuit_t *circ = new_circuit(i);
  uint8_t body[LINK_LEN] = { 1 };
  relay_msg_t msg = { .command = RELAY_COMMAND_CONFLUX_LINK, .length = LINK_LEN, .body = body };
  memset(body + 1, 7, DIGEST256_LEN);
  set_uint64(body + 1 + DIGEST256_LEN, tor_htonll(client_sent));
  body[LINK_LEN - 1] = ux;
  conflux_process_link(circ, &msg);
  tor_assert(circ->conflux && conflux_get_leg(circ->conflux, circ));
  cfx = circ->conflux;
  /* The second leg is slower than the first, and the third slower than both. */
  clock_usec += 1000 * (uint64_t) (i + 1);
  conflux_process_linked_ack(circ);
  tor_assert(conflux_get_leg(cfx, circ)->circ_rtts_usec == 1000 * (uint64_t) (i + 1));
}

static void
add_leg(int i, uint64_t client_sent)
{
  add_leg_as(i, client_sent, CONFLUX_UX_HIGH_THROUGHPUT);
}

/* A leg closes, and its set goes on. */
static void
lose_leg(int i)
{
  conflux_circuit_has_closed(TO_CIRCUIT(circs[i]));
}

static void
free_circuit(int i)
{
  if (!circs[i])
    return;
  /* As when all of tor ends: a circuit need not have been closed. */
  conflux_notify_shutdown();
  conflux_circuit_about_to_free(TO_CIRCUIT(circs[i]));
  conflux_clear_shutdown();
  tor_free(circs[i]->base_.ccontrol);
  tor_free(circs[i]);
}

static conflux_leg_t *
leg_of(int i)
{
  return conflux_get_leg(cfx, TO_CIRCUIT(circs[i]));
}

static congestion_control_t *
cc_of(int i)
{
  return TO_CIRCUIT(circs[i])->ccontrol;
}

static void
set_up_as(int legs, conflux_alg_t alg)
{
  switches = closes = send_answer = 0;
  last_switch_circ = NULL;
  congestion_control_set_cc_enabled();
  conflux_pool_init();
  MOCK(relay_send_command_from_edge_, note_send);
  MOCK(circuit_mark_for_close_, note_close);
  MOCK(monotime_absolute_usec, read_clock);
  for (int i = 0; i < legs; i++)
    add_leg_as(i, 0, alg == CONFLUX_ALG_MINRTT ? CONFLUX_UX_MIN_LATENCY : CONFLUX_UX_HIGH_THROUGHPUT);
  /* Nobody can ask for CwndRTT, and who asks for throughput does not get LowRTT with circflow. */
  cfx->params.alg = alg;
}

static void
set_up(int legs)
{
  set_up_as(legs, CONFLUX_ALG_LOWRTT);
}

static void
tear_down(void)
{
  for (int i = 0; i < LEGS; i++)
    free_circuit(i);
  cfx = NULL;
  UNMOCK(relay_send_command_from_edge_);
  UNMOCK(circuit_mark_for_close_);
  UNMOCK(monotime_absolute_usec);
}

/* A message whose body is its number. */
static bool
receive(int leg, uint64_t number, uint16_t len)
{
  uint8_t body[RELAY_PAYLOAD_SIZE_MAX] = { 0 };
  relay_msg_t msg = { .command = RELAY_COMMAND_DATA, .length = len, .stream_id = 9, .body = body };
  set_uint64(body, number);
  return conflux_process_relay_msg(cfx, TO_CIRCUIT(circs[leg]), NULL, &msg);
}

/* 0 also when it closes the circuit: tor closes it again for anything else, and its log calls that a bug. */
static int
receive_switch(int leg, uint32_t delta, uint16_t len)
{
  uint8_t body[4];
  relay_msg_t msg = { .command = RELAY_COMMAND_CONFLUX_SWITCH, .length = len, .body = body };
  set_uint32(body, tor_htonl(delta));
  return conflux_process_switch_command(TO_CIRCUIT(circs[leg]), NULL, &msg);
}

/* The number of the next message that was held; 0 when there is none. */
static uint64_t
take(int leg)
{
  conflux_msg_t *msg = conflux_dequeue_relay_msg(TO_CIRCUIT(circs[leg]));
  if (!msg)
    return 0;
  uint64_t number = get_uint64(msg->msg->body);
  conflux_relay_msg_free(msg);
  return number;
}

static circuit_t *
decide(uint8_t command)
{
  return conflux_decide_circ_for_send(cfx, TO_CIRCUIT(circs[0]), command);
}

static void
sent(circuit_t *circ, uint8_t command)
{
  conflux_note_cell_sent(cfx, circ, command);
  if (command == RELAY_COMMAND_DATA)
    circ->ccontrol->inflight++;
}

/* ---- Both builds ---- */

static uint64_t draws = 88172645463325252u;
static int n_legs = LEGS;

static unsigned
draw(unsigned below)
{
  draws ^= draws << 13;
  draws ^= draws >> 7;
  draws ^= draws << 17;
  return (unsigned) (draws % below);
}

/* An honest peer: each leg is a queue of what it has sent, which arrives in the order of the leg. */
#define ON_THE_WAY 4096
typedef struct { bool is_switch; uint64_t number; uint32_t delta; } arrival_t;
static arrival_t on_the_way[LEGS][ON_THE_WAY];
static int first[LEGS], count[LEGS];
static uint64_t peer_sent[LEGS], peer_number;
static int peer_leg;

static void
put_on_the_way(int leg, bool is_switch, uint64_t number, uint32_t delta)
{
  arrival_t *arrival = &on_the_way[leg][(first[leg] + count[leg]) % ON_THE_WAY];
  arrival->is_switch = is_switch;
  arrival->number = number;
  arrival->delta = delta;
  count[leg]++;
}

static void
peer_sends(void)
{
  if (count[0] + count[1] + count[2] > ON_THE_WAY / 2)
    return;
  int leg = draw(6) ? peer_leg : (int) draw((unsigned) n_legs);
  if (leg != peer_leg && peer_number > peer_sent[leg]) {
    put_on_the_way(leg, true, 0, (uint32_t) (peer_number - peer_sent[leg]));
    peer_sent[leg] = peer_number;
  }
  /* Numbers that are equal need no SWITCH. */
  peer_leg = leg;
  peer_sent[leg] = ++peer_number;
  put_on_the_way(leg, false, peer_number, 0);
}

static void
something_arrives(void)
{
  int leg = (int) draw((unsigned) n_legs);
  if (count[leg] == 0)
    return;
  arrival_t *arrival = &on_the_way[leg][first[leg]];
  first[leg] = (first[leg] + 1) % ON_THE_WAY;
  count[leg]--;
  if (arrival->is_switch) {
    printf("switch %d %d\n", leg, receive_switch(leg, arrival->delta, 4));
    return;
  }
  bool next = receive(leg, arrival->number, (uint16_t) (8 + draw(480)));
  printf("message %d %" PRIu64 " %d", leg, arrival->number, next);
  uint64_t number;
  while (next && (number = take(leg)))
    printf(" %" PRIu64, number);
  printf(" queued %d %" PRIu64 " %" PRIu64 "\n", smartlist_len(cfx->ooo_q),
         conflux_get_total_bytes_allocation(), conflux_get_circ_bytes_allocation(TO_CIRCUIT(circs[leg])));
}

static int
index_of(const circuit_t *circ)
{
  for (int i = 0; i < n_legs; i++) {
    if (circ == TO_CIRCUIT(circs[i]))
      return i;
  }
  return -1;
}

static void
we_send(void)
{
  uint8_t command = draw(20) ? RELAY_COMMAND_DATA : RELAY_COMMAND_END;
  int before = switches;
  circuit_t *peeked = conflux_decide_next_circ(cfx);
  circuit_t *circ = decide(command);
  printf("send %d peek %d on %d", command, index_of(peeked), index_of(circ));
  if (switches != before)
    printf(" switch %d by %u", index_of(last_switch_circ), last_switch);
  /* Now and then the cell is dropped, and never noted. Not after a SWITCH: then circflow stays where the SWITCH led,
   * and stock tor may send another. */
  if (circ && (switches != before || draw(50)))
    sent(circ, command);
  for (int i = 0; i < n_legs; i++)
    printf(" %" PRIu64, leg_of(i)->last_seq_sent);
  printf(" current %d\n", cfx->curr_leg ? index_of(cfx->curr_leg->circ) : -1);
}

static void
news_of_a_leg(void)
{
  int i = (int) draw((unsigned) n_legs);
  congestion_control_t *cc = cc_of(i);
  switch (draw(5)) {
    case 0: cc->inflight -= MIN(cc->inflight, 31); break;
    case 1: cc->cwnd = 31 + draw(300); break;
    /* No two legs have the same, as of equal legs either may win. */
    case 2: conflux_update_rtt(cfx, TO_CIRCUIT(circs[i]), (1 + draw(500)) * LEGS + (unsigned) i); break;
    case 3: TO_CIRCUIT(circs[i])->circuit_blocked_on_p_chan = draw(4) == 0; break;
    case 4: cc->in_slow_start = draw(4) == 0; break;
  }
}

/* How long it is to be. Whoever compares what it prints asks for it: tests.sh, and valgrind.sh for a short one. */
static int
history_events(void)
{
  const char *asked = getenv("CIRCFLOW_TOR_HISTORY");
  return asked ? atoi(asked) : 0;
}

static void
run_history(conflux_alg_t alg, int legs)
{
  int events = history_events();
  n_legs = legs;
  memset(first, 0, sizeof(first));
  memset(count, 0, sizeof(count));
  memset(peer_sent, 0, sizeof(peer_sent));
  peer_number = 0;
  peer_leg = 0;
  set_up_as(legs, alg);
  for (int i = 0; i < events; i++) {
    switch (draw(5)) {
      case 0: peer_sends(); break;
      case 1: case 2: something_arrives(); break;
      case 3: we_send(); break;
      case 4: news_of_a_leg(); break;
    }
  }
  tt_int_op(closes, OP_EQ, 0);
  tt_u64_op(cfx->last_seq_delivered, OP_GT, (uint64_t) events / 20);
  tt_int_op(switches, OP_GT, events / 2000);
 done:
  tear_down();
}

static void
test_same(void *arg)
{
  (void) arg;
  if (history_events() == 0)
    tt_skip();
  run_history(CONFLUX_ALG_LOWRTT, LEGS);
  run_history(CONFLUX_ALG_MINRTT, LEGS);
  /* Of three legs, stock tor takes the last that will do, and circflow the fastest. */
  run_history(CONFLUX_ALG_CWNDRTT, 2);
  tt_u64_op(conflux_get_total_bytes_allocation(), OP_EQ, 0);
 done:
  ;
}

/* ---- What it costs: both builds, under callgrind; cost.py looks at the calls out of these functions ---- */

/* The private network sends a SWITCH after some 110 cells. */
#define COST_BLOCK 110
#define COST_ROUNDS 100
#define COUNTED static __attribute__((noinline, noclone))

/* A cell goes out, as relay.c does it: it looks for room, decides, and says that it was queued. */
COUNTED void
cost_send(int i)
{
  circuit_t *circ = conflux_decide_next_circ(cfx);
  if (i % 10 == 0)
    circ = conflux_decide_next_circ(cfx);
  tor_assert(circ);
  circ = conflux_decide_circ_for_send(cfx, TO_CIRCUIT(circs[0]), RELAY_COMMAND_DATA);
  tor_assert(circ);
  conflux_note_cell_sent(cfx, circ, RELAY_COMMAND_DATA);
  circ->ccontrol->inflight++;
}

COUNTED void
cost_rtt(int leg, uint64_t usec)
{
  conflux_update_rtt(cfx, TO_CIRCUIT(circs[leg]), usec);
}

COUNTED void
cost_switch(int leg, const relay_msg_t *msg)
{
  tor_assert(conflux_process_switch_command(TO_CIRCUIT(circs[leg]), NULL, msg) == 0);
}

COUNTED void
cost_in_order(const relay_msg_t *msg)
{
  tor_assert(conflux_process_relay_msg(cfx, TO_CIRCUIT(circs[0]), NULL, msg));
  /* The loop of relay.c asks after each message. */
  if (msg->stream_id == 1)
    tor_assert(!conflux_dequeue_relay_msg(TO_CIRCUIT(circs[0])));
}

COUNTED void
cost_held(const relay_msg_t *msg)
{
  tor_assert(!conflux_process_relay_msg(cfx, TO_CIRCUIT(circs[1]), NULL, msg));
}

COUNTED void
cost_taken(void)
{
  conflux_msg_t *msg = conflux_dequeue_relay_msg(TO_CIRCUIT(circs[0]));
  tor_assert(msg);
  conflux_relay_msg_free(msg);
}

COUNTED void
cost_none_left(void)
{
  tor_assert(!conflux_dequeue_relay_msg(TO_CIRCUIT(circs[0])));
}

/* Two legs, of which the second brings its block of messages before the first has brought what goes before it. */
static void
cost_receive_round(void)
{
  uint8_t body[RELAY_PAYLOAD_SIZE_MAX] = { 0 };
  relay_msg_t msg = { .command = RELAY_COMMAND_DATA, .length = 498, .stream_id = 1, .body = body };
  relay_msg_t change = { .command = RELAY_COMMAND_CONFLUX_SWITCH, .length = 4, .body = body };
  set_uint32(body, tor_htonl(COST_BLOCK));
  cost_switch(1, &change);
  for (int i = 0; i < COST_BLOCK; i++)
    cost_held(&msg);
  for (int i = 1; i < COST_BLOCK; i++)
    cost_in_order(&msg);
  msg.stream_id = 2;
  cost_in_order(&msg);
  for (int i = 0; i < COST_BLOCK; i++)
    cost_taken();
  cost_none_left();
  cost_switch(0, &change);
}

/* The adapter's: tests may write into tor's structs, and it looks for that. */
extern bool flow_others_write __attribute__((weak));

static void
others_write(bool they_do)
{
  if (&flow_others_write)
    flow_others_write = they_do;
}

static void
test_cost(void *arg)
{
  (void) arg;
  set_up(2);
  /* From here on as in the program. The algorithm that the test has written is taken over first. */
  (void) conflux_decide_next_circ(cfx);
  others_write(false);
  for (int i = 0; i < COST_ROUNDS * COST_BLOCK; i++) {
    int leg = i / 31 % 2;
    cost_send(i);
    /* A SENDME, once nearly as much is in flight as may be: both legs are used. */
    if (i % 31 == 30 && cc_of(0)->inflight + cc_of(1)->inflight >= 150) {
      cc_of(leg)->inflight -= MIN(cc_of(leg)->inflight, 31);
      cost_rtt(leg, (uint64_t) (1000 + i % 7 + 500 * leg));
    }
  }
  tt_int_op(switches, OP_GT, COST_ROUNDS * COST_BLOCK / 1000);
  for (int i = 0; i < COST_ROUNDS; i++)
    cost_receive_round();
  tt_u64_op(cfx->last_seq_delivered, OP_EQ, 2 * COST_ROUNDS * COST_BLOCK);
  tt_int_op(closes, OP_EQ, 0);
  tt_u64_op(conflux_get_total_bytes_allocation(), OP_EQ, 0);
  printf("switches sent %d\n", switches);
 done:
  others_write(true);
  tear_down();
}

/* ---- With circflow only ---- */

/* Holds messages 3 and 4 on leg 1, as 1 and 2 have not come on leg 0. */
static void
hold_two(void)
{
  tt_int_op(receive_switch(1, 2, 4), OP_EQ, 0);
  tt_assert(!receive(1, 3, 100));
  tt_assert(!receive(1, 4, 200));
  tt_int_op(smartlist_len(cfx->ooo_q), OP_EQ, 2);
 done:
  ;
}

static void
test_oom(void *arg)
{
  (void) arg;
  set_up(2);
  hold_two();
  size_t cost = 300 + 2 * (sizeof(conflux_msg_t) + sizeof(relay_msg_t));
  tt_u64_op(conflux_get_total_bytes_allocation(), OP_EQ, cost);
  tt_u64_op(conflux_handle_oom(0), OP_EQ, 0);
  tt_u64_op(conflux_get_total_bytes_allocation(), OP_EQ, cost);
  tt_u64_op(conflux_handle_oom(1), OP_EQ, cost);
  tt_u64_op(conflux_get_total_bytes_allocation(), OP_EQ, 0);
  tt_int_op(smartlist_len(cfx->ooo_q), OP_EQ, 0);
  tt_int_op(closes, OP_EQ, 2);
  tt_int_op(last_close_reason, OP_EQ, END_CIRC_REASON_RESOURCELIMIT);
  /* A set that has ended is not asked any more, and does not close again. */
  setup_full_capture_of_logs(LOG_WARN);
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, NULL);
  expect_no_log_entry();
  tt_int_op(closes, OP_EQ, 2);
  tt_u64_op(conflux_handle_oom(1), OP_EQ, 0);
 done:
  teardown_capture_of_logs();
  tear_down();
}

/* What circflow keeps for a long queue counts for tor's OOM handler, and goes when nothing is queued any more. */
static void
test_account(void *arg)
{
  (void) arg;
  const uint64_t messages = 500;
  set_up(2);
  tt_int_op(receive_switch(1, 2, 4), OP_EQ, 0);
  for (uint64_t i = 3; i < 3 + messages; i++)
    tt_assert(!receive(1, i, 498));
  uint64_t queued = messages * (498 + sizeof(conflux_msg_t) + sizeof(relay_msg_t));
  /* The place of each in the order is circflow's. */
  tt_u64_op(conflux_get_total_bytes_allocation(), OP_GT, queued + messages * sizeof(uint64_t));
  tt_assert(receive(0, 1, 8));
  tt_assert(receive(0, 2, 8));
  for (uint64_t i = 3; i < 3 + messages; i++)
    tt_u64_op(take(0), OP_EQ, i);
  tt_u64_op(conflux_get_total_bytes_allocation(), OP_EQ, 0);
 done:
  tear_down();
}

/* A circuit that closes while tor delivers leaves messages that nobody would ask for. */
static void
test_cut_short(void *arg)
{
  (void) arg;
  set_up(2);
  hold_two();
  tt_assert(receive(0, 1, 8));
  tt_u64_op(take(0), OP_EQ, 0);
  tt_assert(receive(0, 2, 8));
  tt_u64_op(take(0), OP_EQ, 3);
  TO_CIRCUIT(circs[0])->marked_for_close = 1;
  tt_u64_op(take(0), OP_EQ, 0);
  tt_int_op(closes, OP_EQ, 0);
  tt_assert(!receive(1, 5, 8));
  tt_int_op(closes, OP_GE, 1);
  /* Tor's loop goes on asking, also when the circuit is no leg any more. */
  lose_leg(0);
  TO_CIRCUIT(circs[0])->marked_for_close = 0;
  tt_u64_op(take(0), OP_EQ, 0);
 done:
  tear_down();
  tt_u64_op(conflux_get_total_bytes_allocation(), OP_EQ, 0);
}

/* Tor takes messages one by one: much can happen between two. */
static void
test_taken(void *arg)
{
  (void) arg;
  set_up(2);
  tt_int_op(receive_switch(1, 1, 4), OP_EQ, 0);
  for (uint64_t i = 2; i <= 101; i++)
    tt_assert(!receive(1, i, i % 3 ? 498 : (uint16_t) (8 + i)));
  tt_assert(receive(0, 1, 8));
  for (uint64_t i = 2; i <= 20; i++)
    tt_u64_op(take(0), OP_EQ, i);
  tt_u64_op(cfx->last_seq_delivered, OP_EQ, 20);
  /* A leg joins. */
  add_leg(2, 20);
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[0]));
  tt_u64_op(cfx->last_seq_delivered, OP_EQ, 20);
  for (uint64_t i = 21; i <= 60; i++)
    tt_u64_op(take(0), OP_EQ, i);
  /* It goes again. */
  lose_leg(2);
  tt_u64_op(conflux_get_max_seq_sent(cfx), OP_EQ, 0);
  for (uint64_t i = 61; i <= 101; i++)
    tt_u64_op(take(0), OP_EQ, i);
  tt_u64_op(take(0), OP_EQ, 0);
  tt_u64_op(conflux_get_total_bytes_allocation(), OP_EQ, 0);
  tt_assert(receive(1, 102, 8));
  tt_int_op(closes, OP_EQ, 0);
  /* Memory is short in the middle of it. */
  tt_int_op(receive_switch(0, 102, 4), OP_EQ, 0);
  for (uint64_t i = 104; i <= 203; i++)
    tt_assert(!receive(0, i, 498));
  tt_assert(receive(1, 103, 8));
  tt_u64_op(take(1), OP_EQ, 104);
  tt_u64_op(conflux_handle_oom(1), OP_GT, 99 * 498);
  tt_int_op(smartlist_len(cfx->ooo_q), OP_EQ, 0);
  tt_u64_op(take(1), OP_EQ, 0);
  tt_u64_op(conflux_get_total_bytes_allocation(), OP_EQ, 0);
  tt_int_op(closes, OP_EQ, 2);
 done:
  tear_down();
}

/* What circflow says of the next messages holds until something changes, and no longer. */
static void
test_holds(void *arg)
{
  (void) arg;
  set_up(2);
  for (int i = 0; i < 40; i++) {
    tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[0]));
    sent(TO_CIRCUIT(circs[0]), RELAY_COMMAND_DATA);
  }
  /* The channel is full, and has room again. */
  TO_CIRCUIT(circs[0])->circuit_blocked_on_p_chan = 1;
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_EQ, TO_CIRCUIT(circs[1]));
  TO_CIRCUIT(circs[0])->circuit_blocked_on_p_chan = 0;
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_EQ, TO_CIRCUIT(circs[0]));
  /* The other leg is faster now; then this one is again. */
  conflux_update_rtt(cfx, TO_CIRCUIT(circs[1]), 10);
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_EQ, TO_CIRCUIT(circs[1]));
  conflux_update_rtt(cfx, TO_CIRCUIT(circs[1]), 2000);
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_EQ, TO_CIRCUIT(circs[0]));
  /* A cell that was counted in flight and never noted, and a window that shrinks. */
  cc_of(0)->inflight = 99;
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[0]));
  sent(TO_CIRCUIT(circs[0]), RELAY_COMMAND_DATA);
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_EQ, TO_CIRCUIT(circs[1]));
  cc_of(0)->inflight = 50;
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[0]));
  cc_of(0)->cwnd = 40;
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_EQ, TO_CIRCUIT(circs[1]));
  tt_int_op(switches, OP_EQ, 0);
  /* DATA is in flight and END is not: with either counted wrongly, this would be no news. */
  cc_of(0)->cwnd = 100;
  cc_of(0)->inflight = 98;
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[0]));
  sent(TO_CIRCUIT(circs[0]), RELAY_COMMAND_DATA);
  tt_ptr_op(decide(RELAY_COMMAND_END), OP_EQ, TO_CIRCUIT(circs[0]));
  sent(TO_CIRCUIT(circs[0]), RELAY_COMMAND_END);
  cc_of(0)->inflight = 100;
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_EQ, TO_CIRCUIT(circs[1]));
  cc_of(0)->inflight = 99;
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[0]));
  sent(TO_CIRCUIT(circs[0]), RELAY_COMMAND_DATA);
  cc_of(0)->inflight = 99;
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_EQ, TO_CIRCUIT(circs[0]));
  cc_of(0)->inflight = 50;
  /* The leg that all of it was said of goes. */
  cc_of(0)->cwnd = 100;
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[0]));
  lose_leg(1);
  tt_u64_op(conflux_get_max_seq_sent(cfx), OP_EQ, 44);
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[0]));
  cc_of(0)->inflight = 100;
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_EQ, NULL);
  tt_int_op(closes, OP_EQ, 0);
 done:
  tear_down();
}

static void
expect_close(bool is_fault, int reason)
{
  tt_assert(is_fault);
  tt_int_op(closes, OP_GE, 1);
  tt_int_op(last_close_reason, OP_EQ, reason);
 done:
  tear_down();
}

static void
test_faults(void *arg)
{
  (void) arg;
  crypt_path_t hop = { 0 };
  relay_msg_t msg = { .command = RELAY_COMMAND_DATA, .length = 1, .stream_id = 9, .body = (const uint8_t *) "x" };

  /* The same number from two legs. */
  set_up(2);
  hold_two();
  tt_int_op(receive_switch(0, 2, 4), OP_EQ, 0);
  expect_close(!receive(0, 3, 8), END_CIRC_REASON_TORPROTOCOL);

  /* The same, both too early: it shows when their turn comes. */
  set_up(3);
  for (int i = 1; i <= 2; i++) {
    tt_int_op(receive_switch(i, 1, 4), OP_EQ, 0);
    (void) receive(i, 2, 8);
  }
  (void) receive(0, 1, 8);
  while (take(0) != 0)
    ;
  expect_close(true, END_CIRC_REASON_TORPROTOCOL);

  /* A number that was delivered. */
  set_up(2);
  tt_assert(receive(0, 1, 8));
  expect_close(!receive(1, 1, 8), END_CIRC_REASON_TORPROTOCOL);

  /* SWITCH after SWITCH, one that is cut off, and one too far ahead. */
  set_up(2);
  tt_int_op(receive_switch(1, 5, 4), OP_EQ, 0);
  expect_close(receive_switch(1, 5, 4) == 0, END_CIRC_REASON_TORPROTOCOL);
  set_up(2);
  expect_close(receive_switch(1, 5, 3) == 0, END_CIRC_REASON_TORPROTOCOL);
  set_up(2);
  expect_close(receive_switch(1, UINT32_MAX, 4) == 0, END_CIRC_REASON_TORPROTOCOL);

  /* From another hop, and on a circuit that is no leg. */
  set_up(2);
  expect_close(!conflux_process_relay_msg(cfx, TO_CIRCUIT(circs[0]), &hop, &msg), END_CIRC_REASON_TORPROTOCOL);
  set_up(2);
  new_circuit(2);
  expect_close(!receive(2, 1, 8), END_CIRC_REASON_INTERNAL);
  set_up(2);
  new_circuit(2);
  expect_close(receive_switch(2, 1, 4) == 0, END_CIRC_REASON_TORPROTOCOL);

  /* On a circuit that goes on to another relay. */
  set_up(2);
  setup_full_capture_of_logs(LOG_WARN);
  TO_CIRCUIT(circs[0])->n_chan = (channel_t *) &hop;
  bool is_taken = receive(0, 1, 8);
  TO_CIRCUIT(circs[0])->n_chan = NULL;
  teardown_capture_of_logs();
  expect_close(!is_taken, END_CIRC_REASON_TORPROTOCOL);

  /* No circuit is closed twice. */
  set_up(2);
  TO_CIRCUIT(circs[0])->marked_for_close = 1;
  tt_assert(!conflux_process_relay_msg(cfx, TO_CIRCUIT(circs[0]), &hop, &msg));
  tt_int_op(closes, OP_EQ, 0);
  tear_down();

  /* A message went out on a leg that had to say SWITCH before: the other end counts it, and cannot know its number. */
  set_up(2);
  sent(TO_CIRCUIT(circs[0]), RELAY_COMMAND_DATA);
  setup_full_capture_of_logs(LOG_WARN);
  sent(TO_CIRCUIT(circs[1]), RELAY_COMMAND_DATA);
  teardown_capture_of_logs();
  expect_close(closes == 2, END_CIRC_REASON_INTERNAL);

  /* DATA that names no stream. */
  set_up(2);
  msg.stream_id = 0;
  expect_close(!conflux_process_relay_msg(cfx, TO_CIRCUIT(circs[0]), NULL, &msg), END_CIRC_REASON_TORPROTOCOL);

  /* SWITCH by zero: sixteen in the life of a set, each with a message after it. */
  set_up(2);
  for (int i = 1; i <= 16; i++) {
    tt_int_op(receive_switch(0, 0, 4), OP_EQ, 0);
    tt_assert(receive(0, (uint64_t) i, 8));
  }
  tt_int_op(closes, OP_EQ, 0);
  expect_close(receive_switch(0, 0, 4) == 0, END_CIRC_REASON_TORPROTOCOL);
 done:
  ;
}

static void
test_limit(void *arg)
{
  (void) arg;
  networkstatus_t ns;
  memset(&ns, 0, sizeof(ns));
  ns.net_params = smartlist_new();
  ns.routerstatus_list = smartlist_new();
  smartlist_add(ns.net_params, (char *) "cfx_max_oooq_bytes=20000");
  conflux_params_new_consensus(&ns);
  tt_int_op(conflux_params_get_max_oooq(), OP_EQ, 20000);
  set_up(2);
  tt_int_op(receive_switch(1, 2, 4), OP_EQ, 0);
  int held = 0;
  while (closes == 0 && held < 100) {
    tt_assert(!receive(1, (uint64_t) held + 3, 480));
    held++;
  }
  /* One that does not fit any more closes the circuit. Each takes CIRCFLOW_HELD_COST, however short it is. */
  int fit = 20000 / 536;
  tt_int_op(held, OP_EQ, fit + 1);
  tt_int_op(last_close_reason, OP_EQ, END_CIRC_REASON_RESOURCELIMIT);
  tear_down();
  tt_u64_op(conflux_get_total_bytes_allocation(), OP_EQ, 0);
 done:
  /* For the tests that follow, where all run in one process. */
  smartlist_clear(ns.net_params);
  conflux_params_new_consensus(&ns);
  smartlist_free(ns.net_params);
  smartlist_free(ns.routerstatus_list);
}

static void
test_sending(void *arg)
{
  (void) arg;
  set_up(2);
  /* A decision alone moves nothing, and a peek names a current leg. */
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_EQ, TO_CIRCUIT(circs[0]));
  tt_ptr_op(cfx->curr_leg, OP_EQ, leg_of(0));
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[0]));
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[0]));
  tt_u64_op(leg_of(0)->last_seq_sent, OP_EQ, 0);
  sent(TO_CIRCUIT(circs[0]), RELAY_COMMAND_DATA);
  tt_u64_op(leg_of(0)->last_seq_sent, OP_EQ, 1);
  /* What is not multiplexed is not counted. */
  sent(TO_CIRCUIT(circs[0]), RELAY_COMMAND_SENDME);
  tt_u64_op(leg_of(0)->last_seq_sent, OP_EQ, 1);
  /* Nor is a leg chosen for it. */
  tt_ptr_op(conflux_decide_circ_for_send(cfx, TO_CIRCUIT(circs[1]), RELAY_COMMAND_SENDME), OP_EQ,
            TO_CIRCUIT(circs[1]));
  /* The first leg is full. */
  cc_of(0)->inflight = 100;
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[1]));
  tt_int_op(switches, OP_EQ, 1);
  tt_int_op(last_switch, OP_EQ, 1);
  tt_ptr_op(cfx->prev_leg, OP_EQ, leg_of(0));
  /* The message behind SWITCH is dropped: the next one needs no other SWITCH. */
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[1]));
  tt_int_op(switches, OP_EQ, 1);
  sent(TO_CIRCUIT(circs[1]), RELAY_COMMAND_DATA);
  tt_u64_op(leg_of(1)->last_seq_sent, OP_EQ, 2);
  /* Both are: DATA waits, END goes out on the current leg. */
  cc_of(1)->inflight = 100;
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_EQ, NULL);
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, NULL);
  tt_ptr_op(decide(RELAY_COMMAND_END), OP_EQ, TO_CIRCUIT(circs[1]));
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, NULL);
  tt_int_op(closes, OP_EQ, 0);
  /* A SWITCH that cannot be sent is the end. */
  cc_of(0)->inflight = 0;
  send_answer = -1;
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, NULL);
  tt_int_op(closes, OP_EQ, 2);
  tt_assert(cfx->in_full_teardown);
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, NULL);
  tt_int_op(closes, OP_EQ, 2);
  tear_down();

  /* Where there is no room from the start, the fastest leg is the current one. */
  set_up(2);
  conflux_update_rtt(cfx, TO_CIRCUIT(circs[1]), 10);
  cc_of(0)->inflight = cc_of(1)->inflight = 100;
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_EQ, NULL);
  tt_ptr_op(cfx->curr_leg, OP_EQ, leg_of(1));
  /* Before anything was sent, another becomes it without SWITCH, by sending. */
  cc_of(0)->inflight = 0;
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[0]));
  tt_ptr_op(cfx->curr_leg, OP_EQ, leg_of(1));
  sent(TO_CIRCUIT(circs[0]), RELAY_COMMAND_DATA);
  tt_ptr_op(cfx->curr_leg, OP_EQ, leg_of(0));
  tt_int_op(switches, OP_EQ, 0);
 done:
  tear_down();
}

/* Tor's tests write into its structs: each number alone is seen. */
static void
test_written(void *arg)
{
  (void) arg;
  set_up(2);
  leg_of(1)->last_seq_sent = 5;
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[0]));
  tt_int_op(switches, OP_EQ, 1);
  tt_int_op(last_switch, OP_EQ, 5);
  sent(TO_CIRCUIT(circs[0]), RELAY_COMMAND_DATA);
  leg_of(0)->last_seq_sent = 9;
  sent(TO_CIRCUIT(circs[0]), RELAY_COMMAND_DATA);
  tt_u64_op(conflux_get_max_seq_sent(cfx), OP_EQ, 10);
  cc_of(0)->inflight = 100;
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[1]));
  tt_int_op(last_switch, OP_EQ, 5);
  leg_of(0)->last_seq_recv = 2;
  tt_assert(!receive(0, 3, 8));
  tt_assert(receive(1, 1, 8));
  tt_assert(receive(1, 2, 8));
  tt_u64_op(take(1), OP_EQ, 3);
  tt_u64_op(take(1), OP_EQ, 0);
  tt_int_op(receive_switch(1, 4, 4), OP_EQ, 0);
  cfx->last_seq_delivered = 6;
  tt_assert(receive(1, 7, 8));
  tt_u64_op(cfx->last_seq_delivered, OP_EQ, 7);
  tt_int_op(closes, OP_EQ, 0);
  tear_down();

  /* What cannot be is the end of the set. */
  set_up(2);
  hold_two();
  leg_of(1)->last_seq_recv = 1;
  setup_full_capture_of_logs(LOG_WARN);
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, NULL);
  tt_int_op(closes, OP_EQ, 2);
  tt_int_op(last_close_reason, OP_EQ, END_CIRC_REASON_INTERNAL);
 done:
  teardown_capture_of_logs();
  tear_down();
}

static void
test_algorithms(void *arg)
{
  (void) arg;
  set_up(2);
  cc_of(0)->inflight = 100;
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[1]));
  /* MinRTT waits for the fastest. */
  cfx->params.alg = CONFLUX_ALG_MINRTT;
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, NULL);
  /* CwndRTT uses the slower one as far as it is as fast as waiting: 2 ms against 1 ms. */
  cfx->params.alg = CONFLUX_ALG_CWNDRTT;
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[1]));
  cc_of(1)->inflight = 99;
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, NULL);
  /* In slow start its window grows meanwhile. */
  cc_of(1)->in_slow_start = 1;
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[1]));
  cc_of(1)->in_slow_start = 0;
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, NULL);
  cfx->params.alg = CONFLUX_ALG_LOWRTT;
  tt_ptr_op(decide(RELAY_COMMAND_DATA), OP_EQ, TO_CIRCUIT(circs[1]));
 done:
  tear_down();
}

/* Legs go and come without a word; one may have the address of another. */
static void
test_legs(void *arg)
{
  (void) arg;
  set_up(3);
  for (int i = 1; i <= 5; i++)
    tt_assert(receive(0, (uint64_t) i, 8));
  tt_int_op(receive_switch(1, 5, 4), OP_EQ, 0);
  tt_assert(receive(1, 6, 8));
  tt_int_op(receive_switch(2, 10, 4), OP_EQ, 0);
  tt_assert(!receive(2, 11, 8));
  tt_int_op(receive_switch(0, 15, 4), OP_EQ, 0);
  tt_assert(!receive(0, 21, 8));
  lose_leg(2);
  tt_u64_op(conflux_get_max_seq_sent(cfx), OP_EQ, 0);
  free_circuit(2);
  /* Most likely the same address, and another leg: its numbers begin at zero, as our LINKED says, whatever the client
   * has sent. What the first one brought too early stays. */
  add_leg(2, 6);
  tt_int_op(receive_switch(2, 6, 4), OP_EQ, 0);
  for (int i = 7; i <= 10; i++)
    tt_assert(receive(2, (uint64_t) i, 8));
  tt_u64_op(take(2), OP_EQ, 11);
  tt_u64_op(take(2), OP_EQ, 0);
  tt_u64_op(cfx->last_seq_delivered, OP_EQ, 11);
  tt_int_op(receive_switch(2, 1, 4), OP_EQ, 0);
  for (int i = 12; i <= 20; i++)
    tt_assert(receive(2, (uint64_t) i, 8));
  tt_u64_op(take(2), OP_EQ, 21);
  tt_u64_op(take(2), OP_EQ, 0);
  /* All go, the one with the highest number last. The same nonce is a new set then. */
  lose_leg(2);
  lose_leg(1);
  lose_leg(0);
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_EQ, NULL);
  free_circuit(2);
  add_leg(2, 0);
  tt_assert(cfx != TO_CIRCUIT(circs[0])->conflux);
  /* The old one is freed only now, which takes nothing from the new one. */
  free_circuit(0);
  add_leg(0, 0);
  tt_int_op(CONFLUX_NUM_LEGS(cfx), OP_EQ, 2);
  tt_u64_op(cfx->last_seq_delivered, OP_EQ, 0);
  tt_assert(receive(2, 1, 8));
  tt_u64_op(cfx->last_seq_delivered, OP_EQ, 1);
  tt_int_op(closes, OP_EQ, 0);
 done:
  tear_down();
}

#define ONE(name) { #name, test_ ## name, TT_FORK, NULL, NULL }
struct testcase_t conflux_cell_tests[] = {
  ONE(same), ONE(cost), ONE(taken), ONE(holds), ONE(account), ONE(oom), ONE(cut_short), ONE(faults), ONE(limit),
  ONE(sending),
  ONE(written), ONE(algorithms), ONE(legs),
  END_OF_TESTCASES
};
