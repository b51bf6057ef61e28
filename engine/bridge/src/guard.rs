//! What a fault in here costs: a connection, and never the process.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the act gives, or what it broke at, in words. Where it held a lock, whoever takes the lock next begins anew.
pub fn guarded<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|thrown| words(&*thrown))
}

fn words(thrown: &(dyn Any + Send)) -> String {
    let said = thrown.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| thrown.downcast_ref::<&str>().copied()).unwrap_or("no words");
    format!("a fault in the order stream, {said}")
}
