#include "domain/state_json.h"

#include <string.h>

#include "base/err.h"
#include "domain/json_read.h"

static json_t *read_member(const uint8_t *at, const struct state_member *member)
{
    int64_t i64 = 0;
    uint32_t u32 = 0;
    int32_t i32 = 0;

    switch (member->kind) {
    case STATE_BOOL:
        return json_boolean(*(const bool *)at);
    case STATE_I32:
        memcpy(&i32, at, sizeof(i32));
        return json_integer(i32);
    case STATE_U32:
        memcpy(&u32, at, sizeof(u32));
        return json_integer(u32);
    case STATE_I64:
        memcpy(&i64, at, sizeof(i64));
        return json_integer(i64);
    case STATE_TEXT:
        return json_string((const char *)at);
    case STATE_WORD:
        memcpy(&u32, at, sizeof(u32));
        return json_string(member->words[u32 < member->size ? u32 : 0]);
    }
    return NULL;
}

void state_to_json(const void *state, const struct state_member *members, size_t n, struct buf *out)
{
    json_t *object = json_object();

    for (size_t i = 0; i < n; i++) {
        (void)json_object_set_new(
            object, members[i].name,
            read_member((const uint8_t *)state + members[i].offset, &members[i]));
    }
    json_write(object, out);
}

static int write_word(const json_t *from, const struct state_member *member, uint8_t *at,
                      struct err *err)
{
    const char *word = json_string_value(json_object_get(from, member->name));

    for (uint32_t i = 0; word != NULL && i < member->size; i++) {
        if (strcmp(word, member->words[i]) == 0) {
            memcpy(at, &i, sizeof(i)); /* an enum of ours is as wide */
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "%s is none of its words", member->name);
}

static int write_member(const json_t *from, const struct state_member *member, uint8_t *at,
                        struct err *err)
{
    int64_t value = 0;
    int32_t i32 = 0;
    uint32_t u32 = 0;
    int rc = 0;

    switch (member->kind) {
    case STATE_BOOL:
        return json_read_bool(from, member->name, (bool *)at, err);
    case STATE_I32:
        rc = json_read_int(from, member->name, INT32_MIN, INT32_MAX, &value, err);
        i32 = (int32_t)value;
        memcpy(at, &i32, sizeof(i32));
        return rc;
    case STATE_U32:
        rc = json_read_int(from, member->name, 0, UINT32_MAX, &value, err);
        u32 = (uint32_t)value;
        memcpy(at, &u32, sizeof(u32));
        return rc;
    case STATE_I64:
        rc = json_read_int(from, member->name, INT64_MIN, INT64_MAX, &value, err);
        memcpy(at, &value, sizeof(value));
        return rc;
    case STATE_TEXT:
        return json_read_text(from, member->name, (char *)at, member->size, err);
    case STATE_WORD:
        return write_word(from, member, at, err);
    }
    return -ERR_INVALID;
}

int state_from_json(const char *json, size_t len, const struct state_member *members, size_t n,
                    void *state, struct err *err)
{
    json_t *object = NULL;
    int rc = json_read_object(json, len, &object, err);

    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = write_member(object, &members[i], (uint8_t *)state + members[i].offset, err);
    }
    json_decref(object);
    return rc;
}
