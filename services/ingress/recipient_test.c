#include "testkit/testkit.h"

#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/err.h"
#include "ingress/recipient.h"

static void expect_json(const char *text, const char *want_error)
{
    struct arena arena = {0};
    struct recipient r = {0};
    struct err err = {0};
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    int rc = recipient_from_json(json, &arena, &r, &err);

    assert_non_null(json);
    if ((rc == 0) != (want_error == NULL) ||
        (want_error != NULL && strstr(err.text, want_error) == NULL)) {
        fail_msg("%s: rc %d, %s", text, rc, err.text);
    }
    json_decref(json);
    arena_done(&arena);
}

static void json_objects_become_recipients(void **state)
{
    struct arena arena = {0};
    struct recipient r = {0};
    json_t *json = json_pack("{s:s, s:s, s:{s:s, s:i, s:b, s:n}}", "phone", "+62 81", "contactName",
                             "Ani", "variables", "code", "x1", "n", 7, "yes", 1, "none");

    (void)state;
    assert_int_equal(recipient_from_json(json, &arena, &r, NULL), -ERR_INVALID);
    (void)json_object_set_new(json, "phone", json_string("+6281381393739"));
    assert_int_equal(recipient_from_json(json, &arena, &r, NULL), 0);
    assert_string_equal(r.phone, "6281381393739");
    assert_string_equal(r.contact_name, "Ani");
    assert_int_equal(r.variables.n, 3);
    assert_null(r.message_template);
    json_decref(json);
    arena_done(&arena);
}

static void bad_objects_say_what_is_wrong(void **state)
{
    (void)state;
    expect_json("{\"phone\":\"6281381393739\"}", NULL);
    expect_json("{\"phone\":\"6281381393739@s.whatsapp.net\"}", NULL);
    expect_json("{\"phone\":\"120363302171476233@g.us\"}", "phone is a group: sending to groups");
    expect_json("{\"phone\":\"6281381393739-1624931511@g.us\"}", "phone is a group");
    expect_json("[]", "must be an object");
    expect_json("{}", "phone is required");
    expect_json("{\"phone\":\"081381393739\"}", "phone must be an international number");
    expect_json("{\"phone\":\"6281381393739\",\"variables\":[]}", "variables must be an object");
    expect_json("{\"phone\":\"6281381393739\",\"variables\":{\"a b\":\"\"}}", "is no name");
    expect_json("{\"phone\":\"6281381393739\",\"variables\":{\"a\":{}}}",
                "variables.a must be a string");
}

static int header_of(const struct csv_row *row, struct recipient_columns *out, struct arena *arena,
                     struct err *err)
{
    return recipient_header(row, arena, out, err);
}

static void rows_become_recipients(void **state)
{
    const struct csv_row header = {
        .line = 1, .n = 4, .cells = {" code", "phoneNumber ", "name", "messageTemplate"}};
    const struct csv_row row = {.line = 2, .n = 4, .cells = {"x,1", " 6281381393739", "Ani", ""}};
    const struct csv_row narrow = {.line = 3, .n = 3, .cells = {"x", "6281381393739", "Ani"}};
    const struct csv_row broken = {.line = 4, .problem = "not UTF-8"};
    const struct csv_row group = {
        .line = 5, .n = 4, .cells = {"x", " 120363302171476233@g.us", "Friends", ""}};
    struct recipient_columns columns;
    struct arena arena = {0};
    struct recipient r = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(header_of(&header, &columns, &arena, NULL), 0);
    assert_int_equal(recipient_from_row(&columns, &row, &arena, &r, NULL), 0);
    assert_string_equal(r.phone, "6281381393739");
    assert_string_equal(r.contact_name, "Ani");
    assert_null(r.message_template);
    assert_int_equal(r.variables.n, 1);
    assert_string_equal(r.variables.at[0].name, "code");
    assert_string_equal(r.variables.at[0].value, "x,1");
    assert_int_equal(recipient_from_row(&columns, &narrow, &arena, &r, &err), -ERR_INVALID);
    assert_string_equal(err.text, "3 cells where the header has 4");
    assert_int_equal(recipient_from_row(&columns, &broken, &arena, &r, &err), -ERR_INVALID);
    assert_string_equal(err.text, "not UTF-8");
    assert_int_equal(recipient_from_row(&columns, &group, &arena, &r, &err), -ERR_INVALID);
    assert_string_equal(err.text, "phone is a group: sending to groups is not supported");
    arena_done(&arena);
}

static void headers_are_checked(void **state)
{
    const struct csv_row no_phone = {.line = 1, .n = 1, .cells = {"number"}};
    const struct csv_row twice = {.line = 1, .n = 2, .cells = {"phone", "phoneNumber"}};
    const struct csv_row same = {.line = 1, .n = 3, .cells = {"phone", "code", "code"}};
    const struct csv_row odd = {.line = 1, .n = 2, .cells = {"phone", "my code"}};
    struct recipient_columns columns;
    struct arena arena = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(header_of(&no_phone, &columns, &arena, &err), -ERR_INVALID);
    assert_non_null(strstr(err.text, "no column \"phone\""));
    assert_int_equal(header_of(&twice, &columns, &arena, &err), -ERR_INVALID);
    assert_non_null(strstr(err.text, "column 2"));
    assert_int_equal(header_of(&same, &columns, &arena, &err), -ERR_INVALID);
    assert_int_equal(header_of(&odd, &columns, &arena, &err), -ERR_INVALID);
    assert_non_null(strstr(err.text, "\"my code\" is no name of a variable"));
    arena_done(&arena);
}

static void a_header_has_as_many_variables_as_a_json_object(void **state)
{
    struct csv_row row = {.line = 1, .n = RECIPIENT_VARIABLES_MAX + 1, .cells = {"phone"}};
    struct recipient_columns columns;
    struct arena arena = {0};
    struct err err = {0};

    (void)state;
    for (size_t i = 1; i < CSV_CELLS_MAX; i++) {
        row.cells[i] = arena_printf(&arena, "v%zu", i);
    }
    assert_int_equal(header_of(&row, &columns, &arena, &err), 0);
    row.n++;
    assert_int_equal(header_of(&row, &columns, &arena, &err), -ERR_INVALID);
    assert_string_equal(err.text, "the header row names 51 variables, at most 50 are taken");
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_objects_become_recipients),
        cmocka_unit_test(bad_objects_say_what_is_wrong),
        cmocka_unit_test(rows_become_recipients),
        cmocka_unit_test(headers_are_checked),
        cmocka_unit_test(a_header_has_as_many_variables_as_a_json_object),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
