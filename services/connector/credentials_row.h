/* credentials_row: a device's keys as the bytes that are sealed into its row. Pure. */
#ifndef CONNECTOR_CREDENTIALS_ROW_H
#define CONNECTOR_CREDENTIALS_ROW_H

#include "base/attr.h"
#include "base/buf.h"

struct credentials;
struct err;

/* Append @credentials to @out, which then holds secrets. The signed prekey is not among them: it is
 * a record once the device is linked. */
void credentials_encode(const struct credentials *credentials, struct buf *out);

/* Read @raw into @out (all-zero before). -ERR_INVALID: not of that form, or cut. */
NODISCARD int credentials_decode(struct bytes raw, struct credentials *out, struct err *err);

#endif
