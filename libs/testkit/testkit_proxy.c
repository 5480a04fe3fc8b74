#include "testkit/testkit_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum { CHUNK_BYTES = 65536, LOOK_MS = 20, PAIRS_MAX = 16 };

struct pair {
    int client; /* -1: free */
    int server;
};

struct testkit_proxy {
    pthread_t thread;
    int listener;
    int to_port;
    struct pair pairs[PAIRS_MAX];
    _Atomic(const char *) wanted; /* NULL: lose nothing */
    size_t wanted_n;
    atomic_int lost;
    atomic_bool is_ending;
};

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "testkit_proxy: %s\n", what);
    _exit(1);
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
}

static void end_pair(struct pair *pair)
{
    (void)close(pair->client);
    (void)close(pair->server);
    pair->client = -1;
}

static void accept_pair(struct testkit_proxy *proxy)
{
    struct sockaddr_in at = loopback(proxy->to_port);
    int client = accept(proxy->listener, NULL, NULL);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (client < 0 || server < 0) {
        die("no socket");
    }
    if (connect(server, (struct sockaddr *)&at, sizeof(at)) != 0) {
        (void)close(client);
        (void)close(server);
        return;
    }
    for (size_t i = 0; i < PAIRS_MAX; i++) {
        if (proxy->pairs[i].client < 0) {
            proxy->pairs[i] = (struct pair){client, server};
            return;
        }
    }
    die("too many connections");
}

static bool write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t wrote = send(fd, p, n, MSG_NOSIGNAL);

        if (wrote <= 0) {
            return false;
        }
        p += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

static bool holds(const char *p, size_t n, const char *wanted, size_t wanted_n)
{
    for (size_t i = 0; i + wanted_n <= n; i++) {
        if (memcmp(p + i, wanted, wanted_n) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether these bytes of the server's are the answer that shall be lost. */
static bool is_to_be_lost(struct testkit_proxy *proxy, const char *p, size_t n)
{
    const char *wanted = atomic_load(&proxy->wanted);

    if (wanted == NULL || !holds(p, n, wanted, proxy->wanted_n)) {
        return false;
    }
    atomic_store(&proxy->wanted, NULL);
    atomic_fetch_add(&proxy->lost, 1);
    return true;
}

static void forward(struct testkit_proxy *proxy, struct pair *pair, bool is_from_server)
{
    static char chunk[CHUNK_BYTES];
    ssize_t n = recv(is_from_server ? pair->server : pair->client, chunk, sizeof(chunk), 0);

    if (n <= 0 || (is_from_server && is_to_be_lost(proxy, chunk, (size_t)n)) ||
        !write_all(is_from_server ? pair->client : pair->server, chunk, (size_t)n)) {
        end_pair(pair);
    }
}

static void *run(void *ctx)
{
    struct testkit_proxy *proxy = ctx;

    while (!atomic_load(&proxy->is_ending)) {
        struct pollfd fds[1 + 2 * PAIRS_MAX];

        fds[0] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
        for (size_t i = 0; i < PAIRS_MAX; i++) {
            bool is_used = proxy->pairs[i].client >= 0;

            fds[1 + 2 * i].fd = is_used ? proxy->pairs[i].client : -1;
            fds[2 + 2 * i].fd = is_used ? proxy->pairs[i].server : -1;
            fds[1 + 2 * i].events = fds[2 + 2 * i].events = POLLIN;
            fds[1 + 2 * i].revents = fds[2 + 2 * i].revents = 0;
        }
        if (poll(fds, 1 + 2 * PAIRS_MAX, LOOK_MS) <= 0) {
            continue;
        }
        for (size_t i = 0; i < PAIRS_MAX; i++) {
            if (fds[2 + 2 * i].revents != 0) {
                forward(proxy, &proxy->pairs[i], true);
            }
            if (fds[1 + 2 * i].revents != 0 && proxy->pairs[i].client >= 0) {
                forward(proxy, &proxy->pairs[i], false);
            }
        }
        if (fds[0].revents != 0) {
            accept_pair(proxy);
        }
    }
    return NULL;
}

struct testkit_proxy *testkit_proxy_open(int to_port, int *port)
{
    struct testkit_proxy *proxy = mem_new0(sizeof(*proxy));
    struct sockaddr_in at = loopback(0);
    socklen_t n = sizeof(at);

    proxy->to_port = to_port;
    for (size_t i = 0; i < PAIRS_MAX; i++) {
        proxy->pairs[i].client = -1;
    }
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (proxy->listener < 0 || bind(proxy->listener, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(proxy->listener, PAIRS_MAX) != 0 ||
        getsockname(proxy->listener, (struct sockaddr *)&at, &n) != 0 ||
        pthread_create(&proxy->thread, NULL, run, proxy) != 0) {
        die("cannot listen");
    }
    *port = ntohs(at.sin_port);
    return proxy;
}

void testkit_proxy_lose(struct testkit_proxy *proxy, const char *bytes, size_t n)
{
    proxy->wanted_n = n;
    atomic_store(&proxy->wanted, bytes);
}

int testkit_proxy_lost(const struct testkit_proxy *proxy)
{
    return atomic_load(&proxy->lost);
}

void testkit_proxy_close(struct testkit_proxy **proxy)
{
    struct testkit_proxy *old = *proxy;

    *proxy = NULL;
    if (old == NULL) {
        return;
    }
    atomic_store(&old->is_ending, true);
    (void)pthread_join(old->thread, NULL);
    for (size_t i = 0; i < PAIRS_MAX; i++) {
        if (old->pairs[i].client >= 0) {
            end_pair(&old->pairs[i]);
        }
    }
    (void)close(old->listener);
    free(old);
}
