/* family: the families of paths that are served, and the envelopes of their errors. The
 * contract names three more, F1 to F3: each would be a row here, a render function, and rows in the
 * route table. */
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
