/* The paths of a Confluent Schema Registry, at the root, over the schemas that this build knows:
 * stock clients decode every topic through them. Schemas come with a release; registering one
 * answers with the id of an equal one and refuses another. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/text.h"
#include "ingress/handler.h"
#include "record/records.h"

enum {
    REGISTRY_NO_SUBJECT = 40401, /* error codes of the registry's interface */
    REGISTRY_NO_VERSION = 40402,
    REGISTRY_NO_SCHEMA = 40403,
    REGISTRY_INCOMPATIBLE = 409,
    REGISTRY_BAD_SCHEMA = 42201,
    REGISTRY_BAD_VERSION = 42202,
    SCHEMA_BYTES_MAX = 128 * 1024
};

static const char registry_type[] = "application/vnd.schemaregistry.v1+json";

static void answer(struct http_request *request, int status, json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);

    http_answer(request, status, registry_type,
                (struct bytes){(const uint8_t *)text, text != NULL ? strlen(text) : 0});
    free(text);
    json_decref(body);
}

static void answer_error(struct http_request *request, int status, int code, const char *message)
{
    answer(request, status, json_pack("{s:i, s:s}", "error_code", code, "message", message));
}

/* ---- look-ups ---- */

static const struct schema_info *by_id(const char *text)
{
    int64_t id;

    if (!text_to_int(text, 1, INT32_MAX, &id)) {
        return NULL;
    }
    for (size_t i = 0; i < schemas_n; i++) {
        if (schemas[i].id == id) {
            return &schemas[i];
        }
    }
    return NULL;
}

/* @version 0: the newest. */
static const struct schema_info *by_version(const char *subject, int64_t version)
{
    const struct schema_info *found = NULL;

    for (size_t i = 0; i < schemas_n; i++) {
        bool fits = version == 0 ? found == NULL || schemas[i].version > found->version
                                 : schemas[i].version == version;

        if (fits && strcmp(schemas[i].subject, subject) == 0) {
            found = &schemas[i];
        }
    }
    return found;
}

/* The subject that the path names; false: answered 404. */
static bool take_subject(struct http_request *request, const char **out)
{
    *out = http_param(request, "subject");
    if (by_version(*out, 0) == NULL) {
        answer_error(request, 404, REGISTRY_NO_SUBJECT, "Subject not found.");
        return false;
    }
    return true;
}

static const struct schema_info *take_version(struct http_request *request)
{
    const char *version = http_param(request, "version");
    const struct schema_info *found;
    const char *subject;
    int64_t number = 0;

    if (!take_subject(request, &subject)) {
        return NULL;
    }
    if (strcmp(version, "latest") != 0 && strcmp(version, "-1") != 0 &&
        !text_to_int(version, 1, INT32_MAX, &number)) {
        answer_error(request, 422, REGISTRY_BAD_VERSION,
                     "The version is a number from 1, or \"latest\".");
        return NULL;
    }
    found = by_version(subject, number);
    if (found == NULL) {
        answer_error(request, 404, REGISTRY_NO_VERSION, "Version not found.");
    }
    return found;
}

static json_t *whole(const struct schema_info *schema)
{
    return json_pack("{s:s, s:i, s:i, s:s, s:s}", "subject", schema->subject, "id", (int)schema->id,
                     "version", schema->version, "schemaType", "AVRO", "schema", schema->text);
}

/* ---- schemas by id ---- */

static const struct schema_info *take_id(struct http_request *request)
{
    const struct schema_info *schema = by_id(http_param(request, "id"));

    if (schema == NULL) {
        answer_error(request, 404, REGISTRY_NO_SCHEMA, "Schema not found.");
    }
    return schema;
}

void on_schema_by_id(struct http_request *request, void *ctx)
{
    const struct schema_info *schema = take_id(request);

    (void)ctx;
    if (schema != NULL) {
        answer(request, 200, json_pack("{s:s}", "schema", schema->text));
    }
}

void on_schema_text_by_id(struct http_request *request, void *ctx)
{
    const struct schema_info *schema = take_id(request);

    (void)ctx;
    if (schema != NULL) {
        http_answer(request, 200, registry_type,
                    (struct bytes){(const uint8_t *)schema->text, strlen(schema->text)});
    }
}

void on_schema_versions_by_id(struct http_request *request, void *ctx)
{
    const struct schema_info *schema = take_id(request);

    (void)ctx;
    if (schema != NULL) {
        answer(request, 200,
               json_pack("[{s:s, s:i}]", "subject", schema->subject, "version", schema->version));
    }
}

void on_schema_types(struct http_request *request, void *ctx)
{
    (void)ctx;
    answer(request, 200, json_pack("[s]", "AVRO"));
}

/* ---- subjects ---- */

