/* A request of a client: the first byte says what the rest is: 0 a JSON body that is read by a
 * table, 1 a webhook URL, 2 a number of a query. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/err.h"
#include "base/mem.h"
#include "http/http_json.h"
#include "ingress/request.h"
#include "testkit/testkit_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct body {
    const char *name;
    const char *text;
    json_t *config;
    json_t *list;
    int64_t number;
    bool flag;
};

static const struct request_field fields[] = {
    REQUEST_TEXT(struct body, name, "name", true, 1, 8),
    REQUEST_TEXT(struct body, text, "text", false, 0, 100),
    REQUEST_OBJECT(struct body, config, "config"),
    REQUEST_ARRAY(struct body, list, "list", false, 1, 3),
    REQUEST_FIELD(struct body, number, "number", REQUEST_IS_INT, false, -3, 1000),
    REQUEST_BOOL(struct body, flag, "flag"),
};

static void check(const struct body *body)
{
    must(body->name != NULL && request_characters(body->name) >= 1);
    must(request_characters(body->name) <= 8 && strlen(body->name) <= (size_t)4 * 8);
    must(body->text == NULL || request_characters(body->text) <= 100);
    must(body->config == NULL || json_is_object(body->config));
    must(body->list == NULL ||
         (json_array_size(body->list) >= 1 && json_array_size(body->list) <= 3));
    must(body->number >= -3 && body->number <= 1000);
}

static void as_body(struct bytes text)
{
    struct body body = {0};
    struct err err = {0};
    json_t *json = NULL;

    if (http_json_parse(text, &json, NULL) == 0) {
        if (request_read(fields, sizeof(fields) / sizeof(fields[0]), json, &body, &err) == 0) {
            check(&body);
        } else {
            must(err.text[0] != '\0');
        }
        json_decref(json);
    }
}

/* What is taken has a scheme, a host and no login. */
static void as_url(const char *url)
{
    if (request_check_url("url", url, NULL) == 0 && url[0] != '\0') {
        const char *host = strstr(url, "://");
        size_t n;

        must(host != NULL && (host - url == 4 || host - url == 5));
        n = strcspn(host + 3, "/?#");
        must(n > 0 && memchr(host + 3, '@', n) == NULL && strlen(url) <= 2048);
        must(strpbrk(url, " \t\r\n") == NULL);
    }
}

static void as_number(const char *text)
{
    const struct request_number rule = {"limit", 1, 100, 20};
    int64_t number = 0;

    if (request_number(&rule, text, &number, NULL) == 0) {
        must(number >= 1 && number <= 100);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (size == 0) {
        return 0;
    }
    text = mem_strndup((const char *)data + 1, size - 1);
    if (data[0] == 0) {
        as_body((struct bytes){data + 1, size - 1});
    } else if (data[0] == 1) {
        as_url(text);
    } else {
        as_number(text);
    }
    free(text);
    return 0;
}
