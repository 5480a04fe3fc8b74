#include "webhooks/poster.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "loop/loop.h"
#include "webhooks/gate.h"
#include "webhooks/net.h"
#include "webhooks/url.h"

enum { CONNECT_MS = 5000, KEPT_CONNECTIONS = 64, ERROR_MAX = CURL_ERROR_SIZE + 64 };

struct post {
    struct poster *poster;
    struct gate_place place; /* host NULL: a URL that cannot be read */
    char *url;
    char *body;
    size_t body_bytes;
    struct curl_slist *headers;
    post_done_cb *fn;
    void *ctx;
    CURL *curl;             /* NULL while it waits */
    struct loop_timer slow; /* until it counts as slow */
    char why[CURL_ERROR_SIZE];
    size_t answer_bytes;
    int64_t began_ms;
    bool is_address_closed;
    bool is_gone; /* cancelled while it waited to be told */
    struct post *prev;
    struct post *next;
};

struct watched { /* a socket of libcurl's */
    struct poster *poster;
    curl_socket_t socket;
    struct loop_fd *fd;
};

/* The list macros stand in for functions; their size is not ours. */
/* NOLINTBEGIN(readability-function-cognitive-complexity,readability-function-size) */

static void list_add(struct post **list, struct post *post)
{
    DL_APPEND(*list, post);
}

static void list_remove(struct post **list, struct post *post)
{
    DL_DELETE(*list, post);
}

/* NOLINTEND(readability-function-cognitive-complexity,readability-function-size) */

struct poster {
    struct loop *loop;
    CURLM *multi;
    struct net_blocks allowed;
    int64_t timeout_ms;
    char *ca_file;
    struct loop_timer timer;
    struct gate gate;
    struct post *unreadable; /* to be told at the end of the turn */
    bool is_closed;
};

/* ---- sockets and timer of libcurl ---- */

static void collect(struct poster *poster);

static void act(struct poster *poster, curl_socket_t socket, int what)
{
    int running;

    (void)curl_multi_socket_action(poster->multi, socket, what, &running);
    collect(poster);
}

static void on_ready(struct loop_fd *fd, unsigned events, void *ctx)
{
    struct watched *watched = ctx;
    int what = ((events & LOOP_READ) != 0 ? CURL_CSELECT_IN : 0) |
               ((events & LOOP_WRITE) != 0 ? CURL_CSELECT_OUT : 0);

    (void)fd;
    act(watched->poster, watched->socket, what); /* may be the end of watched */
}

static int on_socket(CURL *curl, curl_socket_t socket, int what, void *ctx, void *socket_ctx)
{
    struct poster *poster = ctx;
    struct watched *watched = socket_ctx;

    (void)curl;
    if (what == CURL_POLL_REMOVE) {
        if (watched != NULL) {
            loop_fd_close(&watched->fd);
            loop_free_later(poster->loop, watched);
            (void)curl_multi_assign(poster->multi, socket, NULL);
        }
        return 0;
    }
    if (watched == NULL) {
        watched = mem_new0(sizeof(*watched));
        watched->poster = poster;
        watched->socket = socket;
        if (loop_fd_new(poster->loop, socket, on_ready, watched, &watched->fd, NULL) < 0) {
            free(watched);
            return -1;
        }
        (void)curl_multi_assign(poster->multi, socket, watched);
    }
    loop_fd_want(watched->fd, (what == CURL_POLL_OUT ? 0U : LOOP_READ) |
                                  (what == CURL_POLL_IN ? 0U : LOOP_WRITE));
    return 0;
}

/* libcurl does not repeat a time that it told once, also when its clock says that it was too early.
 */
static void on_timer(struct loop_timer *timer, void *ctx)
{
    struct poster *poster = ctx;
    long left_ms = -1;

    act(poster, CURL_SOCKET_TIMEOUT, 0);
    if (poster->is_closed) {
        return;
    }
    (void)curl_multi_timeout(poster->multi, &left_ms);
    if (left_ms >= 0 && !loop_timer_is_running(timer)) {
        loop_timer_start(poster->loop, timer, left_ms + 1, on_timer, poster);
    }
}

static int on_timer_wanted(CURLM *multi, long delay_ms, void *ctx)
{
    struct poster *poster = ctx;

    (void)multi;
    if (delay_ms < 0) {
        loop_timer_stop(&poster->timer);
    } else {
        loop_timer_start(poster->loop, &poster->timer, delay_ms, on_timer, poster);
    }
    return 0;
}

/* ---- one POST ---- */

