/* The peer of bench-scale, as a plain program in C would have it: a struct for each circuit and each set, found by
 * their ids in hash tables, and libevent's timers. It has no caps, and checks only ids and order. */
#ifndef BENCH_SCALE_PEER_H
#define BENCH_SCALE_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer;

struct peer *peer_new(void);
void peer_free(struct peer *peer);

/* 0 when there is no memory. */
uint64_t peer_circuit_open(struct peer *peer, uint64_t tag);
bool peer_circuit_close(struct peer *peer, uint64_t circuit);

uint64_t peer_set_open(struct peer *peer, uint64_t tag, const uint8_t nonce[32]);
bool peer_set_add(struct peer *peer, uint64_t set, uint64_t circuit);
/* Its circuits close, too. */
bool peer_set_close(struct peer *peer, uint64_t set);
bool peer_leg_update(struct peer *peer, uint64_t circuit, uint64_t cwnd, uint64_t rtt_ns);

/* Give the number of the message in the set; 0 when it is not the next one, or no leg has room. */
uint64_t peer_receive(struct peer *peer, uint64_t circuit);
uint64_t peer_send(struct peer *peer, uint64_t set, uint64_t *circuit_out);

/* A timer of the circuit that ends after `period_us`, again and again. */
bool peer_timer_start(struct peer *peer, uint64_t now_ns, uint64_t circuit, uint64_t period_us);
/* Gives the number of timers that have ended. */
uint64_t peer_tick(struct peer *peer, uint64_t now_ns);

/* Makes the tables as small as they can be. */
bool peer_trim(struct peer *peer);

size_t peer_circuits(const struct peer *peer);
size_t peer_sets(const struct peer *peer);

#endif
