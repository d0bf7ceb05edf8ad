//! Packets that the kernel dropped, from the trace points `skb:kfree_skb` and `udp:udp_fail_queue_rcv_skb`.
//!
//! Both happen only where something is dropped, so watching them costs nothing while all is well. The second says for which
//! port a full socket refused a datagram; the first follows it on the same CPU, for the same packet
//! (net/ipv4/udp.c, `__udp_queue_rcv_skb`), and says where and why it was freed.

use std::collections::{BTreeMap, BTreeSet};

use crate::layout::{EventForm, Field, PageForm};
use crate::page::records;

/// The trace points: group and name.
pub const DROP_POINTS: [(&str, &str); 2] = [("skb", "kfree_skb"), ("udp", "udp_fail_queue_rcv_skb")];
/// No function of the kernel is longer; an address further behind a symbol is in none that is listed.
const LONGEST_FUNCTION: u64 = 1 << 20;

/// One packet that was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DropEvent {
    /// When, ns on the trace's clock.
    pub at: u64,
    /// On which CPU.
    pub cpu: u32,
    /// Address of the code that dropped it.
    pub location: u64,
    /// The kernel's number of the reason; `None` before Linux 5.17.
    pub reason: Option<u64>,
    /// The local UDP port whose socket refused it.
    pub port: Option<u16>,
}

/// Reads records by the kernel's own forms.
#[derive(Debug, Clone, Default)]
pub struct DropDecoder {
    kind: Option<Field>,
    freed: Option<(u64, Field, Option<Field>)>,
    refused: Option<(u64, Field)>,
    reasons: BTreeMap<u64, String>,
}

impl DropDecoder {
    /// Takes the `format` file of one of [`DROP_POINTS`]; the error says what is wrong with it.
    pub fn learn(&mut self, name: &str, format: &str) -> Result<(), String> {
        let form = EventForm::parse(format)?;
        let kind = form.field("common_type").ok_or("it names no common_type")?;
        let id = u64::from(form.id);
        if name == "kfree_skb" {
            let location = form.field("location").ok_or("it names no location")?;
            self.freed = Some((id, location, form.field("reason")));
            self.reasons = reasons(format);
        } else {
            // `lport` up to Linux 6.8, the datagram's own ports since.
            let port = form.field("dport").or_else(|| form.field("lport")).ok_or("it names no port")?;
            self.refused = Some((id, port));
        }
        self.kind = Some(kind);
        Ok(())
    }

    /// The packets in the pages of one CPU. Gives how many events the pages say were lost, 1 where they do not say how many.
    pub fn take(&self, form: &PageForm, cpu: u32, pages: &[u8], out: &mut Vec<DropEvent>) -> u64 {
        let (mut lost, mut port) = (0, None);
        for page in pages.chunks(form.length().max(1)) {
            let end = records(form, page, &mut |at, payload| {
                let Some(id) = self.kind.and_then(|k| k.number(payload)) else { return };
                match (&self.freed, &self.refused) {
                    (Some((freed, location, reason)), _) if *freed == id => {
                        let Some(location) = location.number(payload) else { return };
                        let reason = reason.and_then(|r| r.number(payload));
                        out.push(DropEvent { at, cpu, location, reason, port: port.take() });
                    }
                    (_, Some((refused, field))) if *refused == id => {
                        port = field.number(payload).and_then(|p| u16::try_from(p).ok());
                    }
                    _ => {}
                }
            });
            lost += if end.lost { end.counted.unwrap_or(1) } else { 0 };
        }
        lost
    }

    /// The kernel's word for a reason; its number where it has none.
    pub fn reason(&self, of: Option<u64>) -> String {
        match of {
            None => "unknown".to_owned(),
            Some(n) => self.reasons.get(&n).cloned().unwrap_or_else(|| n.to_string()),
        }
    }
}

/// The reasons by number, as the `format` file prints them: `__print_symbolic(REC->reason, { 2, "NOT_SPECIFIED" }, …`.
fn reasons(format: &str) -> BTreeMap<u64, String> {
    let Some((_, list)) = format.split_once("__print_symbolic(REC->reason,") else { return BTreeMap::new() };
    let pair = |part: &str| {
        let (number, name) = part.split_once('}')?.0.split_once(',')?;
        Some((number.trim().parse().ok()?, name.trim().trim_matches('"').to_owned()))
    };
    list.split('{').skip(1).filter_map(pair).collect()
}

/// The functions that hold these addresses, by `/proc/kallsyms`: `__udp_queue_rcv_skb+0x6b`. Addresses of a kernel that
/// hides them are 0 (`kptr_restrict`), and give nothing.
pub fn functions(kallsyms: &str, addresses: &BTreeSet<u64>) -> BTreeMap<u64, String> {
    let mut best: BTreeMap<u64, (u64, &str)> = BTreeMap::new();
    for line in kallsyms.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(at) = words.next().and_then(|w| u64::from_str_radix(w, 16).ok()).filter(|at| *at > 0) else {
            continue;
        };
        let Some(name) = words.nth(1) else { continue };
        let within = at..=at.saturating_add(LONGEST_FUNCTION);
        for address in addresses.range(within) {
            let nearest = best.entry(*address).or_insert((at, name));
            if at > nearest.0 {
                *nearest = (at, name);
            }
        }
    }
    best.into_iter().map(|(address, (at, name))| (address, format!("{name}+{:#x}", address - at))).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    const FREED: &str = "name: kfree_skb
