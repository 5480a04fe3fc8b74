/* url: where a subscriber's URL leads, without asking anybody. Pure. */
#ifndef WEBHOOKS_URL_H
#define WEBHOOKS_URL_H

#include <stdbool.h>

enum { URL_PLACE_MAX = 300 }; /* bytes, with the NUL */

/* Fill @out with "host:port" of an http or https URL, in lower case and with the scheme's port
 * where it names none: URLs of one place have one text. False when @url is no such URL. */
bool url_place(const char *url, char out[URL_PLACE_MAX]);

#endif
