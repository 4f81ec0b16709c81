/* What may come for a stream of a client's, row by row: how the stream stands there, times what the exit says. This is
 * the table for c-tests/rows.c, which asks circflow, for integration/tor/rows_tests.c, which asks the code of a stock tor
 * client, and for integration/tor/rows.py, which compares what both have answered.
 *
 * A cell has stock's answer, circflow's, and, where they differ, the letter of the reason:
 *
 *   v  taken, and nothing wrong with it (tor counts it as valid)
 *   d  dropped: nothing explains it (tor does not count it; circflow counts it as unexplained)
 *   x  the circuit closes
 *
 * Where stock says v, circflow says v too, but for what no honest exit sends. */

#ifndef STREAM_ROWS_H
#define STREAM_ROWS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The stream that the messages are for. */
#define ROWS_STREAM 7
/* Hops of the circuit. */
#define ROWS_HOPS 3

typedef struct {
    const char *name;
    uint8_t command;
    const char *body;
    size_t len;
} rows_message;

#define ROWS_BODY(text) text, sizeof(text) - 1

static const rows_message rows_messages[] = {
    {"END", 3, ROWS_BODY("\6")},
    {"END, empty", 3, ROWS_BODY("")},
    {"CONNECTED", 4, ROWS_BODY("")},
    {"CONNECTED, address", 4, ROWS_BODY("\1\2\3\4\0\0\0\74")},
    {"CONNECTED, cut short", 4, ROWS_BODY("\1\2\3")},
    {"RESOLVED", 12, ROWS_BODY("\4\4\1\2\3\4\0\0\0\74")},
    {"RESOLVED, cut short", 12, ROWS_BODY("\4\4\1")},
    {"DATA", 2, ROWS_BODY("data")},
    {"DATA, empty", 2, ROWS_BODY("")},
    {"XOFF", 43, ROWS_BODY("\0")},
    {"XOFF, longer", 43, ROWS_BODY("\0\0\0")},
    {"XOFF, version 1", 43, ROWS_BODY("\1")},
    {"XOFF, empty", 43, ROWS_BODY("")},
    {"XON", 44, ROWS_BODY("\0\0\0\0\5")},
    {"XON, longer", 44, ROWS_BODY("\0\0\0\0\5\0\0")},
    {"XON, version 1", 44, ROWS_BODY("\1\0\0\0\5")},
    {"XON, cut short", 44, ROWS_BODY("\0\0\0\0")},
};

#define ROWS_MESSAGES (sizeof(rows_messages) / sizeof(rows_messages[0]))

/* STATE(name, what it is, cells), the cells in the order of the messages:
 *          END END- CON CONa CON- RSV RSV- DATA DATA- XOFF XOFF+ XOFF1 XOFF- XON XON+ XON1 XON- */
