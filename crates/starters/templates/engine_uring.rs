//! io_uring on a connected UDP socket. No bypass: every packet takes the kernel's stack; what is saved are system calls.
//! One receive is always armed, and its successor is submitted together with the next send.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode, squeue};

use crate::Config;

const SENT: u64 = 1;
const RECEIVED: u64 = 2;

/// One flow to one far end.
pub struct Engine {
    // Dropped first: the kernel lets go of the buffers when the ring is closed.
    ring: IoUring,
    socket: UdpSocket,
    /// Boxed, so that they stay where the kernel knows them.
    incoming: Box<[u8; 2048]>,
    outgoing: Box<[u8; 2048]>,
    armed: bool,
}

fn with<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> String {
    move |e| format!("{what}: {e}")
}

impl Engine {
    /// Opens the flow.
    pub fn open(config: &Config) -> Result<Self, String> {
        let socket = UdpSocket::bind("0.0.0.0:0").map_err(with("open a socket"))?;
        socket
            .connect((config.target.as_str(), config.port))
            .map_err(with("connect to the target"))?;
        // With deferred task work (Linux 6.1) a completion does not interrupt the thread that waits for it.
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .build(8)
            .or_else(|_| IoUring::new(8))
            .map_err(with(
                "open a ring (sysctl kernel.io_uring_disabled, or a seccomp filter, may forbid it)",
            ))?;
        Ok(Self {
            ring,
            socket,
            incoming: Box::new([0; 2048]),
            outgoing: Box::new([0; 2048]),
            armed: false,
        })
    }

    fn push(&mut self, entry: &squeue::Entry) -> Result<(), String> {
        // SAFETY: the entries name `incoming` and `outgoing`, which live as long as the ring and are not touched while
        // the kernel has them.
        unsafe { self.ring.submission().push(entry) }.map_err(with("queue a request"))
    }

    fn arm(&mut self) -> Result<(), String> {
        let fd = Fd(self.socket.as_raw_fd());
        let entry =
            opcode::Recv::new(fd, self.incoming.as_mut_ptr(), self.incoming.len() as u32).build();
        self.armed = true;
        self.push(&entry.user_data(RECEIVED))
    }

    /// Sends one message.
    pub fn send(&mut self, message: &[u8]) -> Result<(), String> {
        let place = self
            .outgoing
            .get_mut(..message.len())
            .ok_or("send: the message is too long")?;
        place.copy_from_slice(message);
        if !self.armed {
            self.arm()?;
        }
        let fd = Fd(self.socket.as_raw_fd());
        let entry = opcode::Send::new(fd, self.outgoing.as_ptr(), message.len() as u32).build();
        self.push(&entry.user_data(SENT))?;
        self.ring.submit().map(drop).map_err(with("submit"))
    }

    /// Length of the next message; `None` when none came within `wait`.
    pub fn recv(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Option<usize>, String> {
        loop {
            let Some(done) = self.ring.completion().next() else {
                let limit = Timespec::from(wait);
                let args = SubmitArgs::new().timespec(&limit);
                match self.ring.submitter().submit_with_args(1, &args) {
                    Ok(_) => continue,
                    Err(e) if e.raw_os_error() == Some(libc::ETIME) => return Ok(None),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                    Err(e) => return Err(format!("wait for a completion: {e}")),
                }
            };
            let what = if done.user_data() == SENT {
                "send"
            } else {
                "receive"
            };
            let len = usize::try_from(done.result())
                .map_err(|_| format!("{what}: {}", io::Error::from_raw_os_error(-done.result())))?;
            if done.user_data() != RECEIVED {
                continue;
            }
            let len = len.min(buffer.len());
            buffer[..len].copy_from_slice(&self.incoming[..len]);
            self.arm()?; // goes out with the next submission
            return Ok(Some(len));
        }
    }
}
