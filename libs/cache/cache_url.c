#include "cache/cache_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"

enum { PORT = 6379, PORT_MAX = 65535, DATABASE_MAX = 10000 };

/* A copy without %xx; NULL when one of them is broken or stands for NUL. */
static char *unescape(const char *p, size_t n)
{
    char *out = mem_new0(n + 1);
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        int high;
        int low;

        if (p[i] != '%') {
            out[used++] = p[i];
            continue;
        }
        high = i + 2 < n ? text_hex_digit(p[i + 1]) : -1;
        low = i + 2 < n ? text_hex_digit(p[i + 2]) : -1;
        if (high < 0 || low < 0 || high + low == 0) {
            mem_wipe(out, n);
            free(out);
            return NULL;
        }
        out[used++] = (char)(high * 16 + low);
        i += 2;
    }
    return out;
}

/* "user:password@" in front of *@at, which moves behind it. */
static int parse_login(const char **at, struct cache_url *url, struct err *err)
{
    size_t authority = strcspn(*at, "/");
    const char *end = NULL;
    const char *colon;

    for (size_t i = 0; i < authority; i++) {
        end = (*at)[i] == '@' ? *at + i : end;
    }
    if (end == NULL) {
        return 0;
    }
    colon = memchr(*at, ':', (size_t)(end - *at));
    if (colon == NULL) {
        return err_set(err, ERR_INVALID, "redis url: a user without a password");
    }
    url->password = unescape(colon + 1, (size_t)(end - colon - 1));
    url->user = colon > *at ? unescape(*at, (size_t)(colon - *at)) : NULL;
    if (url->password == NULL || (colon > *at && url->user == NULL)) {
        return err_set(err, ERR_INVALID, "redis url: a broken %%xx in user or password");
    }
    *at = end + 1;
    return 0;
}

static int parse_host(const char **at, struct cache_url *url, struct err *err)
{
    bool is_v6 = **at == '[';
    size_t n = strcspn(is_v6 ? *at + 1 : *at, is_v6 ? "]/" : ":/");
    int64_t port = PORT;

    if (n == 0 || (is_v6 && (*at)[1 + n] != ']')) {
        return err_set(err, ERR_INVALID, "redis url: no host");
    }
    url->host = mem_strndup(is_v6 ? *at + 1 : *at, n);
    *at += is_v6 ? n + 2 : n;
    if (**at == ':') {
        char digits[8] = "";
        size_t length = strcspn(*at + 1, "/");

        (void)snprintf(digits, sizeof(digits), "%.*s", (int)(length < 7 ? length : 7), *at + 1);
        if (!text_to_int(digits, 1, PORT_MAX, &port)) {
            return err_set(err, ERR_INVALID, "redis url: the port is not 1 to %d", PORT_MAX);
        }
        *at += 1 + length;
    }
    (void)snprintf(url->port, sizeof(url->port), "%d", (int)port);
    return 0;
}

int cache_url_parse(const char *text, struct cache_url *out, struct err *err)
{
    struct cache_url url = {0};
    const char *at = text;
    int64_t database = 0;
    int rc = 0;

    if (strncmp(text, "unix:/", 6) == 0) {
        url.path = mem_strdup(text + 5);
        *out = url;
        return 0;
    }
    if (strncmp(text, "redis://", 8) != 0) {
        return err_set(err, ERR_INVALID, "redis url: begins neither with redis:// nor with unix:/");
    }
    at += 8;
    rc = parse_login(&at, &url, err);
    if (rc == 0) {
        rc = parse_host(&at, &url, err);
    }
    if (rc == 0 && *at != '\0' && strcmp(at, "/") != 0 &&
        (*at != '/' || !text_to_int(at + 1, 0, DATABASE_MAX, &database))) {
        rc = err_set(err, ERR_INVALID, "redis url: the database is not a number");
    }
    if (rc < 0) {
        cache_url_done(&url);
        return rc;
    }
    url.database = (int)database;
    *out = url;
    return 0;
}

void cache_url_done(struct cache_url *url)
{
    if (url->password != NULL) {
        mem_wipe(url->password, strlen(url->password));
    }
    free(url->path);
    free(url->host);
    free(url->user);
    free(url->password);
    *url = (struct cache_url){0};
}

int cache_url_check(const char *text, struct err *err)
{
    struct cache_url url = {0};
    int rc = cache_url_parse(text, &url, err);

    cache_url_done(&url);
    return rc;
}
