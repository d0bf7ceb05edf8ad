//! How many system calls this thread made to move messages: counted where they are made, for an addition each.
//!
//! Counted are the calls of [`crate::socket`] that send, receive and wait, setting the [`crate::thread::Alarm`], and what
//! an engine with calls of its own [`count`]s. Not counted is what is called once: sockets, options, memory.

use std::cell::Cell;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// One more call of this thread.
#[inline]
pub fn count() {
    CALLS.with(|calls| calls.set(calls.get().wrapping_add(1)));
}

/// Calls of this thread since it began.
pub fn so_far() -> u64 {
    CALLS.with(Cell::get)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::socket;

    #[test]
    fn each_call_that_moves_messages_counts_once_and_for_its_own_thread() {
        let (a, b) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let before = so_far();
        socket::send(a.as_fd(), &[7], 0).unwrap();
        assert!(socket::wait_readable(&mut [socket::Waiting::on(&b)], 0).unwrap());
        assert_eq!(socket::recv(b.as_fd(), &mut [0; 8], 0).unwrap(), 1);
        // One that failed was made too.
        socket::recv(b.as_fd(), &mut [0; 8], libc::MSG_DONTWAIT).unwrap_err();
        assert_eq!(so_far() - before, 4);
        std::thread::spawn(|| assert_eq!(so_far(), 0)).join().unwrap();
    }
}
