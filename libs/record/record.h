/* record: the tables that describe the structs of records.h, so that one codec serves them all.
 *
 * Every record that travels on a topic is a C struct generated from its newest Avro schema
 * (schemas/generate.py). A command or event record is an envelope, a `kind`, and the union `as`
 * with the payload of that kind. Strings end in NUL; a nullable string that is null is NULL; a
 * nullable number has a `has_` flag beside it. Structs own nothing: what they point to lives as
 * long as the arena, or the caller's memory, that it came from. */
#ifndef RECORD_RECORD_H
#define RECORD_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct record_type;

struct record_strings {
    size_t n;
    const char **at;
};

struct record_pair {
    const char *name;
    const char *value;
};

struct record_map {
    size_t n;
    struct record_pair *at;
};

enum record_field_kind {
    RECORD_STRING,
    RECORD_BYTES,
    RECORD_INT,
    RECORD_LONG,
    RECORD_BOOL,
    RECORD_STRING_LIST,
    RECORD_STRING_MAP,
    RECORD_RECORD,     /* a pointer to a struct of the field's type */
    RECORD_RECORD_LIST /* struct { size_t n; struct X *at; } */
};

/* The last moment of the year 9999: what is later, or as long before 1970, is no time. */
#define RECORD_TIME_MS_MAX INT64_C(253402300799999)
#define RECORD_TIME_US_MAX (RECORD_TIME_MS_MAX * 1000 + 999)

struct record_field {
    const char *name;
    enum record_field_kind kind;
    bool nullable;
    size_t offset;
    size_t has_offset; /* of the has_ flag of a nullable number; else 0 */
    const struct record_type *type;
    int64_t most; /* of a time, and of a negative one without its sign; 0: any number will do */
};

struct record_case {
    const char *member;     /* name of the nullable member in the schema, and in the union */
    const char *event_type; /* name of its record, such as "SessionCreated" */
    const struct record_type *type;
};

struct record_type {
    const char *name;
    size_t size; /* of the struct */
    const struct record_field *fields;
    size_t fields_n;
    size_t kind_offset; /* of `kind`; kind k holds cases[k - 1]; without cases unused */
    size_t as_offset;   /* of the union `as` */
    const struct record_case *cases;
    size_t cases_n;
};

enum topic_kind { TOPIC_KIND_COMMAND, TOPIC_KIND_EVENT, TOPIC_KIND_PLAIN };

struct topic_info {
    const char *name;
    enum topic_kind kind;
    int partitions;
    int64_t retention_ms; /* -1: for ever */
    const char *subject;  /* of its schemas */
    const struct record_type *type;
    const char *const *written_by; /* names, a NULL at the end; some are no services of ours */
    const char *const *read_by;
};

struct schema_info {
    int32_t id; /* of the Confluent wire format */
    const char *subject;
    int version;
    const char *text; /* the Avro schema as JSON */
};

#endif
