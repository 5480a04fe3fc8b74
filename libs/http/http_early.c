/* What civetweb refuses before there is a request of ours, answers badly or not at all, and what
 * its parser of headers lets through. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/err.h"
#include "base/log.h"
#include "http/http_internal.h"

/* Its words for what it refuses, and ours. */
static const struct early {
    int status; /* civetweb's */
    int answer;
    const char *text; /* NULL: any */
    const char *message;
} earlies[] = {
    {411, 400, NULL, "Content-Length is not a number"},
    {413, 413, NULL, "the request line and headers are too large"},
    {505, 505, NULL, "only HTTP/1.0 and HTTP/1.1 are spoken here"},
    {400, 400, "Malformed message",
     "the request line and headers hold a control character, are too large, or did not come whole "
     "in time"},
    {400, 400, "Invalid URI", "the path has a character that must be escaped"},
    {400, 400, NULL, "the request line or a header line is malformed"},
};

/* Says that something was answered on @conn: on_closing looks. */
static char answered;

void http_note_answer(const struct mg_connection *conn)
{
    mg_set_user_connection_data(conn, &answered);
}

static void answer(struct mg_connection *conn, int status, const char *message)
{
    struct http_server *server = mg_get_user_data(mg_get_context(conn));
    struct http_problem problem = {status, "INVALID_REQUEST", message, 0};
    json_t *body = server->app->families[server->app->n_families - 1].render(&problem);
    char *dump = json_dumps(body, JSON_COMPACT);

    http_note_answer(conn);
    (void)mg_printf(
        conn,
        "HTTP/1.1 %d %s\r\nConnection: close\r\n"
        "Content-Type: application/json; charset=utf-8\r\nContent-Length: %zu\r\n\r\n%s",
        status, http_reason(status), strlen(dump), dump);
    free(dump);
    json_decref(body);
}

int http_on_error(struct mg_connection *conn, int status, const char *text)
{
    const size_t n = sizeof(earlies) / sizeof(earlies[0]);
    size_t i = 0;

    log_debug("civetweb refuses", LOG_INT("status", status), LOG_STR("text", text));
    while (i < n && (earlies[i].status != status ||
                     (earlies[i].text != NULL && strcmp(earlies[i].text, text) != 0))) {
        i++;
    }
    if (i < n) {
        answer(conn, earlies[i].answer, earlies[i].message);
    } else {
        answer(conn, status, http_reason(status));
    }
    return 0;
}

void http_on_closing(const struct mg_connection *conn)
{
    const struct mg_request_info *info = mg_get_request_info(conn);
    union {
        const struct mg_connection *given;
        struct mg_connection *own;
    } same = {conn};

    /* "*" and absolute targets: it would close without a word. It says const, and lets its own
     * handlers write. */
    if (mg_get_user_connection_data(conn) == NULL && info != NULL && info->request_uri != NULL &&
        info->local_uri_raw == NULL) {
        answer(same.own, 400, "the target of a request must be a path");
    }
}

/* civetweb has put zeros over the ends of lines: two for CRLF, one for LF alone, and one over the
 * last byte of the head. Where LF alone were fine, one could not be told from the other. */
static int check_line_end(const struct mg_request_info *info, int i, struct err *err)
{
    const char *end = info->http_headers[i].value + strlen(info->http_headers[i].value);
    bool is_last = i + 1 == info->num_headers;

    if (end[1] != 0 || (!is_last && info->http_headers[i + 1].name != end + 2)) {
        return err_set(err, ERR_INVALID, "header %d does not end in CRLF", i + 1);
    }
    /* it stops without a word at a line that begins with no letter, and leaves out the rest */
    if (is_last && (end[2] != '\r' || end[3] != 0)) {
        return err_set(err, ERR_INVALID, "the line after header %d is folded, or has no name",
                       i + 1);
    }
    return 0;
}

int http_check_lines(const struct mg_request_info *info, struct err *err)
{
    const char *version_end = info->http_version + strlen(info->http_version);

    if (info->num_headers > HTTP_HEADERS_MAX) { /* http_check_headers says so */
        return 0;
    }
    if (info->num_headers > 0 && info->http_headers[0].name != version_end + 2) {
        return err_set(err, ERR_INVALID, "the request line does not end in CRLF and a header");
    }
    for (int i = 0; i < info->num_headers; i++) {
        const struct mg_header *header = &info->http_headers[i];
        const char *end = header->name + strlen(header->name);

        if (end + 1 < header->value && end[1] == 0) {
            return err_set(err, ERR_INVALID, "header %d has a blank before its colon", i + 1);
        }
        if (check_line_end(info, i, err) < 0) {
            return -ERR_INVALID;
        }
    }
    return 0;
}
