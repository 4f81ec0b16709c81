/* Every command in every state of the handshake, put to a circuit that the host runs and to one that circflow runs, at
 * both ends: the same answer, or a reason why not. */

#include "host.h"

HOST_WORLD(host_clear)

/* --- States: what has happened to the circuit that the message comes on --- */

enum state { ALONE, EXTENDED, LAUNCHED, ASKED, ACCEPTED, ANSWERED, LINKED, EXTENDED_LEG, CUT_LEG, CLOSING };
#define STATES COUNT(STATE_NAMES)
static const char *const STATE_NAMES[] = {
    "alone", "extended", "a leg whose LINK is not taken", "a leg that waits for LINKED", "a leg whose LINKED is not taken",
    "a leg that waits for LINKED_ACK", "linked", "a linked leg that was extended", "a linked leg that was extended and cut",
    "closing",
};

static int is_of(enum state state, int at_exit)
{
    switch (state) {
    case LAUNCHED:
    case ASKED:
        return !at_exit;
    case EXTENDED:
    case ACCEPTED:
    case ANSWERED:
    case EXTENDED_LEG:
    case CUT_LEG:
        return at_exit;
    default:
        return 1;
    }
}

static circflow_circuit_id bring_to(enum state state, int at_exit, uint8_t flags)
{
    circflow_circuit_id circuit;
    setup(NULL);
    host_prepare(&world);
    world.client_circuit.flags = flags;
    world.exit_circuit.flags = flags;
    switch (state) {
    case LINKED:
    case EXTENDED_LEG:
    case CUT_LEG:
        host_linked(&world, 1);
        break;
    case LAUNCHED:
    case ASKED:
    case ACCEPTED:
    case ANSWERED:
        host_launched(&world, 1);
        if (state == ASKED)
            host_drain(world.client);
        if (at_exit)
            OK(host_feed(&world, world.exit, world.exit_leg[0],
                         host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, 3)));
        if (state == ANSWERED)
            host_drain(world.exit);
        break;
    default:
        host_start(&world);
        host_pair(&world);
        break;
    }
    circuit = at_exit ? world.exit_leg[0] : world.client_leg[0];
    if (state == EXTENDED || state == EXTENDED_LEG || state == CUT_LEG)
        OK(circflow_circuit_set_flags(world.exit, circuit, flags | CIRCFLOW_CIRCUIT_EXTENDED));
    if (state == CUT_LEG)
        OK(circflow_circuit_set_flags(world.exit, circuit, flags));
    if (state == CLOSING) {
        circflow_engine *engine = at_exit ? world.exit : world.client;
        assert_true(host_feed(&world, engine, circuit, host_message(21, at_exit ? 0 : HOST_HOPS, 0, "", 0)) != CIRCFLOW_OK);
        host_drain(engine);
    }
    return circuit;
}

/* --- Answers --- */

typedef struct answer {
    int status, verdict, closes, cause;
} answer;

static answer put(enum state state, int at_exit, uint8_t flags, unsigned command, uint16_t stream_id)
{
    static const uint8_t zeros[CIRCFLOW_LINK_LEN];
    circflow_circuit_id circuit = bring_to(state, at_exit, flags);
    circflow_engine *engine = at_exit ? world.exit : world.client;
    circflow_message message = host_message((uint8_t)command, at_exit ? 0 : HOST_HOPS, stream_id, zeros, 5);
    circflow_verdict verdict = {0};
    answer got = {0};
    /* Bodies that can be read, so that it is the state that is asked. */
    if (command == CIRCFLOW_CMD_LINK || command == CIRCFLOW_CMD_LINKED)
        message = host_linkish((uint8_t)command, message.hop, world.client_terms.nonce, 0, 0, 3);
    if (command == CIRCFLOW_CMD_SWITCH)
        message = host_switch(message.hop, 1);
    if (command == CIRCFLOW_CMD_XOFF)
        message.body_len = 1;
    message.stream_id = stream_id;
    message = host_with_digest(message, 1);
    got.status = circflow_circuit_receive(engine, world.now, circuit, &message, &verdict);
    got.verdict = got.status == CIRCFLOW_OK ? (int)verdict.kind : -1;
    const circflow_insn *close = host_close_of(host_drain(engine), circuit);
    got.closes = close != NULL;
    got.cause = close ? (int)close->detail.close.cause : 0;
    host_stop(&world);
    return got;
}

static int is_same(const answer *one, const answer *other)
{
    return one->status == other->status && one->verdict == other->verdict && one->closes == other->closes &&
           one->cause == other->cause;
}

/* --- Reasons why not --- */

static int is_conflux(unsigned command) { return command >= CIRCFLOW_CMD_LINK && command <= CIRCFLOW_CMD_SWITCH; }

static int is_multiplexed(unsigned command) { return circflow_command_is_multiplexed((uint8_t)command); }

