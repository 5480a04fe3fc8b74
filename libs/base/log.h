/* log: one line of JSON per entry on standard error. A field never holds a secret.
 *
 *     log_info("session connected", LOG_STR("session", uuid), LOG_INT("ms", took));
 *
 * Any thread may log; one entry is one write. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    const char *name; /* NULL ends a list */
    const char *text; /* a string value when not NULL */
    int64_t number;
};

#define LOG_STR(n, v)                         \
    (struct log_field)                        \
    {                                         \
        .name = (n), .text = (v) ? (v) : "-", \
    }
#define LOG_INT(n, v)                       \
    (struct log_field)                      \
    {                                       \
        .name = (n), .number = (int64_t)(v) \
    }

/* Name of the process and the lowest level that is written; before the first call: "-", info. */
void log_setup(const char *service, enum log_level level, bool pretty);

/* "debug", "info", "warn", "error"; false for anything else. */
bool log_level_parse(const char *text, enum log_level *out);

/* Fields that every entry of this thread carries until the next call (correlation ids). Borrows
 * @fields, which ends with a NULL name; NULL for none. */
void log_context(const struct log_field *fields);

void log_write(enum log_level level, const char *message, const struct log_field *fields);

#define LOG_FIELDS(...)            \
    (const struct log_field[])     \
    {                              \
        __VA_ARGS__ __VA_OPT__(, ) \
        {                          \
            0                      \
        }                          \
    }
/* NOLINTBEGIN(readability-identifier-naming): called like functions */
#define log_debug(message, ...) log_write(LOG_DEBUG, message, LOG_FIELDS(__VA_ARGS__))
#define log_info(message, ...)  log_write(LOG_INFO, message, LOG_FIELDS(__VA_ARGS__))
#define log_warn(message, ...)  log_write(LOG_WARN, message, LOG_FIELDS(__VA_ARGS__))
#define log_error(message, ...) log_write(LOG_ERROR, message, LOG_FIELDS(__VA_ARGS__))
/* NOLINTEND(readability-identifier-naming) */

#endif
