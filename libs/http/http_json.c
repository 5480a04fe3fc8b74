#include "http/http_json.h"

#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "base/err.h"
#include "http/http.h"

/* The deepest nesting of brackets outside strings. */
static unsigned nesting(struct bytes text)
{
    unsigned depth = 0;
    unsigned most = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];

        if (in_string) {
            i += c == '\\' ? 1 : 0;
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
            most = depth > most ? depth : most;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return most;
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
static int quote_free(const char *text)
{
    const char *near = strstr(text, " near ");

    return (int)(near != NULL ? (size_t)(near - text) : strlen(text));
}

int http_json_parse(struct bytes text, struct json_t **out, struct err *err)
{
    json_error_t why;
    json_t *json;

    if (is_blank(text)) {
        *out = json_object();
        return 0;
    }
    if (nesting(text) > HTTP_JSON_DEPTH_MAX) {
        return err_set(err, ERR_LIMIT, "the JSON is nested deeper than %d", HTTP_JSON_DEPTH_MAX);
    }
    json = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &why);
    if (json == NULL) {
        bool is_duplicate = strncmp(why.text, "duplicate", 9) == 0; /* it quotes the name */

        return err_set(err, ERR_INVALID, "the body is not JSON: line %d, column %d: %.*s", why.line,
                       why.column, is_duplicate ? 14 : quote_free(why.text),
                       is_duplicate ? "a name repeats" : why.text);
    }
    if (!json_is_object(json)) {
        json_decref(json);
        return err_set(err, ERR_INVALID, "the body is not a JSON object");
    }
    *out = json;
    return 0;
}
