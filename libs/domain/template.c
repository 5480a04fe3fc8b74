#include "domain/template.h"

#include <stdbool.h>
#include <string.h>

#include "base/err.h"

static bool is_name_char(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

/* The end of the placeholder that begins at @at ("{{"), with its name; NULL when it is none. */
static const char *placeholder(const char *at, const char **name, size_t *len)
{
    const char *p = at + 2;
    size_t n = 0;

    while (*p == ' ') {
        p++;
    }
    while (is_name_char(p[n], n == 0) && n <= TEMPLATE_NAME_MAX) {
        n++;
    }
    if (n == 0 || n > TEMPLATE_NAME_MAX) {
        return NULL;
    }
    *name = p;
    *len = n;
    p += n;
    while (*p == ' ') {
        p++;
    }
    return p[0] == '}' && p[1] == '}' ? p + 2 : NULL;
}

static bool is_named(const char *name, size_t len, const char *text)
{
    return strlen(text) == len && memcmp(name, text, len) == 0;
}

static const char *value_of(const struct template_values *values, const char *name, size_t len)
{
    for (size_t i = 0; values->variables != NULL && i < values->variables->n; i++) {
        if (is_named(name, len, values->variables->at[i].name)) {
            return values->variables->at[i].value;
        }
    }
    if (is_named(name, len, "name") || is_named(name, len, "contact_name")) {
        return values->contact_name;
    }
    return is_named(name, len, "phone") ? values->phone : NULL;
}

int template_render(const char *template, const struct template_values *values, struct buf *out,
                    unsigned *missing)
{
    size_t before = out->n;
    const char *from = template;
    unsigned without = 0;

    while (*from != '\0') {
        const char *name = NULL;
        size_t len = 0;
        const char *end = strncmp(from, "{{", 2) == 0 ? placeholder(from, &name, &len) : NULL;
        const char *value = end != NULL ? value_of(values, name, len) : from;
        size_t n = end == NULL ? 1 : value == NULL ? 0 : strlen(value);

        without += end != NULL && value == NULL ? 1U : 0U;
        if (out->n - before + n > TEMPLATE_OUTPUT_MAX) {
            out->n = before;
            return -ERR_LIMIT;
        }
        if (n > 0) {
            buf_add(out, value, n);
        }
        from = end != NULL ? end : from + 1;
    }
    if (missing != NULL) {
        *missing = without;
    }
    return 0;
}
