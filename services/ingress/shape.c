#include "ingress/shape.h"

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "base/clock.h"

/* Rounds down, also before 1970. */
static int64_t ms_of(int64_t us)
{
    return us / 1000 - (us % 1000 < 0 ? 1 : 0);
}

static json_t *time_json(int64_t us, bool with_ms)
{
    char text[CLOCK_TEXT_MAX];

    if (us == SHAPE_NO_TIME) {
        return json_null();
    }
    return json_string(with_ms ? clock_format_ms(ms_of(us), text)
                               : clock_format_s(ms_of(us), text));
}

static json_t *phone_json(const char *digits)
{
    return digits != NULL && digits[0] != 0 ? json_sprintf("+%s", digits) : json_null();
}

static json_t *parsed(const char *text)
{
    json_t *json = text != NULL ? json_loads(text, 0, NULL) : NULL;

    return json != NULL ? json : json_object();
}

static json_t *text_json(const char *text, json_t *otherwise)
{
    if (text != NULL) {
        json_decref(otherwise);
        return json_string(text);
    }
    return otherwise;
}

static json_t *field_json(const struct shape_field *f, const void *at)
{
    switch (f->kind) {
    case SHAPE_INT:
        return json_integer(*(const int64_t *)at);
    case SHAPE_BOOL:
        return json_boolean(*(const bool *)at);
    case SHAPE_TEXT:
        return text_json(*(const char *const *)at, json_string(""));
    case SHAPE_TEXT_NULL:
        return text_json(*(const char *const *)at, json_null());
    case SHAPE_PHONE:
        return phone_json(*(const char *const *)at);
    case SHAPE_TS0:
    case SHAPE_TS0_NULL:
        return time_json(*(const int64_t *)at, false);
    case SHAPE_TS3_NULL:
        return time_json(*(const int64_t *)at, true);
    case SHAPE_JSON:
        return parsed(*(const char *const *)at);
    case SHAPE_OBJECT:
        return shape_json(f->child, at);
    case SHAPE_OBJECT_NULL:
        return *(const void *const *)at != NULL ? shape_json(f->child, *(const void *const *)at)
                                                : json_null();
    }
    return json_null();
}

struct json_t *shape_json(const struct shape *shape, const void *from)
{
    json_t *object = json_object();

    for (size_t i = 0; i < shape->n; i++) {
        const struct shape_field *f = &shape->fields[i];

        (void)json_object_set_new(object, f->name, field_json(f, (const char *)from + f->offset));
    }
    return object;
}
