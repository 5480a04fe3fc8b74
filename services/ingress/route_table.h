/* route_table: every endpoint of this service. A new one is a row here and a handler. */
#ifndef INGRESS_ROUTE_TABLE_H
#define INGRESS_ROUTE_TABLE_H

#include <stddef.h>

#include "http/http.h"

extern const struct http_route route_table[];
extern const size_t route_table_n;

#endif
