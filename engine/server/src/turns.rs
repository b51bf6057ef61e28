//! How work in the background takes turns on the cores with the path of an order.

/// Below all others: on cores that others keep busy it gets a seventieth of one.
pub const LAST: i32 = 19;
/// A quarter of a core that others keep busy.
pub const BEHIND: i32 = 5;
/// The shortest slice that the kernel grants, for work that cannot be cut up.
const SLICE_NS: u64 = 100_000;

/// Lowers this thread to that place, also where the process runs at a real-time priority, which threads inherit.
/// Refused or not, it does its work. No thread can raise itself again.
pub fn give_way(place: i32) {
    let ordinary = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 names the calling thread, and the pointer is to a value that outlives the call.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const ordinary) };
    // On Linux this is the thread's own priority.
    rustix::process::setpriority_process(None, place).ok();
    // SAFETY: all zeros is a valid value, and so is its size.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    attributes.size = size_of_val(&attributes) as u32;
    attributes.sched_nice = place;
    attributes.sched_runtime = SLICE_NS;
    // SAFETY: 0 names the calling thread, and the pointer is to a value that outlives the call. Kernels that know no
    // slices of ordinary threads ignore them.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_in_the_background_has_the_place_that_it_took() {
        for place in [BEHIND, LAST] {
            let thread = std::thread::spawn(move || {
                give_way(place);
                rustix::process::getpriority_process(None)
            });
            assert_eq!(thread.join().unwrap(), Ok(place));
        }
    }
}
