/* civil: days of the proleptic Gregorian calendar, without asking the C library for a time zone. */
#ifndef DOMAIN_CIVIL_H
#define DOMAIN_CIVIL_H

#include <stdint.h>

enum { CIVIL_DAY_S = 86400, CIVIL_DAY_MS = 86400000 };

struct civil_date {
    int64_t year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
};

struct civil_date civil_of_days(int64_t days); /* days since 1970-01-01 */
int64_t civil_to_days(int64_t year, int month, int day);

/* Quotient and remainder that round towards minus infinity, for times before 1970. */
int64_t civil_div(int64_t a, int64_t b);
int64_t civil_mod(int64_t a, int64_t b);

#endif
