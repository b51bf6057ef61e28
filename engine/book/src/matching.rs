//! The walk of an order through the other side.

use crate::node::{Node, Orders};
use crate::order::{Fill, Reach, Stop, Stp, Taker, Tape};
use crate::side::Half;
use crate::{NONE, unlink};

/// Matches an order against one half, best price first, oldest order first.
pub fn sweep<const SIDE: u8>(
    half: &mut Half<SIDE>,
    orders: &mut Orders,
    taker: &mut Taker,
    tape: &mut impl Tape,
) -> Stop {
    while taker.leaves > 0 {
        let Some(at) = half.best() else { return Stop::Done };
        let price = half.level(at).price;
        if Half::<SIDE>::is_worse(price, taker.limit) {
            return Stop::Done;
        }
        let mut slot = half.level(at).head;
        while slot != NONE && taker.leaves > 0 {
            let Node { id, leaves, owner, next, .. } = orders.nodes[slot];
            let mut reach = taker.leaves;
            if let Some(budget) = taker.budget {
                // A budget is only ever given with prices of at least one tick.
                reach = reach.min(budget / price as u64);
                if reach == 0 {
                    return Stop::Budget;
                }
            }
            if taker.group != 0 && orders.group(slot) == taker.group {
                if taker.stp != Stp::CancelTaker {
                    let order = orders.of(slot);
                    unlink(&mut orders.nodes, half, slot);
                    tape.pulled(slot, order, price);
                }
                if taker.stp != Stp::CancelMaker {
                    return Stop::SelfTrade;
                }
                slot = next;
                continue;
            }
            let qty = leaves.min(reach);
            if let Some(budget) = &mut taker.budget {
                *budget -= qty * price as u64;
            }
            taker.leaves -= qty;
            let maker_leaves = leaves - qty;
            if maker_leaves == 0 {
                unlink(&mut orders.nodes, half, slot);
            } else {
                orders.nodes[slot].leaves = maker_leaves;
                half.level_mut(at).qty -= qty;
            }
            tape.fill(Fill { slot, maker: id, owner, price, qty, maker_leaves, taker_leaves: taker.leaves });
            if maker_leaves > 0 {
                // The taker, or its budget, ended in the middle of a maker: nobody behind it is met any more.
                return if taker.leaves > 0 { Stop::Budget } else { Stop::Done };
            }
            slot = next;
        }
    }
    Stop::Done
}

/// The same walk without touching anything: whether it would fill the order whole.
pub fn survey<const SIDE: u8>(half: &Half<SIDE>, orders: &Orders, taker: &Taker) -> Reach {
    let mut missing = taker.leaves;
    for (price, qty, head) in half.walk_levels() {
        if Half::<SIDE>::is_worse(price, taker.limit) {
            break;
        }
        if taker.group == 0 {
            if qty >= missing {
                return Reach::Whole;
            }
            missing -= qty;
            continue;
        }
        let mut slot = head;
        while slot != NONE {
            let node = &orders.nodes[slot];
            if orders.group(slot) == taker.group {
                if taker.stp != Stp::CancelMaker {
                    return Reach::SelfTrade;
                }
            } else if node.leaves >= missing {
                return Reach::Whole;
            } else {
                missing -= node.leaves;
            }
            slot = node.next;
        }
    }
    Reach::Partly
}