/* The last moment at which the address is known and nothing was sent. */
static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct post *post = ctx;
    int fd;

    if (purpose != CURLSOCKTYPE_IPCXN || !net_is_allowed(&post->poster->allowed, &address->addr)) {
        post->is_address_closed = true;
        return CURL_SOCKET_BAD;
    }
    fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the shape is libcurl's */
static size_t on_answer(char *bytes, size_t size, size_t n, void *ctx)
{
    struct post *post = ctx;

    (void)bytes;
    post->answer_bytes += size * n;
    return post->answer_bytes > POSTER_ANSWER_MAX ? 0 : size * n; /* 0 ends it */
}

static void set_up(struct post *post)
{
    CURL *curl = post->curl;

    (void)curl_easy_setopt(curl, CURLOPT_PRIVATE, post);
    (void)curl_easy_setopt(curl, CURLOPT_URL, post->url);
    (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, post->body);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)post->body_bytes);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, post->headers);
    (void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)post->poster->timeout_ms);
    (void)curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_open);
    (void)curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, post);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, post);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, post->why);
    if (post->poster->ca_file !=
        NULL) { /* the machine's own are trusted too: CURLOPT_CAPATH stays */
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, post->poster->ca_file);
    }
}

static void post_free(struct post *post)
{
    if (post->curl != NULL) {
        (void)curl_multi_remove_handle(post->poster->multi, post->curl);
        curl_easy_cleanup(post->curl);
    }
    loop_timer_stop(&post->slow);
    curl_slist_free_all(post->headers);
    free(post->url);
    free(post->body);
    free(post);
}

static void serve(struct poster *poster);

static void on_slow(struct loop_timer *timer, void *ctx)
{
    struct post *post = ctx;

    (void)timer;
    gate_turn_slow(&post->poster->gate, &post->place);
    serve(post->poster);
}

static void begin(struct post *post)
{
    post->curl = curl_easy_init();
    if (post->curl == NULL) {
        abort(); /* out of memory */
    }
    crash_point("webhooks", "before.post");
    post->began_ms = clock_mono_ms();
    if (post->place.lane == GATE_QUICK) {
        loop_timer_start(post->poster->loop, &post->slow, GATE_SLOW_MS, on_slow, post);
    }
    set_up(post);
    (void)curl_multi_add_handle(post->poster->multi, post->curl); /* begins with the timer */
}

/* Lets posts go as far as the gate allows. */
static void serve(struct poster *poster)
{
    struct gate_place *place;

    while ((place = gate_next(&poster->gate)) != NULL) {
        begin((void *)((char *)place - offsetof(struct post, place)));
    }
}

static void leave(struct post *post)
{
    struct poster *poster = post->poster;

    gate_leave(&poster->gate, &post->place);
    post_free(post);
    serve(poster);
}

/* ---- ends ---- */

static const char *why_no_answer(const struct post *post, CURLcode code)
{
    if (post->is_address_closed && code == CURLE_COULDNT_CONNECT) {
        return "its address is private or reserved";
    }
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return "no answer in time";
    case CURLE_COULDNT_RESOLVE_HOST:
        return "its host has no address";
    case CURLE_LOGIN_DENIED: /* DISALLOW_USERNAME_IN_URL */
        return "its URL holds a login";
    default:
        return post->why[0] != '\0' ? post->why : curl_easy_strerror(code);
    }
}

/* What people read of a post that did not arrive. */
static void explain(const struct post *post, CURLcode code, int status, char out[ERROR_MAX])
{
    if (status >= 300 && status < 400) {
        (void)snprintf(out, ERROR_MAX, "redirects are not followed");
    } else if (status != 0) {
        (void)snprintf(out, ERROR_MAX, "the answer is not 2xx");
    } else if (code == CURLE_PEER_FAILED_VERIFICATION) {
        (void)snprintf(out, ERROR_MAX, "its certificate is refused: %s", why_no_answer(post, code));
    } else if (code == CURLE_SSL_CONNECT_ERROR) {
        (void)snprintf(out, ERROR_MAX, "TLS failed: %s", why_no_answer(post, code));
    } else {
        (void)snprintf(out, ERROR_MAX, "%s", why_no_answer(post, code));
    }
}

/* Seconds from now, whether the header has a number or a date; a date of the past is now. */
static int64_t retry_after_s(CURL *curl)
{
    curl_off_t asked = 0;

    (void)curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &asked);
    return asked > 0 ? asked : 0;
}