/* Why two answers differ; NULL when there is no reason. */
static const char *reason(enum state state, const answer *host, const answer *run, unsigned command, uint16_t stream_id)
{
    const int sequenced = is_conflux(command) || is_multiplexed(command);
    if (state == CLOSING || (state == EXTENDED_LEG && sequenced))
        return NULL;
    if (run->status == CIRCFLOW_ERR_UNEXPECTED_COMMAND) {
        /* What is wrong with it besides, a host that reports it hears; what is not is the host's to say. */
        if (is_conflux(command))
            return host->closes ? "the table of roles comes before the handshake" : NULL;
        return "which commands a part takes is the host's to say where the host runs it";
    }
    const int is_leg = state != ALONE && state != EXTENDED;
    if (run->status == CIRCFLOW_ERR_BAD_STREAM_ID)
        return is_leg ? NULL : "which stream ids there are is the host's to say where there is no set";
    if (run->status == CIRCFLOW_ERR_STREAM_SENDME)
        return is_leg ? NULL : "whether streams have windows is the host's to say where there is no set";
    if (run->status == CIRCFLOW_ERR_BAD_SENDME || (command == CIRCFLOW_CMD_SENDME && run->verdict == CIRCFLOW_VERDICT_CONSUMED))
        return host->verdict == CIRCFLOW_VERDICT_DELIVER ? "windows are the host's" : NULL;
    if (command == CIRCFLOW_CMD_BEGIN_DIR && is_leg)
        return host->verdict == CIRCFLOW_VERDICT_REFUSE && run->verdict == CIRCFLOW_VERDICT_CONSUMED
                   ? "END is the host's to send where the streams are"
                   : NULL;
    if (stream_id != 0 && is_multiplexed(command) && host->verdict == CIRCFLOW_VERDICT_DELIVER &&
        (run->status == CIRCFLOW_ERR_UNKNOWN_STREAM || run->verdict == CIRCFLOW_VERDICT_CONSUMED))
        return "which streams there are is the host's to say";
    return NULL;
}

static void every_command_in_every_state_gets_the_same_answer(void **unused)
{
    size_t same = 0, explained = 0, wrong = 0;
    (void)unused;
    for (enum state state = ALONE; state < STATES; state++)
        for (int at_exit = 0; at_exit < 2; at_exit++) {
            if (!is_of(state, at_exit))
                continue;
            for (unsigned command = 0; command < 256; command++)
                for (uint16_t stream_id = 0; stream_id <= 7; stream_id += 7) {
                    answer host = put(state, at_exit, CIRCFLOW_CIRCUIT_VEGAS, command, stream_id);
                    answer run = put(state, at_exit, HOST_RUN, command, stream_id);
                    const char *why = is_same(&host, &run) ? "" : reason(state, &host, &run, command, stream_id);
                    if (why == NULL) {
                        print_error("command %u of stream %u, at %s that is %s: %d (%s), verdict %d, where the host runs "
                                    "it; %d (%s), verdict %d, where circflow does\n",
                                    command, stream_id, at_exit ? "an exit" : "a client", STATE_NAMES[state], host.status,
                                    circflow_status_name(host.status), host.verdict, run.status,
                                    circflow_status_name(run.status), run.verdict);
                        wrong++;
                    } else if (*why == 0)
                        same++;
                    else
                        explained++;
                }
        }
    assert_int_equal(wrong, 0);
    /* Reasons are for what is different, not for all. */
    assert_true(same > 0 && explained > 0);
}

/* A leg that was extended after LINK: the messages of its set come from nobody who may send them. */
static void an_extended_leg_takes_no_more_of_its_set(void **unused)
{
    static const uint8_t flags[] = {CIRCFLOW_CIRCUIT_VEGAS, HOST_RUN};
    (void)unused;
    for (size_t i = 0; i < COUNT(flags); i++)
        for (unsigned command = 0; command < 256; command++) {
            answer got;
            if (!is_conflux(command) && !is_multiplexed(command))
                continue;
            got = put(EXTENDED_LEG, 1, flags[i], command, is_multiplexed(command) ? 7 : 0);
            assert_int_equal(got.status, CIRCFLOW_ERR_UNEXPECTED_COMMAND);
            assert_int_equal(got.cause, CIRCFLOW_ERR_UNEXPECTED_COMMAND);
            /* Cut again, it is a leg as before. */
            got = put(CUT_LEG, 1, flags[i], command, is_multiplexed(command) ? 7 : 0);
            if (command == CIRCFLOW_CMD_BEGIN || command == CIRCFLOW_CMD_SWITCH)
                assert_int_equal(got.status, CIRCFLOW_OK);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_extended_leg_takes_no_more_of_its_set, setup, teardown),
        cmocka_unit_test_setup_teardown(every_command_in_every_state_gets_the_same_answer, setup, teardown),
    };
    return cmocka_run_group_tests_name("twin", tests, NULL, NULL);
}
