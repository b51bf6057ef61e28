//! One round: an engine takes a whole flow, on the core's own time.

use crate::flow::{Flow, Message};

pub trait Engine {
    fn take(&mut self, message: &Message);
}

pub fn time(flow: &Flow, engine: &mut impl Engine) -> f64 {
    for message in &flow.before {
        engine.take(message);
    }
    let began = core_time();
    for message in &flow.messages {
        engine.take(message);
    }
    flow.messages.len() as f64 / (core_time() - began) / 1e6
}

/// Time that this thread has had a core, in seconds: on a shared machine the wall clock measures the neighbours.
pub fn core_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse::<f64>().ok());
    nanoseconds.expect("the kernel keeps schedstat") / 1e9
}
