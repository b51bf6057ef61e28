/* The outside world's part of a token: a PKCS#11 module that is SoftHSM, and as slow, absent or broken as hardware
 * can be. Benchmarks and tests compile it (cc -shared -fPIC, see devstack/standins/token.py):
 *
 *   -DREAL='"…/libsofthsm2.so"'   the module behind it; all that is not said here is its own
 *   -DTAKES_US=3000 -DAT_ONCE=1   each signature and each change of an object takes so much longer, in which no CPU
 *                                 is used, and so many are made at the same time, whatever the number of sessions
 *
 * Where the environment names a file as TOKEN_ORDERS, it is read at each call, a word and its value a line:
 *
 *   away 1        the token was pulled out: the signature under way ends with CKR_DEVICE_REMOVED, every session is
 *                 gone, no slot has a token. Without the line it is back, and nobody is logged in
 *   slot 7        slots have numbers that are so much larger
 *   sign 48       C_Sign answers this code (here 0x30, CKR_DEVICE_ERROR), as does `login` C_Login, `logout` C_Logout
 *   once 179      the same of one C_Sign alone, for each other code (here 0xb3, CKR_SESSION_HANDLE_INVALID)
 *   wrong 1       one bit of each signature is another
 *   hang 1        C_Sign does not return as long as the line is there
 *   shut 1        no session is opened as long as the line is there: whoever wants one more hangs
 *   stuck 1       an object is not changed as long as the line is there: an anchor hangs
 *   places 4      as many sessions can be open, and not one more (CKR_SESSION_COUNT)
 *   serial 2a     the token has another serial number
 *   instead NAME  the token labelled NAME stands in the reader, and says that it has the first one's label and serial
 *
 * Each C_Login that reaches the token appends a byte to the file TOKEN_ORDERS + ".logins". */
#include <dlfcn.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long word;

/* The first two bytes are the version; functions follow in the order of the standard (PKCS#11 2.40, pkcs11f.h). */
struct list {
    unsigned char version[2];
    void *functions[68];
};
enum {
    INITIALIZE = 0, FINALIZE = 1, GET_FUNCTION_LIST = 3, GET_SLOT_LIST = 4, GET_SLOT_INFO = 5, GET_TOKEN_INFO = 6,
    OPEN_SESSION = 12, CLOSE_SESSION = 13, CLOSE_ALL_SESSIONS = 14, LOGIN = 18, LOGOUT = 19, GET_ATTRIBUTE_VALUE = 24,
    SET_ATTRIBUTE_VALUE = 25, FIND_OBJECTS_INIT = 26, SIGN = 43
};
enum { DEVICE_REMOVED = 0x32, SESSION_COUNT = 0xb1, SESSION_HANDLE_INVALID = 0xb3, TOKEN_NOT_PRESENT = 0xe0 };
enum { LABEL = 32, SERIAL = 16, SERIAL_AT = 80, TOKEN_INFO = 512, SLOTS = 16 };
#define CALL(which, ...) ((word(*)())real->functions[which])(__VA_ARGS__)

static struct list *real, ours;
static sem_t free_places, alone;
static int was_away;
static _Atomic word sessions; /* that are open */

/* The value that was ordered under this word; "" where nothing was. */
static const char *ordered(const char *name, char value[64]) {
    char line[128], word_of[32];
    const char *path = getenv("TOKEN_ORDERS");
    FILE *file = path ? fopen(path, "r") : NULL;
    value[0] = 0;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "%31s %63s", word_of, value) == 2 && strcmp(word_of, name) == 0) break;
        else value[0] = 0;
    if (file) fclose(file);
    return value;
}

static word number(const char *name) {
    char value[64];
    return strtoul(ordered(name, value), NULL, 10);
}

static word list_slots(word slots[SLOTS]) {
    word count = SLOTS;
    return CALL(GET_SLOT_LIST, 1, slots, &count) ? 0 : count;
}

/* Whether the token is out. Whoever notices first ends its sessions, so that no handle outlives its return. */
static int away(void) {
    word slots[SLOTS];
    if (getenv("TOKEN_ORDERS") == NULL) return 0;
    int is_away = number("away") != 0;
    sem_wait(&alone);
    if (is_away && !was_away) {
        for (word at = list_slots(slots); at-- > 0;) CALL(CLOSE_ALL_SESSIONS, slots[at]);
        sessions = 0;
    }
    was_away = is_away;
    sem_post(&alone);
    return is_away;
}

/* The code that one signature ends with, for whoever asks first after it was ordered; 0 for all others. */
static word once(void) {
    static word last;
    word code = number("once");
    sem_wait(&alone);
    word ours_to_say = code == last ? 0 : code;
    last = code;
    sem_post(&alone);
    return ours_to_say;
}

static void take_time(void) {
    sem_wait(&free_places);
    usleep(TAKES_US);
}

static word sign(word session, void *data, word size, unsigned char *signature, word *length) {
    if (signature == NULL) return CALL(SIGN, session, data, size, signature, length); /* only the length is asked for */
    while (number("hang")) usleep(10000);
    if (away()) return DEVICE_REMOVED;
    if (number("sign")) return number("sign");
    word code = once();
    if (code) return code;
    take_time();
    code = CALL(SIGN, session, data, size, signature, length);
    sem_post(&free_places);
    if (code == 0 && number("wrong")) signature[*length - 1] ^= 1;
    return code;
}

