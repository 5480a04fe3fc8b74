#include <assert.h>

#include "domain/session.h"

struct cell {
    enum session_answer answer;
    enum verdict verdict;
};

/* clang-format off */
#define NOW        {SESSION_ANSWER_NOW, VERDICT_OK}
#define EMPTY      {SESSION_ANSWER_EMPTY, VERDICT_OK}
#define CONNECT    {SESSION_ANSWER_CONNECT, VERDICT_OK}
#define WAIT(why)  {SESSION_ANSWER_WAIT, VERDICT_##why}
#define REFUSE(why) {SESSION_ANSWER_REFUSE, VERDICT_##why}

/* What is answered without an event, by question and phase. */
static const struct cell cells[SESSION_QUESTION_COUNT][SESSION_PHASE_COUNT] = {
    [SESSION_ASKS_PAIR_PHONE] = {
        [SESSION_NONE] = REFUSE(NOT_FOUND),
        [SESSION_CREATED] = REFUSE(NO_SESSION),
        [SESSION_CONNECTING] = WAIT(NOT_CONNECTED),
        [SESSION_WAITING_FOR_SCAN] = NOW,
        [SESSION_PAIRING] = REFUSE(ALREADY_PAIRED),
        [SESSION_CONNECTED] = REFUSE(ALREADY_PAIRED),
        [SESSION_RECONNECTING] = REFUSE(ALREADY_PAIRED),
        [SESSION_DISCONNECTED] = REFUSE(NO_SESSION),
        [SESSION_LOGGED_OUT] = REFUSE(NO_SESSION),
        [SESSION_DELETED] = REFUSE(NOT_FOUND),
    },
    [SESSION_ASKS_GET_QR_F1] = {
        [SESSION_NONE] = REFUSE(NOT_FOUND),
        [SESSION_CREATED] = REFUSE(NO_SESSION),
        [SESSION_CONNECTING] = WAIT(NOT_CONNECTED),
        [SESSION_WAITING_FOR_SCAN] = NOW,
        [SESSION_PAIRING] = REFUSE(ALREADY_LOGGED_IN),
        [SESSION_CONNECTED] = REFUSE(ALREADY_LOGGED_IN),
        [SESSION_RECONNECTING] = REFUSE(ALREADY_LOGGED_IN),
        [SESSION_DISCONNECTED] = REFUSE(NO_SESSION),
        [SESSION_LOGGED_OUT] = REFUSE(NO_SESSION),
        [SESSION_DELETED] = REFUSE(NOT_FOUND),
    },
    [SESSION_ASKS_GET_QR_F2] = {
        [SESSION_NONE] = REFUSE(NOT_FOUND),
        [SESSION_CREATED] = CONNECT,
        [SESSION_CONNECTING] = WAIT(NOT_CONNECTED),
        [SESSION_WAITING_FOR_SCAN] = NOW,
        [SESSION_PAIRING] = EMPTY,
        [SESSION_CONNECTED] = EMPTY,
        [SESSION_RECONNECTING] = EMPTY,
        [SESSION_DISCONNECTED] = CONNECT,
        [SESSION_LOGGED_OUT] = CONNECT,
        [SESSION_DELETED] = REFUSE(NOT_FOUND),
    },
    [SESSION_ASKS_GET_QR_F3] = {
        [SESSION_NONE] = REFUSE(NOT_FOUND),
        [SESSION_CREATED] = REFUSE(NOT_AVAILABLE),
        [SESSION_CONNECTING] = WAIT(NOT_AVAILABLE),
        [SESSION_WAITING_FOR_SCAN] = NOW,
        [SESSION_PAIRING] = EMPTY,
        [SESSION_CONNECTED] = EMPTY,
        [SESSION_RECONNECTING] = EMPTY,
        [SESSION_DISCONNECTED] = REFUSE(NOT_AVAILABLE),
        [SESSION_LOGGED_OUT] = REFUSE(NOT_AVAILABLE),
        [SESSION_DELETED] = REFUSE(NOT_FOUND),
    },
};
/* clang-format on */

/* CheckNumber, ListGroups, SendMessage: a connected session does it. */
static struct cell work(enum session_phase phase)
{
    if (phase == SESSION_CONNECTED) {
        return (struct cell)NOW;
    }
    if (phase == SESSION_NONE || phase == SESSION_DELETED) {
        return (struct cell)REFUSE(NOT_FOUND);
    }
    return (struct cell)REFUSE(NOT_LOGGED_IN);
}

enum session_answer session_ask(enum session_phase phase, enum session_question question,
                                enum verdict *verdict)
{
    assert((unsigned)phase < SESSION_PHASE_COUNT && (unsigned)question < SESSION_QUESTION_COUNT);
    struct cell cell = question < SESSION_ASKS_CHECK_NUMBER ? cells[question][phase] : work(phase);

    if (verdict != NULL) {
        *verdict = cell.verdict;
    }
    return cell.answer;
}
