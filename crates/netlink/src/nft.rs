//! nf_tables: how many rules each chain has; a table with a base chain and rules in one batch.

use std::collections::BTreeMap;

use crate::Error;
use crate::attr::{Attrs, tail};
use crate::message::{APPEND, CREATE, EXCL, Message, attrs};
use crate::socket::{NetlinkSocket, Protocol};
use crate::{Malformed, socket};

const SUBSYS: u16 = 10 << 8;
const NEWTABLE: u16 = SUBSYS;
const DELTABLE: u16 = SUBSYS | 2;
const NEWCHAIN: u16 = SUBSYS | 3;
const GETCHAIN: u16 = SUBSYS | 4;
const NEWRULE: u16 = SUBSYS | 6;
const GETRULE: u16 = SUBSYS | 7;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// Length of `struct nfgenmsg`.
const NFGEN: usize = 4;
/// `NFPROTO_INET`: IPv4 and IPv6 in one table.
const INET: u8 = 1;

const TABLE_NAME: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_HOOKNUM: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const LIST_ELEM: u16 = 1;
const EXPR_NAME: u16 = 1;
const EXPR_DATA: u16 = 2;

/// `family table chain` → rules, for every chain; a chain without rules counts 0.
pub fn rules_per_chain() -> Result<BTreeMap<String, u64>, Error> {
    let mut out = BTreeMap::new();
    let mut socket = NetlinkSocket::open(Protocol::Netfilter)?;
    for r in dump(&mut socket, "list the packet filter's chains", GETCHAIN)? {
        let key = parse(&r.payload, CHAIN_TABLE, CHAIN_NAME)
            .map_err(|e| Error::malformed("list the packet filter's chains", e))?;
        out.entry(key).or_insert(0);
    }
    for r in dump(&mut socket, "list the packet filter's rules", GETRULE)? {
        let key = parse(&r.payload, RULE_TABLE, RULE_CHAIN)
            .map_err(|e| Error::malformed("list the packet filter's rules", e))?;
        *out.entry(key).or_insert(0) += 1;
    }
    Ok(out)
}

fn dump(socket: &mut NetlinkSocket, what: &str, kind: u16) -> Result<Vec<socket::Reply>, Error> {
    socket.dump(what, &Message::new(kind, 0, &[0; NFGEN]))
}

/// The chain a chain or rule message belongs to: `ip filter INPUT`.
pub fn parse(payload: &[u8], table: u16, chain: u16) -> Result<String, Malformed> {
    let family = *payload.first().ok_or_else(|| Malformed::new("a packet filter message without its header"))?;
    let attrs = Attrs::parse(tail(payload, NFGEN))?;
    let (Some(table), Some(chain)) = (attrs.text(table), attrs.text(chain)) else {
        return Err(Malformed::new("a rule or chain without table and chain"));
    };
    let family = match family {
        1 => "inet",
        2 => "ip",
        3 => "arp",
        5 => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => "unknown",
    };
    Ok(format!("{family} {table} {chain}"))
}

/// Where a base chain hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// `NF_INET_LOCAL_IN`.
    Input,
    /// `NF_INET_LOCAL_OUT`.
    Output,
}

/// Makes an `inet` table with one base chain (priority 0, policy accept) and one rule per port, all or nothing. Each
/// rule is `udp dport PORT counter`: it looks at the packet, counts it where it matches, and lets it pass.
pub fn create_table(
    table: &str,
    chain: &str,
    hook: Hook,
    udp_ports: impl IntoIterator<Item = u16>,
) -> Result<(), Error> {
    let what = format!("create the packet filter table inet {table}");
    let mut messages = vec![
        request(NEWTABLE, CREATE | EXCL).text(TABLE_NAME, table),
        request(NEWCHAIN, CREATE | EXCL)
            .text(CHAIN_TABLE, table)
            .text(CHAIN_NAME, chain)
            .nest(CHAIN_HOOK, |m| m.be32(HOOK_HOOKNUM, if hook == Hook::Input { 1 } else { 3 }).be32(HOOK_PRIORITY, 0))
            .be32(CHAIN_POLICY, 1)
            .text(CHAIN_TYPE, "filter"),
    ];
    for port in udp_ports {
        messages.push(
            request(NEWRULE, CREATE | APPEND)
                .text(RULE_TABLE, table)
                .text(RULE_CHAIN, chain)
                .nest(RULE_EXPRESSIONS, |m| udp_dport(m, port)),
        );
    }
    batch(&what, messages)
}

/// Deletes an `inet` table with all its chains and rules.
pub fn delete_table(table: &str) -> Result<(), Error> {
    batch(&format!("delete the packet filter table inet {table}"), vec![request(DELTABLE, 0).text(TABLE_NAME, table)])
}

fn request(kind: u16, flags: u16) -> Message {
    Message::new(kind, flags, &[INET, 0, 0, 0])
}

fn batch(what: &str, messages: Vec<Message>) -> Result<(), Error> {
    // res_id names the subsystem, big-endian.
    let mark = |kind| Message::new(kind, 0, &[0, 0, 0, 10]);
    NetlinkSocket::open(Protocol::Netfilter)?.batch(what, mark(BATCH_BEGIN), messages, mark(BATCH_END))
}

/// `meta l4proto udp`, `udp dport PORT`, `counter`.
fn udp_dport(m: Message, port: u16) -> Message {
    const REG_1: u32 = 1;
    const META_L4PROTO: u32 = 16;
    const PAYLOAD_TRANSPORT: u32 = 2;
    const CMP_EQ: u32 = 0;
    const UDP: u8 = 17;
    let expr = |m: Message, name: &str, data: Vec<u8>| {
        m.nest(LIST_ELEM, |m| m.text(EXPR_NAME, name).attr(EXPR_DATA | 0x8000, &data))
    };
    let compare = |value: &[u8]| attrs(|m| m.be32(1, REG_1).be32(2, CMP_EQ).nest(3, |m| m.attr(1, value)));
    let m = expr(m, "meta", attrs(|m| m.be32(1, REG_1).be32(2, META_L4PROTO)));
    let m = expr(m, "cmp", compare(&[UDP]));
    let m = expr(m, "payload", attrs(|m| m.be32(1, REG_1).be32(2, PAYLOAD_TRANSPORT).be32(3, 2).be32(4, 2)));
    let m = expr(m, "cmp", compare(&port.to_be_bytes()));
    expr(m, "counter", Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&bytes, 1, 2);
        }
    }
}
