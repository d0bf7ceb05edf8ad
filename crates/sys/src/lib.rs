//! The one door through which the host is read.
//!
//! [`Sys`] has few methods, so that it has three implementations: [`Live`] reads the running host, [`Captured`] a
//! stored tree, [`Recorder`] wraps either and stores what was read, which is how a captured tree is made. Nothing else
//! in lowlat opens a file under `/proc`, `/sys`, `/dev` or asks netlink a question; a test holds that.
//!
//! Everything typed is built on the five methods, so a captured host answers all of it. [`query`] has the typed netlink
//! replies.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod captured;
mod error;
pub mod irqs;
pub mod linkwatch;
mod live;
mod mask;
mod privilege;
pub mod query;
mod recorder;
mod restorable;
pub mod store;
pub mod tracefs;

pub use captured::Captured;
pub use error::{SysError, reading_of_errno};
pub use live::{
    Live, LiveSocket, Tap, Tapped, TappedDatagram, TrafficDoor, end_waits_on, in_netns, links_in, netns_cookie_at,
};
pub use lowlat_model::hex;
pub use privilege::{effective_capabilities, is_user_zero, next_where_denied};
pub use query::NetQuery;
pub use recorder::Recorder;
pub use restorable::qdisc_restorable;

use lowlat_model::Reading;
use lowlat_model::facts::TcpSocket;

/// A host that can be read. Paths are absolute paths of the host (`/proc/stat`), whatever stands behind.
pub trait Sys {
    /// A file's text, as it is.
    fn read(&self, path: &str) -> Reading<String>;
    /// A file's bytes, for the few that are not text (`/proc/config.gz`). A door that can do better than the text of
    /// [`Sys::read`] overrides it.
    fn read_bytes(&self, path: &str) -> Reading<Vec<u8>> {
        self.read(path).map(String::into_bytes)
    }
    /// A directory's entries, sorted.
    fn list(&self, path: &str) -> Reading<Vec<String>>;
    /// Where a symbolic link points, as written in it.
    fn link_target(&self, path: &str) -> Reading<String>;
    /// The reply to a kernel query (netlink, ioctl), as JSON: see [`NetQuery`] for each one's shape.
    fn net(&self, query: &NetQuery) -> Reading<serde_json::Value>;
    /// The reply to [`NetQuery::TcpSockets`]. A host may have a hundred thousand, so a door that can do better than JSON
    /// overrides it.
    fn tcp_sockets(&self) -> Reading<Vec<TcpSocket>> {
        query::from_json(&NetQuery::TcpSockets, self.net(&NetQuery::TcpSockets))
    }
    /// `CLOCK_MONOTONIC`, ns. A captured tree gives the stored reading.
    fn now_ns(&self) -> u64;
    /// Lets time pass, for counter windows. A captured tree switches to its later reading instead.
    fn wait(&self, ns: u64);
    /// This door for several threads at once; `None` where its answers depend on the order of the questions, or are stored in it.
    fn shared(&self) -> Option<&(dyn Sys + Sync)> {
        None
    }
    /// A sysctl by its dotted name, trailing newline cut.
    fn sysctl(&self, key: &str) -> Reading<String> {
        self.read(&format!("/proc/sys/{}", key.replace('.', "/"))).map(|t| t.trim_end_matches('\n').to_owned())
    }
}
