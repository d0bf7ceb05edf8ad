//! Generic netlink: a family's number, and requests to it.

use std::sync::OnceLock;

use crate::Error;
use crate::attr::{Attrs, tail};
use crate::message::Message;
use crate::socket::{NetlinkSocket, Protocol};

/// Length of `struct genlmsghdr`.
pub const HEADER: usize = 4;
const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;

/// Families that are a part of the kernel and not of a module, which could go and come back under another number
/// (`CONFIG_ETHTOOL_NETLINK` is a bool in net/Kconfig, net/core/Makefile always has `netdev-genl.o`; linux 6.12): each is looked
/// up once. The numbers are the same in every network namespace (net/netlink/genetlink.c, `genl_fam_idr`).
static OF_THE_KERNEL: [(&str, OnceLock<u16>); 2] = [("ethtool", OnceLock::new()), ("netdev", OnceLock::new())];

/// A socket and a family on it.
#[derive(Debug)]
pub struct GenericFamily {
    socket: NetlinkSocket,
    id: u16,
    version: u8,
}

impl GenericFamily {
    /// Looks a family up by name; `EOPNOTSUPP` where this kernel has none of that name.
    pub fn open(name: &str, version: u8) -> Result<Self, Error> {
        let mut socket = NetlinkSocket::open(Protocol::Generic)?;
        let known = OF_THE_KERNEL.iter().find(|(n, _)| *n == name).map(|(_, id)| id);
        let id = match known.and_then(OnceLock::get) {
            Some(id) => *id,
            None => look_up(&mut socket, name)?,
        };
        if let Some(known) = known {
            let _ = known.set(id);
        }
        Ok(Self { socket, id, version })
    }

    /// One command; gives the attributes of each reply.
    pub fn ask(
        &mut self,
        what: &str,
        command: u8,
        write: impl FnOnce(Message) -> Message,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let m = write(Message::new(self.id, 0, &[command, self.version, 0, 0]));
        let id = self.id;
        Ok(self
            .socket
            .ask(what, m)?
            .into_iter()
            .filter(|r| r.kind == id)
            .map(|r| tail(&r.payload, HEADER).to_vec())
            .collect())
    }

    /// A dump; gives the attributes of each reply.
    pub fn dump(
        &mut self,
        what: &str,
        command: u8,
        write: impl FnOnce(Message) -> Message,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let m = write(Message::new(self.id, 0, &[command, self.version, 0, 0]));
        let id = self.id;
        Ok(self
            .socket
            .dump(what, &m)?
            .into_iter()
            .filter(|r| r.kind == id)
            .map(|r| tail(&r.payload, HEADER).to_vec())
            .collect())
    }
}

/// Asks the controller for the number of a family.
fn look_up(socket: &mut NetlinkSocket, name: &str) -> Result<u16, Error> {
    let what = format!("look up the netlink family {name}");
    let ask = Message::new(GENL_ID_CTRL, 0, &[CTRL_CMD_GETFAMILY, 1, 0, 0]).text(CTRL_ATTR_FAMILY_NAME, name);
    let replies = socket.ask(&what, ask).map_err(|e| match e.errno() {
        // The controller says ENOENT for a family it has not heard of.
        Some(libc::ENOENT) => Error::Refused {
            what: what.clone(),
            errno: libc::EOPNOTSUPP,
            extack: "this kernel has no such family".into(),
        },
        _ => e,
    })?;
    for r in &replies {
        let attrs = Attrs::parse(tail(&r.payload, HEADER)).map_err(|e| Error::malformed(&what, e))?;
        if let Some(id) = attrs.get(CTRL_ATTR_FAMILY_ID).and_then(crate::attr::Attr::u16) {
            return Ok(id);
        }
    }
    Err(Error::malformed(&what, crate::Malformed::new("no family number")))
}
