/* Names of statuses, instructions and verdicts for people who debug: each value that the header lists, and no other. */

#include "host.h"

#include <stdio.h>

static const char *of_status(long value) { return circflow_status_name((int32_t)value); }
static const char *of_insn(long value) { return circflow_insn_kind_name((uint32_t)value); }
static const char *of_verdict(long value) { return circflow_verdict_kind_name((uint32_t)value); }

/* Each enum, the function that names its values, and what that says of any other number. */
static const struct {
    const char *type;
    const char *(*name)(long value);
    const char *unknown;
    long lowest, highest;
} enums[] = {
    {"circflow_status", of_status, "not a status", -600, 10},
    {"circflow_insn_kind", of_insn, "not a kind of instruction", 0, 300},
    {"circflow_verdict_kind", of_verdict, "not a kind of verdict", 0, 300},
};

static FILE *open_header(void)
{
    FILE *header = fopen(HEADER_PATH, "r");
    assert_non_null(header);
    return header;
}

/* Moves on to the values of an enum. */
static void find_enum(FILE *header, const char *type)
{
    char line[512], begins[128];
    snprintf(begins, sizeof(begins), "typedef enum %s {", type);
    while (fgets(line, sizeof(line), header) != NULL)
        if (strncmp(line, begins, strlen(begins)) == 0)
            return;
    fail_msg("the header has no enum %s", type);
}

/* Reads the enum's next value: 0 behind the last. */
static int next_value(FILE *header, char name[128], long *value)
{
    char line[512];
    while (fgets(line, sizeof(line), header) != NULL && line[0] != '}')
        if (sscanf(line, " %120[A-Z0-9_] = %ld", name, value) == 2)
            return 1;
    return 0;
}

static void every_value_of_the_header_has_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(enums); i++) {
        FILE *header = open_header();
        char name[128];
        long value;
        size_t values = 0;
        find_enum(header, enums[i].type);
        for (; next_value(header, name, &value); values++)
            if (strcmp(enums[i].name(value), name) != 0)
                fail_msg("%s, which is %ld, is called \"%s\"", name, value, enums[i].name(value));
        fclose(header);
        assert_true(values >= 6);
    }
}

static void numbers_that_are_none_are_called_so(void **state)
{
    static const int32_t statuses[] = {1, -600, -99999, INT32_MIN, INT32_MAX};
    static const uint32_t kinds[] = {250, 256, 257, 0x10001, INT32_MAX, UINT32_MAX};
    (void)state;
    for (size_t i = 0; i < COUNT(statuses); i++)
        assert_string_equal(circflow_status_name(statuses[i]), "not a status");
    for (size_t i = 0; i < COUNT(kinds); i++) {
        assert_string_equal(circflow_insn_kind_name(kinds[i]), "not a kind of instruction");
        assert_string_equal(circflow_verdict_kind_name(kinds[i]), "not a kind of verdict");
    }
    assert_string_equal(circflow_verdict_kind_name(0), "not a kind of verdict"); /* They begin at 1. */
}

/* As many numbers have a name as the header has values, so a name is never given twice, or for a value that went. */
static void no_other_number_has_a_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(enums); i++) {
        FILE *header = open_header();
        char name[128];
        long value;
        size_t values = 0, named = 0;
        find_enum(header, enums[i].type);
        while (next_value(header, name, &value))
            values++;
        fclose(header);
        for (long number = enums[i].lowest; number <= enums[i].highest; number++)
            named += strcmp(enums[i].name(number), enums[i].unknown) != 0;
        assert_int_equal(named, values);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_of_the_header_has_its_name),
        cmocka_unit_test(numbers_that_are_none_are_called_so),
        cmocka_unit_test(no_other_number_has_a_name),
    };
    return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
