//! The smoothed round trip of TCP connections, from the trace point `tcp:tcp_probe`, which happens for each packet that comes.

use crate::layout::{EventForm, Field, PageForm};
use crate::page::records;

/// The trace point: group and name.
pub const ACK_POINT: (&str, &str) = ("tcp", "tcp_probe");

/// What TCP knew of a connection when a packet came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckEvent {
    /// When, ns on the trace's clock.
    pub at: u64,
    /// Local port.
    pub port: u16,
    /// Remote port.
    pub remote_port: u16,
    /// The kernel's number of the socket; `None` where its trace point has none.
    pub cookie: Option<u64>,
    /// Smoothed round trip, µs.
    pub smoothed_us: u64,
}

/// Reads records by the kernel's own form.
#[derive(Debug, Clone, Copy)]
pub struct AckDecoder {
    kind: Field,
    id: u64,
    port: Field,
    remote: Field,
    cookie: Option<Field>,
    smoothed: Field,
}

impl AckDecoder {
    /// Takes the `format` file of [`ACK_POINT`]; the error says what is wrong with it.
    pub fn learn(format: &str) -> Result<Self, String> {
        let form = EventForm::parse(format)?;
        let field = |name: &str| form.field(name).ok_or_else(|| format!("it names no {name}"));
        Ok(Self {
            kind: field("common_type")?,
            id: u64::from(form.id),
            port: field("sport")?,
            remote: field("dport")?,
            cookie: form.field("sock_cookie"),
            smoothed: field("srtt")?,
        })
    }

    /// The events in the pages of one CPU.
    pub fn take(&self, form: &PageForm, pages: &[u8], each: &mut dyn FnMut(AckEvent)) {
        for page in pages.chunks(form.length().max(1)) {
            records(form, page, &mut |at, payload| each_of(*self, at, payload, each));
        }
    }
}

fn each_of(d: AckDecoder, at: u64, payload: &[u8], each: &mut dyn FnMut(AckEvent)) {
    let port = |field: Field| field.number(payload).and_then(|p| u16::try_from(p).ok());
    if d.kind.number(payload) != Some(d.id) {
        return;
    }
    if let (Some(port), Some(remote_port), Some(smoothed_us)) =
        (port(d.port), port(d.remote), d.smoothed.number(payload))
    {
        each(AckEvent { at, port, remote_port, cookie: d.cookie.and_then(|c| c.number(payload)), smoothed_us });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drops::tests::{page, page_form};

    const FORMAT: &str = "name: tcp_probe
ID: 1700
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;

\tfield:__u16 sport;\toffset:8;\tsize:2;\tsigned:0;
\tfield:__u16 dport;\toffset:10;\tsize:2;\tsigned:0;
\tfield:__u32 srtt;\toffset:12;\tsize:4;\tsigned:0;
\tfield:__u64 sock_cookie;\toffset:16;\tsize:8;\tsigned:0;
";

    fn record(id: u16, srtt: u32) -> Vec<u8> {
        let mut r = vec![0; 24];
        r[..2].copy_from_slice(&id.to_ne_bytes());
        r[8..10].copy_from_slice(&40_000u16.to_ne_bytes());
        r[10..12].copy_from_slice(&443u16.to_ne_bytes());
        r[12..16].copy_from_slice(&srtt.to_ne_bytes());
        r[16..24].copy_from_slice(&77u64.to_ne_bytes());
        r
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn packets_of_connections_are_read_and_others_left() {
        let mut all = Vec::new();
        let pages = page(&[record(1700, 250), record(9, 1), record(1700, 900)]);
        AckDecoder::learn(FORMAT).unwrap().take(&page_form(), &pages, &mut |ack| all.push(ack));
        let wanted = |at, smoothed_us| AckEvent { at, port: 40_000, remote_port: 443, cookie: Some(77), smoothed_us };
        assert_eq!(all, [wanted(1_010, 250), wanted(1_030, 900)]);
        let older = FORMAT.lines().filter(|l| !l.contains("cookie")).collect::<Vec<_>>().join("\n");
        let mut all = Vec::new();
        AckDecoder::learn(&older).unwrap().take(&page_form(), &pages, &mut |ack| all.push(ack.cookie));
        assert_eq!(all, [None, None]);
        assert!(AckDecoder::learn("ID: 3\n\tfield:int common_type;\toffset:0;\tsize:2;\tsigned:0;\n").is_err());
    }
}
