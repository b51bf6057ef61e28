/* A PKCS#11 module that is SoftHSM and takes as long as hardware does: the stand-in of benchmarks/signer.py.
 *
 *   cc -shared -fPIC -O2 -DREAL='"/usr/lib/softhsm/libsofthsm2.so"' -DTAKES_US=3000 -DAT_ONCE=1 ...
 *
 * Each signature and each change of an object takes TAKES_US microseconds more, in which no CPU is used, and
 * the device does AT_ONCE of them at the same time, whatever the number of sessions. All else is SoftHSM's. */
#include <dlfcn.h>
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long word;

/* The first two bytes are the version; functions follow in the order of the standard (PKCS#11 2.40, pkcs11f.h). */
struct list {
    unsigned char version[2];
    void *functions[68];
};
enum { INITIALIZE = 0, FINALIZE = 1, GET_FUNCTION_LIST = 3, SET_ATTRIBUTE_VALUE = 25, SIGN = 43 };

static struct list *real, ours;
static sem_t free_places;

static word sign(word session, void *data, word size, void *signature, word *length) {
    word (*act)(word, void *, word, void *, word *) = real->functions[SIGN];
    if (signature == NULL) return act(session, data, size, signature, length); /* only the length is asked for */
    sem_wait(&free_places);
    usleep(TAKES_US);
    word code = act(session, data, size, signature, length);
    sem_post(&free_places);
    return code;
}

static word set_attribute_value(word session, word object, void *template, word count) {
    word (*act)(word, word, void *, word) = real->functions[SET_ATTRIBUTE_VALUE];
    sem_wait(&free_places);
    usleep(TAKES_US);
    word code = act(session, object, template, count);
    sem_post(&free_places);
    return code;
}

word C_GetFunctionList(struct list **found) {
    if (real == NULL) {
        void *module = dlopen(REAL, RTLD_NOW | RTLD_LOCAL);
        word (*get)(struct list **) = module ? dlsym(module, "C_GetFunctionList") : NULL;
        if (get == NULL || get(&real)) return 5; /* CKR_GENERAL_ERROR */
        sem_init(&free_places, 0, AT_ONCE);
        ours = *real;
        ours.functions[GET_FUNCTION_LIST] = C_GetFunctionList;
        ours.functions[SET_ATTRIBUTE_VALUE] = set_attribute_value;
        ours.functions[SIGN] = sign;
    }
    *found = &ours;
    return 0;
}

word C_Initialize(void *arguments) {
    struct list *found;
    word code = C_GetFunctionList(&found);
    return code ? code : ((word(*)(void *))real->functions[INITIALIZE])(arguments);
}

word C_Finalize(void *reserved) { return ((word(*)(void *))real->functions[FINALIZE])(reserved); }