ID: 1508
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:void * skbaddr;\toffset:8;\tsize:8;\tsigned:0;
\tfield:void * location;\toffset:16;\tsize:8;\tsigned:0;
\tfield:unsigned short protocol;\toffset:24;\tsize:2;\tsigned:0;
\tfield:enum skb_drop_reason reason;\toffset:28;\tsize:4;\tsigned:0;

print fmt: \"skbaddr=%p protocol=%u location=%pS reason: %s\", REC->skbaddr, __print_symbolic(REC->reason, { 2, \"NOT_SPECIFIED\" }, { 6, \"SOCKET_RCVBUFF\" })
";
    const REFUSED: &str = "name: udp_fail_queue_rcv_skb
ID: 1600
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;

\tfield:int rc;\toffset:8;\tsize:4;\tsigned:1;
\tfield:__u16 lport;\toffset:12;\tsize:2;\tsigned:0;
";

    pub(crate) fn page_form() -> PageForm {
        let page = "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;
\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;
\tfield: char data;\toffset:16;\tsize:496;\tsigned:0;
";
        let event = "# compressed entry header
\ttype_len    :    5 bits
\ttime_delta  :   27 bits
\tarray       :   32 bits

\tpadding     : type == 29
\ttime_extend : type == 30
\ttime_stamp : type == 31
\tdata max type_len  == 28
";
        PageForm::parse(page, event).unwrap()
    }

    pub(crate) fn page(records: &[Vec<u8>]) -> Vec<u8> {
        let mut data = Vec::new();
        for r in records {
            let words = u32::try_from(r.len() / 4).unwrap();
            data.extend((words | 10 << 5).to_ne_bytes());
            data.extend(r);
        }
        let mut page = 1_000u64.to_ne_bytes().to_vec();
        page.extend((data.len() as u64).to_ne_bytes());
        page.extend(data);
        page.resize(512, 0);
        page
    }

    fn freed(location: u64, reason: u32) -> Vec<u8> {
        let mut r = vec![0; 32];
        r[..2].copy_from_slice(&1508u16.to_ne_bytes());
        r[16..24].copy_from_slice(&location.to_ne_bytes());
        r[28..32].copy_from_slice(&reason.to_ne_bytes());
        r
    }

    fn refused(port: u16) -> Vec<u8> {
        let mut r = vec![0; 16];
        r[..2].copy_from_slice(&1600u16.to_ne_bytes());
        r[12..14].copy_from_slice(&port.to_ne_bytes());
        r
    }

    fn decoder() -> DropDecoder {
        let mut d = DropDecoder::default();
        d.learn("kfree_skb", FREED).unwrap();
        d.learn("udp_fail_queue_rcv_skb", REFUSED).unwrap();
        d
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_refused_datagram_gives_its_port_to_the_packet_after_it_alone() {
        let mut out = Vec::new();
        let pages = page(&[freed(7, 2), refused(4_000), freed(9, 6), freed(9, 6)]);
        assert_eq!(decoder().take(&page_form(), 3, &pages, &mut out), 0);
        let seen: Vec<_> = out.iter().map(|d| (d.at, d.cpu, d.location, d.reason, d.port)).collect();
        let wanted = [(1_010, 3, 7, Some(2), None), (1_030, 3, 9, Some(6), Some(4_000)), (1_040, 3, 9, Some(6), None)];
        assert_eq!(seen, wanted);
        let word = |n| decoder().reason(n);
        assert_eq!([word(Some(6)), word(Some(77)), word(None)], ["SOCKET_RCVBUFF", "77", "unknown"]);
    }

    #[test]
    fn a_kernel_without_reasons_and_one_without_the_field_are_distinguished() {
        let old = FREED.lines().filter(|l| !l.contains("reason;")).collect::<Vec<_>>().join("\n");
        let mut d = DropDecoder::default();
        d.learn("kfree_skb", &old).unwrap();
        assert!(d.learn("kfree_skb", "ID: 3\n\tfield:int common_type;\toffset:0;\tsize:2;\tsigned:0;\n").is_err());
        assert!(d.freed.is_some_and(|(_, _, reason)| reason.is_none()));
    }

    #[test]
    fn an_address_is_named_by_the_function_before_it() {
        let text = "ffffffff81000000 T _stext\nffffffff81000100 t drop_it\t[mod]\nffffffff81000200 T next\n";
        let all = BTreeSet::from([0xffff_ffff_8100_0123, 0xffff_ffff_8100_0200, 0xffff_ffff_9000_0000]);
        let named: Vec<String> = functions(text, &all).into_values().collect();
        assert_eq!(named, ["drop_it+0x23", "next+0x0"]);
        assert!(functions("0000000000000000 T hidden\n", &all).is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..1_100), text in "\\PC{0,200}") {
            let mut out = Vec::new();
            decoder().take(&page_form(), 0, &bytes, &mut out);
            let _ = DropDecoder::default().learn("kfree_skb", &text);
            let _ = (reasons(&text), functions(&text, &BTreeSet::from([1, 2, u64::MAX])));
        }
    }
}
