/* shape: structs as JSON, by table: one row per member, so that a shape of the contract is read in
 * one place. Pure. */
#ifndef INGRESS_SHAPE_H
#define INGRESS_SHAPE_H

#include <stddef.h>
#include <stdint.h>

struct json_t;

enum shape_kind {
    SHAPE_INT,        /* int64_t */
    SHAPE_BOOL,       /* bool */
    SHAPE_TEXT,       /* const char *; NULL is "" */
    SHAPE_TEXT_NULL,  /* const char *; NULL is null */
    SHAPE_PHONE,      /* const char *, digits, shown with a plus; NULL is null */
    SHAPE_TS0,        /* int64_t microseconds since the epoch, shown in seconds */
    SHAPE_TS0_NULL,   /* the same; SHAPE_NO_TIME is null */
    SHAPE_TS3_NULL,   /* shown in milliseconds; SHAPE_NO_TIME is null */
    SHAPE_JSON,       /* const char *, an object's text, put in as it is */
    SHAPE_OBJECT,     /* a struct inside, of the shape `child` */
    SHAPE_OBJECT_NULL /* a pointer to one; NULL is null */
};

#define SHAPE_NO_TIME INT64_MIN

struct shape_field {
    const char *name;
    enum shape_kind kind;
    size_t offset;
    const struct shape *child;
};

struct shape {
    const struct shape_field *fields;
    size_t n;
};

#define SHAPE(list)                                              \
    {                                                            \
        .fields = (list), .n = sizeof(list) / sizeof((list)[0]), \
    }
#define SHAPE_MEMBER(type, member, text, of_kind)       \
    {                                                   \
        (text), (of_kind), offsetof(type, member), NULL \
    }
#define SHAPE_CHILD(type, member, text, of_kind, of_shape)     \
    {                                                          \
        (text), (of_kind), offsetof(type, member), &(of_shape) \
    }

/* Gives a new reference. */
struct json_t *shape_json(const struct shape *shape, const void *from);

#endif
