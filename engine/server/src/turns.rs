//! How threads take turns on the cores: the path of an order briefly and at once, work beside it when nothing else is to do.

const NICE_LAST: i32 = 19;
/// The shortest slice that the kernel grants. A thread that asks for short ones is let in before one that has a long
/// one to finish; a thread in the background that has them is soon off the core.
const SLICE_NS: u64 = 100_000;

/// For threads that an answer passes through. Refused or not, they do their work.
pub fn prompt() {
    // A real-time priority that somebody gave the process is better than any slice.
    if let Some(attributes) = ordinary() {
        set(attributes);
    }
}

/// Lowers this thread below all others, also where the process runs at a real-time priority, which threads inherit.
/// Refused or not, it does its work.
pub fn give_way() {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 names the calling thread, and the pointer is to a value that outlives the call.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const parameters) };
    // On Linux this is the thread's own priority.
    rustix::process::setpriority_process(None, NICE_LAST).ok();
    if let Some(attributes) = ordinary() {
        set(libc::sched_attr { sched_nice: NICE_LAST, ..attributes });
    }
}

/// What the kernel holds for this thread, where that is no real-time priority.
fn ordinary() -> Option<libc::sched_attr> {
    // SAFETY: all zeros is a valid value.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of_val(&attributes);
    // SAFETY: 0 names the calling thread, and the kernel writes at most `size` bytes where the value lies.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) };
    (got == 0 && attributes.sched_policy == libc::SCHED_OTHER as u32).then_some(attributes)
}

fn set(attributes: libc::sched_attr) {
    let attributes = libc::sched_attr { sched_runtime: SLICE_NS, ..attributes };
    // SAFETY: 0 names the calling thread, and the pointer is to a value that outlives the call. Kernels that know no
    // slices of ordinary threads ignore them.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_asks_for_short_slices_and_one_in_the_background_also_for_the_last_place() {
        let told = |ask: fn()| {
            let thread = std::thread::spawn(move || {
                ask();
                ordinary().map(|attributes| (attributes.sched_nice, attributes.sched_runtime))
            });
            thread.join().unwrap()
        };
        let before = ordinary().expect("tests run at no real-time priority");
        let (nice, slice) = told(prompt).unwrap();
        assert_eq!(nice, before.sched_nice);
        let kept = slice == SLICE_NS || slice == before.sched_runtime;
        assert!(kept, "a kernel that knows no slices says what it said before, not {slice}");
        assert_eq!(told(give_way).unwrap().0, NICE_LAST);
    }
}
