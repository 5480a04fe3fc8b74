/* attr: compiler attributes used in headers. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#define NODISCARD                    __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))
#define FALLTHROUGH                  __attribute__((fallthrough)) /* clang knows no comment for it */

#endif
