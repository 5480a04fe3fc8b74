#include "http/http_json.h"

#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "base/err.h"
#include "base/text.h"

/* Line and column, from 1, of the byte at @at; columns count characters as jansson's do. */
static int refuse_depth(struct bytes text, size_t at, struct err *err)
{
    int line = 1;
    int column = 0;

    for (size_t i = 0; i <= at; i++) {
        if (text.p[i] == '\n') {
            line++;
            column = 0;
        } else if ((text.p[i] & 0xc0U) != 0x80) {
            column++;
        }
    }
    return err_set(err, ERR_INVALID, "the JSON is nested deeper than %d: line %d, column %d",
                   TEXT_JSON_DEPTH_MAX, line, column);
}

static bool is_blank(struct bytes text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (strchr(" \t\r\n", text.p[i]) == NULL || text.p[i] == 0) {
            return false;
        }
    }
    return true;
}

/* jansson's text up to where it quotes the input. */
static int refuse_text(const json_error_t *why, struct err *err)
{
    const char *near = strstr(why->text, " near ");
    const char *text = why->text;
    size_t n = near != NULL ? (size_t)(near - text) : strlen(text);

    if (json_error_code(why) == json_error_duplicate_key) { /* it quotes the name */
        text = "a name repeats";
        n = strlen(text);
    } else if (json_error_code(why) == json_error_null_character) {
        text = "\\u0000 in a string";
        n = strlen(text);
    }
    return err_set(err, ERR_INVALID, "the body is not JSON: line %d, column %d: %.*s", why->line,
                   why->column, (int)n, text);
}

int http_json_parse(struct bytes text, struct json_t **out, struct err *err)
{
    json_error_t why;
    json_t *json;
    size_t deep_at = text_json_too_deep(text);

    if (is_blank(text)) {
        *out = json_object();
        return 0;
    }
    if (deep_at < text.n) {
        return refuse_depth(text, deep_at, err);
    }
    json = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (json == NULL) {
        return refuse_text(&why, err);
    }
    if (!json_is_object(json)) {
        json_decref(json);
        return err_set(err, ERR_INVALID, "the body is not a JSON object");
    }
    *out = json;
    return 0;
}