#define ROWS_STATES(STATE)                                                                                             \
    STATE(NO_ID, "no stream id",                                                                                       \
          "dxi dxi dxi dxi dxi dxi dxi dxi dxi dxi dxi dxi dxi dxi dxi dxi dxi")                                       \
    STATE(NEVER, "never used",                                                                                         \
          "dxu xx  dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu")                                       \
    STATE(UNASKED, "opened, nothing sent",                                                                             \
          "dxu xx  dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu")                                       \
    STATE(BEGIN_HELD, "BEGIN waits",                                                                                   \
          "dxu xx  dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu")                                       \
    STATE(RESOLVE_HELD, "RESOLVE waits",                                                                               \
          "dxu xx  dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu")                                       \
    STATE(END_HELD, "BEGIN and END wait",                                                                              \
          "dxu xx  dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu dxu")                                       \
    STATE(BEGUN, "BEGIN has left",                                                                                     \
          "vv  xvm vv  vv  dvp dd  dd  dvd dvd dxf dxf dxb dxb dxf dxf dxb dxb")                                       \
    STATE(RESOLVING, "RESOLVE has left",                                                                               \
          "vv  xvm dd  dd  dd  vv  dvp dd  dd  dxf dxf dxb dxb dxf dxf dxb dxb")                                       \
    STATE(CONNECTED, "CONNECTED has come",                                                                             \
          "vv  xvm xdt xdt xdt xdt xdt vv  dve dxf dxf dxb dxb dxf dxf dxb dxb")                                       \
    STATE(SENT, "CONNECTED has come, and a buffer of DATA has left",                                                   \
          "vv  xvm xdt xdt xdt xdt xdt vv  dve vv  vv  vxb vxb vv  vv  dxb dxb")                                       \
    STATE(STOPPED, "the same, and XOFF has come",                                                                      \
          "vv  xvm xdt xdt xdt xdt xdt vv  dve dxf dxf dxb dxb vv  vv  dxb dxb")                                       \
    STATE(LEFT_BEGUN, "BEGIN and our END have left",                                                                   \
          "vv  xvm vv  vv  vv  vv  vv  vv  vv  vv  vv  vxb vxb vv  vv  vxb vxb")                                       \
    STATE(LEFT_RESOLVING, "RESOLVE and our END have left",                                                             \
          "vv  xvm dxc dxc dxc vv  vv  vv  vv  vv  vv  vxb vxb vv  vv  vxb vxb")                                       \
    STATE(LEFT_CONNECTED, "CONNECTED has come, our END has left",                                                      \
          "vv  xvm dxc dxc dxc vv  vv  vv  vv  vv  vv  vxb vxb vv  vv  vxb vxb")                                       \
    STATE(LEFT_LATE, "BEGIN and our END have left, CONNECTED has come",                                                \
          "vv  xvm dxc dxc dxc vv  vv  vv  vv  vv  vv  vxb vxb vv  vv  vxb vxb")                                       \
    STATE(LEFT_STOPPED, "XOFF has come, our END has left",                                                             \
          "vv  xvm dxc dxc dxc vv  vv  vv  vv  vv  vv  vxb vxb vv  vv  vxb vxb")                                       \
    STATE(NEARLY_OVER, "our END has left a minute ago, all but a second",                                              \
          "vv  xvm vv  vv  vv  vv  vv  vv  vv  vv  vv  vxb vxb vv  vv  vxb vxb")                                       \
    STATE(OVER, "our END has left more than a minute ago",                                                             \
          "vxo xx  vxo vxo vxo vxo vxo dxo dxo dxo dxo dxo dxo dxo dxo dxo dxo")                                       \
    STATE(CROSSED, "BEGIN and our END have left, the exit's END has come",                                             \
          "dxl xx  dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl")                                       \
    STATE(CROSSED_RESOLVED, "RESOLVE and our END have left, RESOLVED has come",                                        \
          "dxl xx  dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl")                                       \
    STATE(REFUSED, "BEGIN has left, the exit's END has come",                                                          \
          "dxl xx  dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl")                                       \
    STATE(THEIRS, "CONNECTED and the exit's END have come",                                                            \
          "dxl xx  dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl")                                       \
    STATE(ANSWERED, "RESOLVE has left, RESOLVED has come",                                                             \
          "dxl xx  dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl dxl")                                       \
    STATE(HOP_OPEN, "CONNECTED has come; from the hop before",                                                         \
          "dxh xx  dxh dxh dxh dxh dxh dxh dxh dxh dxh dxh dxh dxh dxh dxh dxh")                                       \
    STATE(HOP_LEFT, "BEGIN and our END have left; from the hop before",                                                \
          "dxh xx  vxh vxh vxh dxh dxh vxh vxh dxh dxh dxh dxh dxh dxh dxh dxh")

/* Why the answers differ; integration/tor/README.md has the same list. */
typedef struct {
    char letter;
    /* circflow closes where a stock client takes the message: no honest exit sends it. */
    int dishonest;
    const char *text;
} rows_reason;

static const rows_reason rows_reasons[] = {
    {'i', 0, "a message of a stream has no stream id"},
    {'u', 0, "nothing was said of the stream to the exit"},
    {'l', 0, "the exit has said its last word, END or RESOLVED"},
    {'c', 0, "CONNECTED for a stream that has ended here, when it had come, or nobody had asked for it"},
    {'f', 0, "XOFF or XON for which too little was sent, or XOFF twice"},
    {'b', 1, "XOFF or XON of another version, or cut short: stock reads no body of XOFF, and none of ended streams"},
    {'o', 1, "what an exit says before it hears our END is here within a round trip, and remembered for longer"},
    {'h', 1, "another hop than that of the stream: stock does not ask which for DATA and CONNECTED of ended streams"},
    {'m', 0, "END without a reason is END; stock closes"},
    {'t', 0, "CONNECTED or RESOLVED on an open stream is dropped; stock closes"},
    {'p', 0, "bodies of CONNECTED and RESOLVED are the host's to read; stock ends the stream"},
    {'d', 0, "DATA before CONNECTED is the host's to judge; stock drops it"},
    {'e', 0, "DATA without a byte is DATA; stock takes it, and does not count it"},
};

#define ROWS_NAME(name, text, cells) ROWS_##name,
#define ROWS_ENTRY(name, text, cells) {text, cells},

enum rows_state { ROWS_STATES(ROWS_NAME) ROWS_STATES_COUNT };

static const struct {
    const char *text, *cells;
} rows_states[] = {ROWS_STATES(ROWS_ENTRY)};

typedef struct {
    char stock, circflow, reason;
} rows_cell;

/* One row; the reason is 0 where both say the same. */
static inline rows_cell rows_at(size_t state, size_t message)
{
    const char *at = rows_states[state].cells;
    for (size_t i = 0; i < message; i++)
        at += strcspn(at, " "), at += strspn(at, " ");
    rows_cell cell = {at[0], at[1], 0};
    if (at[2] != ' ' && at[2] != 0)
        cell.reason = at[2];
    return cell;
}

static inline const rows_reason *rows_reason_of(char letter)
{
    for (size_t i = 0; i < sizeof(rows_reasons) / sizeof(rows_reasons[0]); i++)
        if (rows_reasons[i].letter == letter)
            return &rows_reasons[i];
    return NULL;
}

#endif
