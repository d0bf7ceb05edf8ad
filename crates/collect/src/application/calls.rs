//! System calls by number, of the two machines that lowlat is built for.

use lowlat_model::Reading;
use lowlat_model::application::Doing;

use crate::text::garbled;

/// Where a call's timeout is.
#[derive(Clone, Copy)]
enum Timeout {
    /// It has none.
    Never,
    /// It waits for a time.
    Always,
    /// This argument is milliseconds; below zero for ever.
    Millis(usize),
    /// This argument points at a time; 0 for ever.
    Pointer(usize),
}

/// Name, number on x86-64 and on arm64, timeout (arch/x86/entry/syscalls/syscall_64.tbl and syscall.tbl in its scripts
/// in linux 6.12; the arguments are those of the manual pages).
const CALLS: &[(&str, Option<u32>, Option<u32>, Timeout)] = &[
    ("read", Some(0), Some(63), Timeout::Never),
    ("readv", Some(19), Some(65), Timeout::Never),
    ("recvfrom", Some(45), Some(207), Timeout::Never),
    ("recvmsg", Some(47), Some(212), Timeout::Never),
    // Its timeout is looked at only after a datagram came (net/socket.c in linux 6.12, do_recvmmsg): no timer ends the wait.
    ("recvmmsg", Some(299), Some(243), Timeout::Never),
    ("accept", Some(43), Some(202), Timeout::Never),
    ("accept4", Some(288), Some(242), Timeout::Never),
    ("poll", Some(7), None, Timeout::Millis(2)),
    ("ppoll", Some(271), Some(73), Timeout::Pointer(2)),
    ("select", Some(23), None, Timeout::Pointer(4)),
    ("pselect6", Some(270), Some(72), Timeout::Pointer(4)),
    ("epoll_wait", Some(232), None, Timeout::Millis(3)),
    ("epoll_pwait", Some(281), Some(22), Timeout::Millis(3)),
    ("epoll_pwait2", Some(441), Some(441), Timeout::Pointer(3)),
    ("io_uring_enter", Some(426), Some(426), Timeout::Never),
    ("futex", Some(202), Some(98), Timeout::Pointer(3)),
    ("nanosleep", Some(35), Some(101), Timeout::Always),
    ("clock_nanosleep", Some(230), Some(115), Timeout::Always),
    ("rt_sigtimedwait", Some(128), Some(137), Timeout::Pointer(2)),
    ("pause", Some(34), None, Timeout::Never),
    ("wait4", Some(61), Some(260), Timeout::Never),
];

/// `/proc/PID/task/TID/syscall`: `running`, `-1 SP PC` for a task that is blocked outside a system call, else the number
/// and six arguments.
pub(super) fn doing(text: &str, machine: &str) -> Reading<Doing> {
    let text = text.trim();
    let plain = |call: &str| Reading::Value(Doing { call: call.to_owned(), timed: false });
    if text == "running" {
        return plain("running");
    }
    let mut words = text.split(' ');
    let number = match words.next().map(str::parse::<i32>) {
        Some(Ok(-1)) => return plain("blocked"),
        Some(Ok(number)) => u32::try_from(number).ok(),
        _ => None,
    };
    let Some(number) = number else { return garbled("a thread's system call", text) };
    let arguments: Vec<Option<u64>> =
        words.map(|w| w.strip_prefix("0x").and_then(|h| u64::from_str_radix(h, 16).ok())).collect();
    let of_machine = |x86: Option<u32>, arm: Option<u32>| match machine {
        "x86_64" => x86,
        "aarch64" => arm,
        _ => None,
    };
    let Some((name, .., timeout)) = CALLS.iter().find(|(_, x86, arm, _)| of_machine(*x86, *arm) == Some(number)) else {
        return plain(&format!("call {number}"));
    };
    let argument = |at: usize| arguments.get(at).copied().flatten();
    let timed = match *timeout {
        Timeout::Never => false,
        Timeout::Always => true,
        // An int: the kernel looks at its low half alone.
        Timeout::Millis(at) => argument(at).is_some_and(|v| (v & 0xffff_ffff) > 0 && v & 0x8000_0000 == 0),
        Timeout::Pointer(at) => argument(at).is_some_and(|v| v != 0),
    };
    Reading::Value(Doing { call: (*name).to_owned(), timed })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn calls_by_machine_and_their_timeouts() {
        let of = |text: &str, machine: &str| {
            let doing = doing(text, machine).into_value().unwrap();
            format!("{}{}", doing.call, if doing.timed { " timed" } else { "" })
        };
        assert_eq!(of("running\n", "x86_64"), "running");
        assert_eq!(of("-1 0x7f 0x55\n", "x86_64"), "blocked");
        assert_eq!(of("45 0x3 0x7f 0x800 0x0 0x0 0x0 0x1 0x2\n", "x86_64"), "recvfrom");
        assert_eq!(of("207 0x3 0x7f 0x800 0x0 0x0 0x0 0x1 0x2\n", "aarch64"), "recvfrom");
        assert_eq!(of("232 0x3 0x7f 0x40 0xffffffff 0x0 0x0 0x1 0x2\n", "x86_64"), "epoll_wait");
        assert_eq!(of("232 0x3 0x7f 0x40 0x3e8 0x0 0x0 0x1 0x2\n", "x86_64"), "epoll_wait timed");
        assert_eq!(of("271 0x7f 0x1 0x7f00 0x0 0x8 0x0 0x1 0x2\n", "x86_64"), "ppoll timed");
        assert_eq!(of("299 0x3 0x7f 0x40 0x10000 0x7f10 0x0 0x1 0x2\n", "x86_64"), "recvmmsg", "no timer ends it");
        assert_eq!(of("45 0x3\n", "riscv64"), "call 45");
        assert!(matches!(doing("nonsense", "x86_64"), Reading::Garbled(_)));
        assert!(matches!(doing("-7 0x1", "x86_64"), Reading::Garbled(_)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_garbled(text in "\\PC*") {
            let _ = doing(&text, "x86_64");
        }
    }
}
