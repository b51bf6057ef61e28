//! How work in the background takes turns on the cores with the path of an order.

const NICE_LAST: i32 = 19;
/// The shortest slice that the kernel grants, for work that cannot be cut up.
const SLICE_NS: u64 = 100_000;

/// Lowers this thread below all others, also where the process runs at a real-time priority, which threads inherit.
/// Refused or not, it does its work.
pub fn give_way() {
    let ordinary = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 names the calling thread, and the pointer is to a value that outlives the call.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const ordinary) };
    // On Linux this is the thread's own priority.
    rustix::process::setpriority_process(None, NICE_LAST).ok();
    // SAFETY: all zeros is a valid value, and so is its size.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    attributes.size = size_of_val(&attributes) as u32;
    attributes.sched_nice = NICE_LAST;
    attributes.sched_runtime = SLICE_NS;
    // SAFETY: 0 names the calling thread, and the pointer is to a value that outlives the call. Kernels that know no
    // slices of ordinary threads ignore them.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_in_the_background_has_the_last_place() {
        let thread = std::thread::spawn(|| {
            give_way();
            rustix::process::getpriority_process(None)
        });
        assert_eq!(thread.join().unwrap(), Ok(NICE_LAST));
    }
}
