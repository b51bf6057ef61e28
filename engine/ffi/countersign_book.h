/* One market's order book. One book, one thread; ids are the caller's.
   Build: cargo build --release -p countersign-ffi, then link target/release/libcountersign_ffi.so. */
#ifndef COUNTERSIGN_BOOK_H
#define COUNTERSIGN_BOOK_H
#include <stddef.h>
#include <stdint.h>

typedef struct countersign_book countersign_book;

/* side: 1 buy, 2 sell. tif: 1 good till cancelled, 2 immediate or cancel, 3 fill or kill.
   group: self-trade group, 0 none. stp: 1 cancel the maker, 2 the taker, 3 both. */
typedef struct {
    uint64_t id;
    uint32_t side, tif;
    int64_t price;
    uint64_t qty, group;
    uint32_t stp, post_only;
} countersign_order;

/* code: 0 taken, 1 malformed, 2 duplicate id, 3 unknown id, 4 would take, 5 unfillable. */
typedef struct {
    int32_t code, rests;
    uint64_t leaves;
} countersign_outcome;

/* kind: 1 a trade with this maker, 2 this maker was cancelled by self-trade prevention. */
typedef struct {
    uint64_t kind, maker;
    int64_t price;
    uint64_t qty, maker_leaves;
} countersign_report;

typedef struct {
    uint64_t id;
    int64_t price;
    uint64_t leaves, group;
} countersign_standing;

countersign_book *countersign_book_new(void);
void countersign_book_free(countersign_book *book);
countersign_outcome countersign_book_submit(countersign_book *book, const countersign_order *order);
int32_t countersign_book_cancel(countersign_book *book, uint64_t id);
int32_t countersign_book_reduce(countersign_book *book, uint64_t id, uint64_t by);
/* Both results may be read until the next call with this book. */
const countersign_report *countersign_book_reports(const countersign_book *book, size_t *count);
const countersign_standing *countersign_book_standing(countersign_book *book, uint32_t side, size_t *count);

#endif