void on_subjects(struct http_request *request, void *ctx)
{
    json_t *list = json_array();

    (void)ctx;
    for (size_t i = 0; i < schemas_n; i++) {
        if (by_version(schemas[i].subject, 0) == &schemas[i]) {
            (void)json_array_append_new(list, json_string(schemas[i].subject));
        }
    }
    answer(request, 200, list);
}

void on_subject_versions(struct http_request *request, void *ctx)
{
    const char *subject;
    json_t *list;

    (void)ctx;
    if (!take_subject(request, &subject)) {
        return;
    }
    list = json_array();
    for (size_t i = 0; i < schemas_n; i++) {
        if (strcmp(schemas[i].subject, subject) == 0) {
            (void)json_array_append_new(list, json_integer(schemas[i].version));
        }
    }
    answer(request, 200, list);
}

void on_subject_version(struct http_request *request, void *ctx)
{
    const struct schema_info *schema = take_version(request);

    (void)ctx;
    if (schema != NULL) {
        answer(request, 200, whole(schema));
    }
}

void on_subject_version_text(struct http_request *request, void *ctx)
{
    const struct schema_info *schema = take_version(request);

    (void)ctx;
    if (schema != NULL) {
        http_answer(request, 200, registry_type,
                    (struct bytes){(const uint8_t *)schema->text, strlen(schema->text)});
    }
}

/* ---- looking up and registering by text ---- */

/* A schema is the same whatever its blanks, the order of its members and its docs. */
static void strip_docs(json_t *node)
{
    json_t *value;
    const char *name;
    size_t i;

    if (json_is_object(node)) {
        (void)json_object_del(node, "doc");
        json_object_foreach(node, name, value)
        {
            strip_docs(value);
        }
    } else if (json_is_array(node)) {
        json_array_foreach(node, i, value)
        {
            strip_docs(value);
        }
    }
}

static json_t *normal_form(const char *text)
{
    const struct bytes bytes = {(const uint8_t *)text, strlen(text)};
    json_t *json =
        text_json_too_deep(bytes) == bytes.n ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

    strip_docs(json);
    return json;
}

static const struct schema_info *by_text(const char *subject, json_t *given)
{
    const struct schema_info *found = NULL;

    for (size_t i = 0; i < schemas_n && found == NULL; i++) {
        json_t *own =
            strcmp(schemas[i].subject, subject) == 0 ? normal_form(schemas[i].text) : NULL;

        if (own != NULL && json_equal(own, given)) {
            found = &schemas[i];
        }
        json_decref(own);
    }
    return found;
}

struct schema_text {
    const char *schema;
    const char *type;
};

static const struct request_field schema_fields[] = {
    REQUEST_TEXT(struct schema_text, schema, "schema", true, 1, SCHEMA_BYTES_MAX),
    REQUEST_TEXT(struct schema_text, type, "schemaType", false, 1, 20),
};

/* The normal form of the body's schema; NULL: answered. */
static json_t *take_schema(struct http_request *request)
{
    struct schema_text in = {0};
    struct err err = {0};
    json_t *body = NULL;
    json_t *given = NULL;

    if (http_json(request, &body, &err) == 0 &&
        request_read(schema_fields, 2, body, &in, &err) == 0 &&
        (in.type == NULL || strcmp(in.type, "AVRO") == 0)) {
        given = normal_form(in.schema);
    }
    if (given == NULL) {
        answer_error(request, 422, REGISTRY_BAD_SCHEMA,
                     err.text[0] != 0 ? err.text : "The schema is not an Avro schema.");
    }
    return given;
}

void on_subject_lookup(struct http_request *request, void *ctx)
{
    const struct schema_info *found;
    const char *subject;
    json_t *given;

    (void)ctx;
    if (!take_subject(request, &subject)) {
        return;
    }
    given = take_schema(request);
    if (given == NULL) {
        return;
    }
    found = by_text(subject, given);
    if (found != NULL) {
        answer(request, 200, whole(found));
    } else {
        answer_error(request, 404, REGISTRY_NO_SCHEMA, "Schema not found.");
    }
    json_decref(given);
}

void on_subject_register(struct http_request *request, void *ctx)
{
    const struct schema_info *found;
    json_t *given = take_schema(request);

    (void)ctx;
    if (given == NULL) {
        return;
    }
    found = by_text(http_param(request, "subject"), given);
    if (found != NULL) {
        answer(request, 200, json_pack("{s:i}", "id", (int)found->id));
    } else {
        answer_error(request, 409, REGISTRY_INCOMPATIBLE,
                     "Schemas come with a release; this one is not known.");
    }
    json_decref(given);
}

void on_registry_config(struct http_request *request, void *ctx)
{
    (void)ctx;
    answer(request, 200, json_pack("{s:s}", "compatibilityLevel", "FULL_TRANSITIVE"));
}

void on_registry_mode(struct http_request *request, void *ctx)
{
    (void)ctx;
    answer(request, 200, json_pack("{s:s}", "mode", "READONLY_OVERRIDE"));
}