static word set_attribute_value(word session, word object, void *template, word count) {
    while (number("stuck")) usleep(10000);
    if (away()) return SESSION_HANDLE_INVALID;
    take_time();
    word code = CALL(SET_ATTRIBUTE_VALUE, session, object, template, count);
    sem_post(&free_places);
    return code;
}

static word get_attribute_value(word session, word object, void *template, word count) {
    return away() ? SESSION_HANDLE_INVALID : CALL(GET_ATTRIBUTE_VALUE, session, object, template, count);
}

static word find_objects_init(word session, void *template, word count) {
    return away() ? SESSION_HANDLE_INVALID : CALL(FIND_OBJECTS_INIT, session, template, count);
}

static int is_labelled(const unsigned char *info, const char *name) {
    return memcmp(info, name, strlen(name)) == 0 && info[strlen(name)] == ' ';
}

static word get_token_info(word slot, unsigned char *info) {
    char name[64], serial[64];
    unsigned char another[TOKEN_INFO];
    word slots[SLOTS], real_slot = slot - number("slot");
    if (away()) return TOKEN_NOT_PRESENT;
    word code = CALL(GET_TOKEN_INFO, real_slot, info);
    if (code) return code;
    if (*ordered("instead", name)) { /* the other token takes this one's name, and this one none */
        for (word at = list_slots(slots); at-- > 0;)
            if (slots[at] != real_slot && CALL(GET_TOKEN_INFO, slots[at], another) == 0 && another[0] != ' ') {
                if (is_labelled(info, name)) {
                    memcpy(info, another, LABEL);
                    memcpy(info + SERIAL_AT, another + SERIAL_AT, SERIAL);
                } else memset(info, ' ', LABEL);
                break;
            }
    }
    if (*ordered("serial", serial)) {
        memset(info + SERIAL_AT, ' ', SERIAL);
        memcpy(info + SERIAL_AT, serial, strlen(serial));
    }
    return 0;
}

static word get_slot_list(unsigned char present, word *slots, word *count) {
    if (away() && present) {
        *count = 0;
        return 0;
    }
    word code = CALL(GET_SLOT_LIST, present, slots, count);
    for (word at = 0; slots != NULL && code == 0 && at < *count; at++) slots[at] += number("slot");
    return code;
}

static word get_slot_info(word slot, void *info) { return CALL(GET_SLOT_INFO, slot - number("slot"), info); }

static word open_session(word slot, word flags, void *application, void *notify, word *session) {
    while (number("shut")) usleep(10000);
    if (away()) return TOKEN_NOT_PRESENT;
    if (number("places") && sessions >= number("places")) return SESSION_COUNT;
    word code = CALL(OPEN_SESSION, slot - number("slot"), flags, application, notify, session);
    sessions += code == 0;
    return code;
}

static word close_session(word session) {
    word code = CALL(CLOSE_SESSION, session);
    sessions -= code == 0;
    return code;
}

static word login(word session, word user, void *pin, word length) {
    char path[512];
    if (away()) return SESSION_HANDLE_INVALID;
    if (getenv("TOKEN_ORDERS")) {
        snprintf(path, sizeof path, "%s.logins", getenv("TOKEN_ORDERS"));
        FILE *file = fopen(path, "a");
        if (file) fputc('x', file), fclose(file);
    }
    return number("login") ? number("login") : CALL(LOGIN, session, user, pin, length);
}

static word logout(word session) {
    if (away()) return SESSION_HANDLE_INVALID;
    return number("logout") ? number("logout") : CALL(LOGOUT, session);
}

word C_CloseAllSessions(word slot) {
    if (away()) return TOKEN_NOT_PRESENT;
    sessions = 0;
    return CALL(CLOSE_ALL_SESSIONS, slot - number("slot"));
}

word C_GetFunctionList(struct list **found) {
    if (real == NULL) {
        void *module = dlopen(REAL, RTLD_NOW | RTLD_LOCAL);
        word (*get)(struct list **) = module ? dlsym(module, "C_GetFunctionList") : NULL;
        if (get == NULL || get(&real)) return 5; /* CKR_GENERAL_ERROR */
        sem_init(&free_places, 0, AT_ONCE);
        sem_init(&alone, 0, 1);
        ours = *real;
        ours.functions[GET_FUNCTION_LIST] = C_GetFunctionList;
        ours.functions[GET_SLOT_LIST] = get_slot_list;
        ours.functions[GET_SLOT_INFO] = get_slot_info;
        ours.functions[GET_TOKEN_INFO] = get_token_info;
        ours.functions[OPEN_SESSION] = open_session;
        ours.functions[CLOSE_SESSION] = close_session;
        ours.functions[CLOSE_ALL_SESSIONS] = C_CloseAllSessions;
        ours.functions[LOGIN] = login;
        ours.functions[LOGOUT] = logout;
        ours.functions[GET_ATTRIBUTE_VALUE] = get_attribute_value;
        ours.functions[SET_ATTRIBUTE_VALUE] = set_attribute_value;
        ours.functions[FIND_OBJECTS_INIT] = find_objects_init;
        ours.functions[SIGN] = sign;
    }
    *found = &ours;
    return 0;
}

word C_Initialize(void *arguments) {
    struct list *found;
    word code = C_GetFunctionList(&found);
    return code ? code : CALL(INITIALIZE, arguments);
}

word C_Finalize(void *reserved) { return CALL(FINALIZE, reserved); }
