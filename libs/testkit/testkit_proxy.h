/* testkit_proxy: a TCP proxy on loopback that can lose an answer: what the server said never comes
 * and the connection ends. Has a thread of its own. */
#ifndef TESTKIT_TESTKIT_PROXY_H
#define TESTKIT_TESTKIT_PROXY_H

#include <stddef.h>

struct testkit_proxy;

/* Listens on *@port and forwards to @to_port of 127.0.0.1. Any failure ends the test. */
struct testkit_proxy *testkit_proxy_open(int to_port, int *port);

/* From now on lose the first answer that holds these @n bytes (a literal), once. */
void testkit_proxy_lose(struct testkit_proxy *proxy, const char *bytes, size_t n);
int testkit_proxy_lost(const struct testkit_proxy *proxy); /* how many were */
void testkit_proxy_close(struct testkit_proxy **proxy);

#endif
