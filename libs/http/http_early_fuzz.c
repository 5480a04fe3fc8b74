/* The input is a request from its version on. Its head is cut up in place as civetweb does it,
 * which leaves out what it does not understand: where that passes, no line was left out. */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/http_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The last byte of the head; NULL when it has no end, or a byte that civetweb refuses. */
static char *head_end(char *text)
{
    for (char *p = text; *p != 0; p++) {
        if (strncmp(p, "\r\n\r\n", 4) == 0) {
            return p + 3;
        }
        if (strncmp(p, "\n\n", 2) == 0) {
            return p + 1;
        }
        if ((unsigned char)*p < ' ' && strchr("\t\r\n", *p) == NULL) {
            return NULL;
        }
    }
    return NULL;
}

/* Lines behind the first; the last of them ends where the text does. */
static int count_lines(const char *head)
{
    int n = 0;

    for (const char *p = strchr(head, '\n'); p != NULL; p = strchr(p + 1, '\n')) {
        n += p[1] != 0 && p[1] != '\n' && strcmp(p + 1, "\r") != 0 ? 1 : 0;
    }
    return n;
}

/* False: civetweb refuses the header, or stops at it (*@at stays). */
static bool cut_header(char **at, struct mg_header *out)
{
    char *p = *at + strcspn(*at, ":");

    for (char *c = *at; c < p; c++) {
        if (*c <= ' ' || *c >= 127) {
            p = c;
        }
    }
    if (p == *at) {
        return false;
    }
    while (*p == ' ') {
        *p++ = 0;
    }
    if (*p != ':') {
        *at = p;
        return false;
    }
    *p++ = 0;
    p += strspn(p, " \t");
    *out = (struct mg_header){.name = *at, .value = p};
    p += strcspn(p, "\r\n");
    *at = p;
    if (*p == '\r') {
        *p++ = 0;
        if (*p != '\n') {
            return false;
        }
    }
    if (*p != 0) {
        *p++ = 0;
    }
    *at = p;
    return true;
}

/* False: civetweb answers 400. */
static bool cut(char *head, struct mg_request_info *out)
{
    char *at = head;

    out->http_version = head;
    while (isgraph((unsigned char)*at)) {
        at++;
    }
    if (*at != '\r' && *at != '\n') {
        return false;
    }
    while (isspace((unsigned char)*at)) { /* it does not stop at the next line */
        *at++ = 0;
    }
    while (out->num_headers < HTTP_HEADERS_MAX && *at != 0 && *at != '\r' && *at != '\n') {
        char *before = at;

        if (!cut_header(&at, &out->http_headers[out->num_headers])) {
            return at == before; /* it stops without a word */
        }
        out->num_headers++;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_strndup(data != NULL ? (const char *)data : "", size);
    struct mg_request_info info = {0};
    char *end = head_end(text);
    int lines;

    if (end != NULL) {
        *end = 0;
        lines = count_lines(text);
        if (cut(text, &info) && http_check_lines(&info, NULL) == 0 && info.num_headers > 0 &&
            info.num_headers < HTTP_HEADERS_MAX && info.num_headers < lines) {
            abort();
        }
    }
    free(text);
    return 0;
}
