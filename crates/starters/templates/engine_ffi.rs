//! The engine: `engine.c`, which build.rs builds, since the rings of this technique are inline functions of C headers.

use std::ffi::{CStr, CString, c_char, c_int, c_long};
use std::time::Duration;

use crate::Config;

unsafe extern "C" {
    fn engine_open(
        target: *const c_char,
        port: u16,
        device: *const c_char,
        local: *const c_char,
    ) -> c_int;
    fn engine_send(message: *const u8, len: usize) -> c_int;
    fn engine_recv(buffer: *mut u8, room: usize, until_ns: u64) -> c_long;
    fn engine_close();
    fn engine_now_ns() -> u64;
    fn engine_error() -> *const c_char;
}

/// One flow to one far end. There is one of it in a program: the C side keeps its state in statics.
pub struct Engine(());

/// Why the last call failed.
fn why() -> String {
    // SAFETY: the answer is a string in a static of the C side, and no other thread calls it.
    unsafe { CStr::from_ptr(engine_error()) }
        .to_string_lossy()
        .into_owned()
}

fn text(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|_| format!("{text:?} holds a zero byte"))
}

impl Engine {
    /// Opens the flow; nothing stays behind where that fails.
    pub fn open(config: &Config) -> Result<Self, String> {
        let target = text(&config.target)?;
        let device = config.device.as_deref().map(text).transpose()?;
        let local = config.local.as_deref().map(text).transpose()?;
        let pointer =
            |text: &Option<CString>| text.as_ref().map_or(std::ptr::null(), |t| t.as_ptr());
        // SAFETY: each pointer is null or to a string that lives until the call returns.
        let opened = unsafe {
            engine_open(
                target.as_ptr(),
                config.port,
                pointer(&device),
                pointer(&local),
            )
        };
        if opened < 0 { Err(why()) } else { Ok(Self(())) }
    }

    /// Sends one message.
    pub fn send(&mut self, message: &[u8]) -> Result<(), String> {
        // SAFETY: the slice lives for the call, which only reads it.
        if unsafe { engine_send(message.as_ptr(), message.len()) } < 0 {
            Err(why())
        } else {
            Ok(())
        }
    }

    /// Length of the next message; `None` when none came within `wait`.
    pub fn recv(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Option<usize>, String> {
        // SAFETY: the call writes at most the given length into the slice.
        let len = unsafe {
            let until = engine_now_ns() + wait.as_nanos() as u64;
            engine_recv(buffer.as_mut_ptr(), buffer.len(), until)
        };
        match usize::try_from(len) {
            Ok(0) => Ok(None),
            Ok(len) => Ok(Some(len)),
            Err(_) => Err(why()),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: it was opened, and this is the only call that closes it.
        unsafe { engine_close() };
    }
}
