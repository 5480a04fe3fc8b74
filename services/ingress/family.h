/* family: the five families of paths and the envelopes of their errors (C-03). F1, F2 and F3 come
 * with their endpoints: a row here, a render function, rows in the route table. */
#ifndef INGRESS_FAMILY_H
#define INGRESS_FAMILY_H

#include "http/http.h"

enum family {
    FAMILY_F0, /* /api/blast-control */
    FAMILY_F4, /* /api/login, /api/sessions, ... and everything outside all families */
    FAMILY_COUNT
};

extern const struct http_family families[FAMILY_COUNT];

#endif
