/* svc_exit: what the exit status of a service means. Numbers follow sysexits.h where it has one. */
#ifndef SVC_SVC_EXIT_H
#define SVC_SVC_EXIT_H

struct err;

/* name, status, meaning (README prints this table) */
#define SVC_EXIT_LIST(X)                                                                  \
    X(OK, 0, "ended as asked, all work finished or parked")                               \
    X(UNAVAILABLE, 69, "Kafka, PostgreSQL or Redis did not answer, and it does not wait") \
    X(SOFTWARE, 70, "`tracker --compare` found a difference; or any other error")         \
    X(SYSTEM, 71, "the machine refused: port taken, no memory, no descriptors")           \
    X(DRAIN_TIMEOUT, 75, "ended by the drain deadline or a second signal; start again")   \
    X(FENCED, 76, "another process owns what this one did; start again")                  \
    X(FORBIDDEN, 77, "credentials or rights are missing")                                 \
    X(CONFIG, 78, "the configuration or an argument is wrong; starting again is no use")

enum svc_exit {
#define SVC_EXIT_ENUM(name, status, meaning) SVC_EXIT_##name = (status),
    SVC_EXIT_LIST(SVC_EXIT_ENUM)
#undef SVC_EXIT_ENUM
};

/* Log in one line what stopped @service, and return the status for main that fits @err->code. */
int svc_die(const char *service, const struct err *err);

#endif
