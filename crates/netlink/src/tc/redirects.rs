//! Where filters send packets: what `mirred` redirects, and what a program decides.

use super::qdisc::tcmsg;
use crate::attr::{Attrs, tail, u32_at};
use crate::message::Message;
use crate::socket::{NetlinkSocket, Protocol, Reply};
use crate::{Error, Malformed};

const RTM_NEWTFILTER: u16 = 44;
const RTM_GETTFILTER: u16 = 46;
/// Length of `struct tcmsg`.
const TCMSG: usize = 20;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const ACT_KIND: u16 = 1;
/// `TCA_BPF_NAME` and `TCA_BPF_ID` (include/uapi/linux/pkt_cls.h).
const BPF_NAME: u16 = 7;
const BPF_ID: u16 = 11;
const ACT_OPTIONS: u16 = 2;
const MIRRED_PARMS: u16 = 2;
/// `struct tc_mirred` (include/uapi/linux/tc_act/tc_mirred.h): five words of `tc_gen`, then what it does and where.
const MIRRED_ACTION: usize = 20;
const MIRRED_IFINDEX: usize = 24;
/// `TCA_EGRESS_REDIR`, `TCA_INGRESS_REDIR`; the mirrors (2, 4) send a copy, and the packet goes its way.
const REDIRECTS: [u32; 2] = [1, 3];

/// Where a classifier's options hold its actions (include/uapi/linux/pkt_cls.h: `TCA_U32_ACT` and the like).
const ACTIONS: &[(&str, u16)] = &[
    ("u32", 7),
    ("matchall", 2),
    ("flower", 3),
    ("basic", 3),
    ("fw", 4),
    ("cgroup", 1),
    ("flow", 9),
    ("route", 6),
    ("bpf", 1),
];

/// One filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectsMessage {
    /// `u32`, `matchall`, `bpf`, …
    pub kind: String,
    /// Indexes of the links that packets are redirected to.
    pub to: Vec<u32>,
    /// Where packets go cannot be read: a program decides (`bpf`), or the classifier is one whose actions are not
    /// known.
    pub opaque: bool,
    /// The number of the program of a `bpf` filter (`TCA_BPF_ID`).
    pub program_id: Option<u32>,
    /// The name that its owner gave the program (`TCA_BPF_NAME`).
    pub program_name: Option<String>,
}

/// The filters at one place of a link: `parent` as a number, `0xffff_fff2` for what comes in by `ingress` or `clsact`,
/// `0xffff_fff3` for what goes out by `clsact`, 0 for the root. Empty where nothing hangs there.
pub fn at(index: u32, parent: u32) -> Result<Vec<RedirectsMessage>, Error> {
    let what = format!("list the filters of link {index}");
    let message = Message::new(RTM_GETTFILTER, 0, &tcmsg(index, 0, parent, 0));
    let replies: Vec<Reply> = NetlinkSocket::open(Protocol::Route)?.dump(&what, &message)?;
    let mut all = Vec::new();
    for reply in replies.iter().filter(|r| r.kind == RTM_NEWTFILTER) {
        all.extend(parse(&reply.payload).map_err(|e| Error::malformed(&what, e))?);
    }
    Ok(all)
}

/// Reads one `RTM_NEWTFILTER` after its netlink header; `None` for the head of a list, which holds no options.
pub fn parse(payload: &[u8]) -> Result<Option<RedirectsMessage>, Malformed> {
    let attrs = Attrs::parse(tail(payload, TCMSG))?;
    let Some(kind) = attrs.text(TCA_KIND) else { return Ok(None) };
    let Some(options) = attrs.get(TCA_OPTIONS) else { return Ok(None) };
    let options = options.nested()?;
    let Some((_, at)) = ACTIONS.iter().find(|(name, _)| *name == kind) else {
        return Ok(Some(RedirectsMessage { kind, to: Vec::new(), opaque: true, program_id: None, program_name: None }));
    };
    let mut to = Vec::new();
    let mut opaque = kind == "bpf";
    for action in options.nested(*at)?.iter() {
        let action = action.nested()?;
        match action.text(ACT_KIND).as_deref() {
            Some("mirred") => to.extend(redirected(action)?),
            Some("bpf") => opaque = true,
            _ => {}
        }
    }
    let is_program = kind == "bpf";
    let program_id = options.get(BPF_ID).filter(|_| is_program).and_then(|id| u32_at(id.data, 0));
    let program_name = if is_program { options.text(BPF_NAME) } else { None };
    Ok(Some(RedirectsMessage { kind, to, opaque, program_id, program_name }))
}

fn redirected(action: Attrs<'_>) -> Result<Option<u32>, Malformed> {
    let Some(parameters) = action.nested(ACT_OPTIONS)?.get(MIRRED_PARMS) else { return Ok(None) };
    let does = u32_at(parameters.data, MIRRED_ACTION);
    let index = u32_at(parameters.data, MIRRED_IFINDEX).filter(|i| *i != 0);
    Ok(index.filter(|_| does.is_some_and(|d| REDIRECTS.contains(&d))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(kind: &str, at: u16, does: u32) -> RedirectsMessage {
        let mirred: Vec<u8> = [0, 0, 4, 0, 0, does, 12].iter().flat_map(|f: &u32| f.to_ne_bytes()).collect();
        let mut bytes = vec![0; TCMSG];
        bytes.extend(crate::message::attrs(|m| {
            m.text(TCA_KIND, kind).nest(TCA_OPTIONS, |m| {
                m.nest(at, |m| {
                    m.nest(1, |m| m.text(ACT_KIND, "mirred").nest(ACT_OPTIONS, |m| m.attr(MIRRED_PARMS, &mirred)))
                })
            })
        }));
        parse(&bytes).unwrap().unwrap()
    }

    #[test]
    fn a_redirect_is_distinguished_from_a_mirror_and_from_a_program() {
        assert_eq!(filter("u32", 7, 1).to, [12]);
        assert_eq!(filter("matchall", 2, 3).to, [12]);
        assert!(filter("matchall", 2, 2).to.is_empty(), "a mirror sends a copy");
        assert!(filter("bpf", 1, 1).opaque && filter("unheard-of", 1, 1).opaque);
        assert!(!filter("flower", 3, 1).opaque);
    }

    #[test]
    fn a_program_has_its_number_and_its_name() {
        let filter = |kind: &str| {
            let mut bytes = vec![0; TCMSG];
            bytes.extend(crate::message::attrs(|m| {
                m.text(TCA_KIND, kind)
                    .nest(TCA_OPTIONS, |m| m.text(BPF_NAME, "agent.o:[tc]").attr(BPF_ID, &77_u32.to_ne_bytes()))
            }));
            let found = parse(&bytes).unwrap().unwrap();
            (found.program_id, found.program_name)
        };
        assert_eq!(filter("bpf"), (Some(77), Some("agent.o:[tc]".to_owned())));
        assert_eq!(filter("matchall"), (None, None), "the numbers mean something else there");
    }

    proptest! {
        #[test]
        fn any_bytes_are_not_filter_or_one(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
