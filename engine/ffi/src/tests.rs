//! What a harness is told, by its own ids, through the C interface and behind it.

use super::*;

fn order(id: u64, side: u32, price: i64, qty: u64) -> Order {
    Order { id, side, tif: GTC, price, qty, group: 0, stp: 1, post_only: 0 }
}

#[test]
fn a_harness_reads_back_what_happened() {
    let desk = countersign_book_new();
    let mut count = 0;
    // SAFETY: the book lives until it is freed below, on this thread.
    unsafe {
        assert_eq!(countersign_book_submit(desk, &order(1, 2, 100, 5)).rests, 1);
        assert_eq!(countersign_book_submit(desk, &order(1, 2, 100, 5)).code, DUPLICATE);
        assert_eq!(
            countersign_book_submit(desk, &Order { post_only: 1, ..order(2, 1, 100, 1) }).code,
            WOULD_TAKE
        );
        assert_eq!(
            countersign_book_submit(desk, &Order { tif: FOK, ..order(2, 1, 100, 6) }).code,
            UNFILLABLE
        );
        let outcome = countersign_book_submit(desk, &order(2, 1, 101, 7));
        assert_eq!((outcome.rests, outcome.leaves), (1, 2));
        let reports = countersign_book_reports(desk, &raw mut count);
        assert_eq!(count, 1);
        assert_eq!(*reports, Report { kind: 1, maker: 1, price: 100, qty: 5, maker_leaves: 0 });
        assert_eq!(countersign_book_reduce(desk, 2, 1), TAKEN);
        let standing = countersign_book_standing(desk, 1, &raw mut count);
        assert_eq!((count, (*standing).id, (*standing).leaves), (1, 2, 1));
        assert_eq!(countersign_book_cancel(desk, 2), TAKEN);
        assert_eq!(countersign_book_cancel(desk, 2), UNKNOWN);
        countersign_book_free(desk);
    }
}

fn taken(rests: i32, leaves: u64) -> Outcome {
    Outcome { code: TAKEN, rests, leaves }
}

fn standing(desk: &mut Desk, side: u32) -> Vec<(u64, i64, u64, u64)> {
    let mut count = 0;
    // SAFETY: the book is alive, on this thread.
    let told = unsafe { countersign_book_standing(desk, side, &raw mut count) };
    // SAFETY: so many lie there until the next call.
    let told = unsafe { std::slice::from_raw_parts(told, count) };
    told.iter().map(|order| (order.id, order.price, order.leaves, order.group)).collect()
}

#[test]
fn an_order_that_is_none_is_refused_whole_and_leaves_no_trace() {
    let mut desk = Desk::default();
    let good = order(1, 1, 100, 5);
    for wrong in [
        Order { side: 0, ..good },
        Order { side: 3, ..good },
        Order { id: 0, ..good },
        Order { qty: 0, ..good },
        Order { tif: 0, ..good },
        Order { tif: 4, ..good },
    ] {
        assert_eq!(desk.submit(&wrong), Outcome { code: MALFORMED, rests: 0, leaves: wrong.qty });
    }
    // What only takes cannot promise not to.
    for tif in [IOC, FOK] {
        assert_eq!(desk.submit(&Order { tif, post_only: 1, ..good }).code, WOULD_TAKE);
    }
    assert_eq!((standing(&mut desk, 1), standing(&mut desk, 2)), (vec![], vec![]));
    assert_eq!(desk.submit(&Order { post_only: 1, ..good }), taken(1, 5));
}

#[test]
fn what_may_not_rest_does_not_and_what_is_filled_gives_its_id_back() {
    let mut desk = Desk::default();
    assert_eq!(desk.submit(&order(1, 2, 100, 5)), taken(1, 5));
    assert_eq!(desk.submit(&Order { tif: IOC, ..order(2, 1, 99, 1) }), taken(0, 1));
    assert_eq!(desk.submit(&Order { tif: FOK, ..order(2, 1, 100, 2) }), taken(0, 0));
    let part = Report { kind: 1, maker: 1, price: 100, qty: 2, maker_leaves: 3 };
    assert_eq!(desk.reports, [part]);
    assert_eq!(desk.submit(&order(1, 2, 100, 1)).code, DUPLICATE, "it rests in part");
    assert!(desk.reports.is_empty(), "what is told is the latest call's");
    assert_eq!(desk.submit(&Order { tif: IOC, ..order(2, 1, 100, 4) }), taken(0, 1));
    assert_eq!(desk.submit(&order(1, 1, 98, 6)), taken(1, 6));
    assert_eq!((standing(&mut desk, 1), standing(&mut desk, 2)), (vec![(1, 98, 6, 0)], vec![]));
}

#[test]
fn of_ones_own_group_goes_whom_the_taker_names() {
    for (stp, leaves, kept, own) in [
        (1, taken(1, 4), vec![], vec![(2, 100, 4, 7)]),
        (2, taken(0, 4), vec![(1, 100, 5, 7)], vec![]),
        (3, taken(0, 4), vec![], vec![]),
    ] {
        let mut desk = Desk::default();
        desk.submit(&Order { group: 7, ..order(1, 2, 100, 5) });
        assert_eq!(desk.submit(&Order { group: 7, stp, ..order(2, 1, 100, 4) }), leaves, "{stp}");
        assert_eq!((standing(&mut desk, 2), standing(&mut desk, 1)), (kept.clone(), own));
        let gone = Report { kind: 2, maker: 1, price: 100, qty: 5, maker_leaves: 0 };
        assert_eq!(desk.reports, if kept.is_empty() { vec![gone] } else { vec![] });
        let again = desk.submit(&order(1, 2, 300, 1)).code;
        assert_eq!(again, if kept.is_empty() { TAKEN } else { DUPLICATE }, "its id is free once it is gone");
    }
}

#[test]
fn an_order_is_made_smaller_in_its_place_or_goes() {
    let mut desk = Desk::default();
    for id in [1, 2] {
        desk.submit(&order(id, 2, 100, 5));
    }
    desk.submit(&order(3, 1, 100, 1));
    assert_eq!((desk.reports.len(), desk.reduce(1, 0)), (1, MALFORMED));
    assert!(desk.reports.is_empty());
    assert_eq!((desk.reduce(9, 1), desk.reduce(1, 3)), (UNKNOWN, TAKEN));
    assert_eq!(standing(&mut desk, 2), [(1, 100, 1, 0), (2, 100, 5, 0)], "it keeps its turn");
    assert_eq!((desk.reduce(1, 1), desk.reduce(2, 6)), (TAKEN, TAKEN));
    assert_eq!((standing(&mut desk, 2), desk.cancel(1)), (vec![], UNKNOWN));
    assert_eq!(standing(&mut desk, 3), [], "there is no such side");
    desk.submit(&order(4, 2, 100, 1));
    desk.submit(&order(5, 1, 100, 1));
    assert_eq!((desk.reports.len(), desk.cancel(4)), (1, UNKNOWN));
    assert!(desk.reports.is_empty());
    // SAFETY: nothing is freed.
    unsafe { countersign_book_free(std::ptr::null_mut()) };
}