static void end(struct post *post, CURLcode code)
{
    struct post_result result = {.took_ms = clock_mono_ms() - post->began_ms};
    post_done_cb *fn = post->fn;
    void *ctx = post->ctx;
    char error[ERROR_MAX];
    long status = 0;

    (void)curl_easy_getinfo(post->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK || post->answer_bytes > POSTER_ANSWER_MAX) {
        result.status = (int)status;
        result.retry_after_s = retry_after_s(post->curl);
    }
    if (result.status < 200 || result.status > 299) {
        explain(post, code, result.status, error);
        result.error = error;
    }
    result.was_slow = result.took_ms >= GATE_SLOW_MS;
    crash_point("webhooks", "after.post");
    leave(post);
    fn(&result, ctx);
}

static void collect(struct poster *poster)
{
    int left;
    CURLMsg *message;

    while (!poster->is_closed && (message = curl_multi_info_read(poster->multi, &left)) != NULL) {
        struct post *post = NULL;
        CURLcode code = message->data.result;

        if (message->msg == CURLMSG_DONE) {
            (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&post);
            end(post, code);
        }
    }
}

/* URLs that cannot be read, told at the end of the turn. */
static void tell_unreadable(void *ctx)
{
    struct poster *poster = ctx;

    while (poster->unreadable != NULL) {
        struct post *post = poster->unreadable;
        struct post_result result = {.error = "its URL cannot be read"};
        post_done_cb *fn = post->is_gone ? NULL : post->fn;
        void *fn_ctx = post->ctx;

        list_remove(&poster->unreadable, post);
        post_free(post);
        if (fn != NULL) {
            fn(&result, fn_ctx);
        }
    }
}

/* ---- the way in ---- */

struct post *post_start(struct poster *poster, const struct post_request *request, post_done_cb *fn,
                        void *ctx)
{
    struct post *post = mem_new0(sizeof(*post));
    char name[URL_PLACE_MAX];

    post->poster = poster;
    post->fn = fn;
    post->ctx = ctx;
    post->url = mem_strdup(request->url);
    post->body = mem_strndup((const char *)request->body.p, request->body.n);
    post->body_bytes = request->body.n;
    for (size_t i = 0; request->headers[i] != NULL; i++) {
        post->headers = curl_slist_append(post->headers, request->headers[i]);
    }
    if (!url_place(request->url, name)) {
        list_add(&poster->unreadable, post);
        loop_defer(poster->loop, tell_unreadable, poster);
        return post;
    }
    gate_enter(&poster->gate, &post->place, name, request->is_slow ? GATE_SLOW : GATE_QUICK);
    serve(poster);
    return post;
}

void post_cancel(struct post **post)
{
    struct post *gone = *post;

    *post = NULL;
    if (gone == NULL) {
        return;
    }
    if (gone->place.host == NULL) {
        gone->is_gone = true; /* tell_unreadable is on its way */
    } else {
        leave(gone);
    }
}

size_t poster_running(const struct poster *poster)
{
    return poster->gate.under_way;
}

size_t poster_waiting(const struct poster *poster)
{
    return poster->gate.waiting;
}

int poster_new(struct loop *loop, const struct poster_options *options, struct poster **out,
               struct err *err)
{
    struct poster *poster;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return err_set(err, ERR_EXTERNAL, "libcurl cannot start");
    }
    poster = mem_new0(sizeof(*poster));
    poster->loop = loop;
    poster->allowed = options->allowed;
    poster->timeout_ms = options->timeout_ms;
    poster->ca_file = mem_strdup(options->ca_file);
    poster->multi = curl_multi_init();
    if (poster->multi == NULL) {
        abort(); /* out of memory */
    }
    (void)curl_multi_setopt(poster->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(poster->multi, CURLMOPT_SOCKETDATA, poster);
    (void)curl_multi_setopt(poster->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    (void)curl_multi_setopt(poster->multi, CURLMOPT_TIMERDATA, poster);
    (void)curl_multi_setopt(poster->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    *out = poster;
    return 0;
}

static void poster_free(void *ctx)
{
    struct poster *poster = ctx;

    tell_unreadable(poster);
    (void)curl_multi_cleanup(poster->multi); /* closes what was kept: on_socket */
    loop_timer_stop(&poster->timer);
    free(poster->ca_file);
    free(poster);
    curl_global_cleanup();
}

void poster_close(struct poster **poster)
{
    struct poster *closing = *poster;

    *poster = NULL;
    if (closing != NULL) {
        closing->is_closed = true;
        loop_defer(closing->loop, poster_free, closing); /* libcurl may be on the stack */
    }
}
