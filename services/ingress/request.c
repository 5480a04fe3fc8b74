#include "ingress/request.h"

#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "base/err.h"
#include "base/text.h"

enum { URL_MAX = 2048, INT64_DIGITS = 18 /* that always fit */ };

size_t request_characters(const char *text)
{
    size_t n = 0;

    for (; *text != 0; text++) {
        n += ((unsigned char)*text & 0xc0U) != 0x80 ? 1 : 0;
    }
    return n;
}

static int read_text(const struct request_field *f, const json_t *value, void *to, struct err *err)
{
    const char *text = json_string_value(value);
    int64_t n = text != NULL ? (int64_t)request_characters(text) : -1;

    if (n < f->min || n > f->max) {
        return err_set(err, ERR_INVALID, "%s must be a string of %lld to %lld characters", f->name,
                       (long long)f->min, (long long)f->max);
    }
    *(const char **)to = text;
    return 0;
}

static int read_int(const struct request_field *f, const json_t *value, void *to, struct err *err)
{
    int64_t number = json_is_integer(value) ? json_integer_value(value) : INT64_MIN;

    if (number < f->min || number > f->max) {
        return err_set(err, ERR_INVALID, "%s must be a whole number from %lld to %lld", f->name,
                       (long long)f->min, (long long)f->max);
    }
    *(int64_t *)to = number;
    return 0;
}

static int read_array(const struct request_field *f, json_t *value, void *to, struct err *err)
{
    int64_t n = json_is_array(value) ? (int64_t)json_array_size(value) : -1;

    if (n < f->min || n > f->max) {
        return err_set(err, ERR_INVALID, "%s must be an array of %lld to %lld elements", f->name,
                       (long long)f->min, (long long)f->max);
    }
    *(json_t **)to = value;
    return 0;
}

static int read_one(const struct request_field *f, json_t *value, void *to, struct err *err)
{
    switch (f->kind) {
    case REQUEST_IS_TEXT:
        return read_text(f, value, to, err);
    case REQUEST_IS_INT:
        return read_int(f, value, to, err);
    case REQUEST_IS_ARRAY:
        return read_array(f, value, to, err);
    case REQUEST_IS_BOOL:
        if (!json_is_boolean(value)) {
            return err_set(err, ERR_INVALID, "%s must be true or false", f->name);
        }
        *(bool *)to = json_is_true(value);
        return 0;
    case REQUEST_IS_OBJECT:
        if (!json_is_object(value)) {
            return err_set(err, ERR_INVALID, "%s must be an object", f->name);
        }
        *(json_t **)to = value;
        return 0;
    }
    return 0;
}

int request_read(const struct request_field *fields, size_t n, const struct json_t *body, void *to,
                 struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        json_t *value = json_object_get(body, fields[i].name);
        int rc = 0;

        if (value != NULL && !json_is_null(value)) {
            rc = read_one(&fields[i], value, (char *)to + fields[i].offset, err);
        } else if (fields[i].is_required) {
            rc = err_set(err, ERR_INVALID, "%s is required", fields[i].name);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int request_check_url(const char *name, const char *url, struct err *err)
{
    const char *host = strncasecmp(url, "https://", 8) == 0  ? url + 8
                       : strncasecmp(url, "http://", 7) == 0 ? url + 7
                                                             : NULL;
    size_t n = host != NULL ? strcspn(host, "/?#") : 0;

    if (url[0] == 0) {
        return 0;
    }
    for (const unsigned char *c = (const unsigned char *)url; *c != 0; c++) {
        if (*c <= 0x20 || *c >= 0x7f) {
            host = NULL;
        }
    }
    if (host == NULL || n == 0 || host[0] == ':' || memchr(host, '@', n) != NULL ||
        strlen(url) > URL_MAX) {
        return err_set(err, ERR_INVALID,
                       "%s must be an absolute http or https URL of at most %d bytes, or empty",
                       name, URL_MAX);
    }
    return 0;
}

int request_number(const struct request_number *rule, const char *text, int64_t *out,
                   struct err *err)
{
    int64_t value = rule->fallback;

    if (text != NULL && text[strspn(text, "0123456789")] == 0 &&
        strlen(text + strspn(text, "0")) > INT64_DIGITS) {
        value = rule->cap; /* perhaps larger than any number of ours */
    } else if (text != NULL && text[0] != 0 &&
               !text_to_int(text, rule->lowest, INT64_MAX, &value)) {
        return err_set(err, ERR_INVALID, "%s must be a whole number from %lld", rule->name,
                       (long long)rule->lowest);
    }
    *out = value > rule->cap ? rule->cap : value;
    return 0;
}
