//! Order flow, made beforehand and always the same.
//!
//! Shape of every scenario, as shares of all new orders: about 15 % are immediate or cancel and priced to cross, the
//! others rest at a distance from the middle that follows a power law; there is an amendment for every fifth order; and
//! nearly all that rest are cancelled later. The number of resting orders stays where it was. What differs is how the
//! middle moves and how deep the book is. [`Flow::shares`] tells what a flow really holds.

use countersign_book::Side;

use crate::maker::Maker;

#[derive(Clone, Copy, Debug)]
pub enum Message {
    New {
        id: u64,
        side: Side,
        price: i64,
        qty: u64,
        rests: bool,
    },
    Cancel {
        id: u64,
    },
    /// The new total; the price stays when it is the same as before.
    Amend {
        id: u64,
        price: i64,
        qty: u64,
    },
}

/// "deep" has 400,000 orders at 20,000 prices a side behind the activity; "churn" cancels and amends all over them,
/// so that nearly every message misses the caches.
pub const SCENARIOS: [&str; 6] = ["normal", "deep", "churn", "swing-25", "swing-40", "crash"];

pub struct Flow {
    pub name: &'static str,
    /// Orders that rest before the clock starts.
    pub before: Vec<Message>,
    pub messages: Vec<Message>,
}

impl Flow {
    /// Immediate or cancel and amendments for each hundred new orders; cancels for each hundred that were to rest.
    pub fn shares(&self) -> (f64, f64, f64) {
        let (mut resting, mut crossing, mut cancels, mut amends) = (0u32, 0u32, 0u32, 0u32);
        for message in &self.messages {
            match message {
                Message::New { rests: true, .. } => resting += 1,
                Message::New { .. } => crossing += 1,
                Message::Cancel { .. } => cancels += 1,
                Message::Amend { .. } => amends += 1,
            }
        }
        let per = |part: u32, whole: u32| 100.0 * f64::from(part) / f64::from(whole.max(1));
        let new = resting + crossing;
        (per(crossing, new), per(amends, new), per(cancels, resting))
    }
}

pub fn make(name: &'static str, count: usize) -> Flow {
    let mut maker = Maker::seeded(0x9E37_79B9_7F4A_7C15);
    let full = matches!(name, "deep" | "churn");
    let (middle, spread, far) = (100_000i64, 1, if full { 20_000 } else { 400 });
    let mut before = Vec::new();
    for _ in 0..if full { 400_000 } else { 2_000 } {
        let message = if full {
            maker.anywhere(middle, far)
        } else {
            maker.new_order(middle, spread, far, false)
        };
        before.push(message);
    }
    if name == "deep" {
        // What lies there stays, unless somebody trades through it.
        maker.leave_all();
    }
    // Kept at this number: what trades away is replaced.
    let kept = maker.resting().max(500);
    let mut messages = Vec::with_capacity(count);
    let mut drift = 0i64;
    while messages.len() < count {
        let at = messages.len() as i64;
        let now = middle
            + match name {
                "swing-25" => swing(at, 25),
                "swing-40" => swing(at, 40),
                // Down two thousand ticks in a fiftieth of the time, back in ten times as long.
                "crash" => match at % 500_000 {
                    fall @ 0..10_000 => -fall / 5,
                    rise @ 10_000..110_000 => -2_000 + (rise - 10_000) / 50,
                    _ => 0,
                },
                "deep" | "churn" => 0,
                _ => {
                    if at % 64 == 0 {
                        drift += maker.random.below(3) as i64 - 1;
                    }
                    drift
                }
            };
        let message = match maker.random.below(1_000) {
            0..100 => maker.amend(),
            100..173 => Some(maker.new_order(now, spread, far, true)),
            _ if maker.resting() < kept => Some(maker.new_order(now, spread, far, false)),
            173..587 if maker.resting() <= kept + 1_000 => {
                Some(maker.new_order(now, spread, far, false))
            }
            _ => maker.cancel(),
        };
        messages.extend(message);
    }
    Flow {
        name,
        before,
        messages,
    }
}

/// Back and forth between plus and minus `ticks`, a tick every twenty messages.
fn swing(at: i64, ticks: i64) -> i64 {
    let phase = at / 20 % (4 * ticks);
    if phase < 2 * ticks {
        phase - ticks
    } else {
        3 * ticks - phase
    }
}
