#include "domain/json_read.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "domain/fixed.h"

int json_read_object(const char *text, size_t n, json_t **out, struct err *err)
{
    json_error_t where;
    json_t *made;

    if (text_json_too_deep((struct bytes){(const uint8_t *)text, n}) < n) {
        return err_set(err, ERR_INVALID, "nested deeper than %d", TEXT_JSON_DEPTH_MAX);
    }
    made = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
    if (made == NULL) {
        return err_set(err, ERR_INVALID, "not JSON: line %d, column %d", where.line, where.column);
    }
    if (!json_is_object(made)) {
        json_decref(made);
        return err_set(err, ERR_INVALID, "not a JSON object");
    }
    *out = made;
    return 0;
}

int json_read_int(const json_t *from, const char *name, int64_t min, int64_t max, int64_t *out,
                  struct err *err)
{
    const json_t *value = json_object_get(from, name);

    if (!json_is_integer(value)) {
        return err_set(err, ERR_INVALID, "%s is not an integer", name);
    }
    if (json_integer_value(value) < min || json_integer_value(value) > max) {
        return err_set(err, ERR_INVALID, "%s is not within %lld and %lld", name, (long long)min,
                       (long long)max);
    }
    *out = json_integer_value(value);
    return 0;
}

int json_read_bool(const json_t *from, const char *name, bool *out, struct err *err)
{
    const json_t *value = json_object_get(from, name);

    if (!json_is_boolean(value)) {
        return err_set(err, ERR_INVALID, "%s is not true or false", name);
    }
    *out = json_is_true(value);
    return 0;
}

int json_read_text(const json_t *from, const char *name, char *out, size_t cap, struct err *err)
{
    const json_t *value = json_object_get(from, name);

    if (!json_is_string(value)) {
        return err_set(err, ERR_INVALID, "%s is not a text", name);
    }
    if (json_string_length(value) >= cap) {
        return err_set(err, ERR_INVALID, "%s is over %zu bytes", name, cap - 1);
    }
    fixed_copy(out, cap, json_string_value(value));
    return 0;
}

static int append(const char *text, size_t n, void *out)
{
    buf_add(out, text, n);
    return 0;
}

void json_write(json_t *object, struct buf *out)
{
    if (object == NULL || json_dump_callback(object, append, out, JSON_COMPACT) != 0) {
        abort(); /* out of memory, or a text that is not UTF-8: checked where it came in */
    }
    json_decref(object);
}
