#include "webhooks/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

/* The parts that make the place; each is NULL, or owned. */
struct parts {
    char *scheme;
    char *host;
    char *port;
};

static bool read_parts(CURLU *url, struct parts *out)
{
    return curl_url_get(url, CURLUPART_SCHEME, &out->scheme, 0) == CURLUE_OK &&
           curl_url_get(url, CURLUPART_HOST, &out->host, 0) == CURLUE_OK &&
           curl_url_get(url, CURLUPART_PORT, &out->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
}

static bool is_good(const struct parts *parts)
{
    bool is_web = strcmp(parts->scheme, "http") == 0 || strcmp(parts->scheme, "https") == 0;

    return is_web && parts->host[0] != '\0' && strcmp(parts->port, "0") != 0;
}

bool url_place(const char *url, char out[URL_PLACE_MAX])
{
    struct parts parts = {0};
    CURLU *handle = curl_url();
    bool ok;

    if (handle == NULL) {
        abort(); /* out of memory */
    }
    ok = curl_url_set(handle, CURLUPART_URL, url, 0) == CURLUE_OK && read_parts(handle, &parts) &&
         is_good(&parts) &&
         snprintf(out, URL_PLACE_MAX, "%s:%s", parts.host, parts.port) < URL_PLACE_MAX;
    for (char *c = out; ok && *c != '\0'; c++) {
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
    }
    curl_free(parts.scheme);
    curl_free(parts.host);
    curl_free(parts.port);
    curl_url_cleanup(handle);
    return ok;
}
