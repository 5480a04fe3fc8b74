#include "base/log.h"

#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

static struct {
    const char *service;
    enum log_level level;
    bool pretty;
} setup = {"-", LOG_INFO, false};

static _Thread_local const struct log_field *context;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_setup(const char *service, enum log_level level, bool pretty)
{
    setup.service = service;
    setup.level = level;
    setup.pretty = pretty;
}

bool log_level_parse(const char *text, enum log_level *out)
{
    for (unsigned i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_context(const struct log_field *fields)
{
    context = fields;
}

static void add_json_string(struct buf *line, const char *text)
{
    buf_add_u8(line, '"');
    for (const unsigned char *c = (const unsigned char *)text; *c != 0; c++) {
        if (*c == '"' || *c == '\\') {
            buf_add_u8(line, '\\');
            buf_add_u8(line, *c);
        } else if (*c < 0x20 || *c == 0x7f) {
            buf_addf(line, "\\u%04x", *c);
        } else {
            buf_add_u8(line, *c);
        }
    }
    buf_add_u8(line, '"');
}

static void add_fields(struct buf *line, const struct log_field *fields)
{
    for (; fields != NULL && fields->name != NULL; fields++) {
        if (setup.pretty) {
            buf_addf(line, " %s=", fields->name);
        } else {
            buf_addf(line, ",\"%s\":", fields->name);
        }
        if (fields->text != NULL) {
            add_json_string(line, fields->text);
        } else {
            buf_addf(line, "%lld", (long long)fields->number);
        }
    }
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
    struct buf line = {0};
    char now[CLOCK_TEXT_MAX];

    if (level < setup.level) {
        return;
    }
    (void)clock_format_ms(clock_wall_ms(), now);
    if (setup.pretty) {
        buf_addf(&line, "%s %-5s %s: %s", now, level_names[level], setup.service, message);
    } else {
        buf_addf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"service\":\"%s\",\"message\":", now,
                 level_names[level], setup.service);
        add_json_string(&line, message);
    }
    add_fields(&line, context);
    add_fields(&line, fields);
    buf_add_str(&line, setup.pretty ? "\n" : "}\n");
    if (write(STDERR_FILENO, line.p, line.n) < 0) {
        /* nowhere left to say so */
    }
    buf_done(&line);
}
