#include "domain/civil.h"

enum { ERA_DAYS = 146097 }; /* 400 years */

int64_t civil_div(int64_t a, int64_t b)
{
    int64_t q = a / b;

    return a % b < 0 ? q - 1 : q;
}

int64_t civil_mod(int64_t a, int64_t b)
{
    return a - civil_div(a, b) * b;
}

/* Years here begin in March, so that the leap day is the last of its year. */
struct civil_date civil_of_days(int64_t days)
{
    int64_t z = days + 719468; /* from 0000-03-01 */
    int64_t era = civil_div(z, ERA_DAYS);
    int64_t of_era = z - era * ERA_DAYS;
    int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * years + years / 4 - years / 100);
    int64_t month = (5 * of_year + 2) / 153; /* 0 is March */
    struct civil_date date = {.day = (int)(of_year - (153 * month + 2) / 5 + 1),
                              .month = (int)(month < 10 ? month + 3 : month - 9)};

    date.year = years + era * 400 + (date.month <= 2 ? 1 : 0);
    return date;
}

int64_t civil_to_days(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = civil_div(y, 400);
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}
