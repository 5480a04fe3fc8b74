/* cache_url: where Redis is. Inside libs/cache. Pure. */
#ifndef CACHE_CACHE_URL_H
#define CACHE_CACHE_URL_H

#include "base/attr.h"

struct err;

struct cache_url { /* owned strings */
    char *path;    /* of a unix socket; NULL for host and port */
    char *host;
    char port[8];
    char *user;     /* NULL: none */
    char *password; /* NULL: none */
    int database;
};

/* redis://[[user]:password@]host[:port][/database] or unix:/path; user and password may hold %xx.
 * Fills *@out (cache_url_done). -ERR_INVALID: anything else; the text never holds the password. */
NODISCARD int cache_url_parse(const char *text, struct cache_url *out, struct err *err);
NODISCARD int cache_url_check(const char *text, struct err *err); /* its verdict alone */
void cache_url_done(struct cache_url *url);                       /* wipes the password */

#endif
