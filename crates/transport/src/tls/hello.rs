//! The bytes of a TLS handshake that a probe needs: a ClientHello out, and of the answer its first record's kind.
//!
//! Sources: RFC 8446 §4.1.2 (ClientHello), §4.1.3 (ServerHello), §4.2 (extensions), §5.1 (records), §6 (alerts); RFC 5246; RFC 6066
//! §3 (server name); RFC 7748 §5 (any 32 bytes are a public key of X25519).

/// Bytes of an answer that tell what it is: a record's head, and the first two of what it holds.
pub(super) const TELLING: usize = 7;

const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
const SERVER_HELLO: u8 = 2;

/// What a server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// A ServerHello, which a HelloRetryRequest is too.
    ServerHello,
    /// An alert, by its number.
    Alert(u8),
    /// A record of another kind, or no TLS.
    Other,
    /// Too few bytes to tell.
    Part,
}

/// What the first bytes of an answer are.
pub(super) fn answer(bytes: &[u8]) -> Answer {
    match bytes {
        // Record versions of TLS 1.0 to 1.2; 1.3 writes 1.2 (§5.1).
        [HANDSHAKE | ALERT, 3, 0..=4, ..] | [HANDSHAKE | ALERT, 3] | [HANDSHAKE | ALERT] | [] => match bytes {
            [HANDSHAKE, _, _, _, _, SERVER_HELLO, ..] => Answer::ServerHello,
            [ALERT, _, _, 0, 2, _level, what, ..] => Answer::Alert(*what),
            [HANDSHAKE, _, _, _, _, _, ..] | [ALERT, _, _, _, _, _, _, ..] => Answer::Other,
            _ => Answer::Part,
        },
        _ => Answer::Other,
    }
}

/// Names of the alerts with which a server refuses a ClientHello (§6).
pub(super) fn alert_name(what: u8) -> &'static str {
    match what {
        10 => "unexpected_message",
        20 => "bad_record_mac",
        40 => "handshake_failure",
        47 => "illegal_parameter",
        49 => "access_denied",
        50 => "decode_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        109 => "missing_extension",
        112 => "unrecognized_name",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => "of another kind",
    }
}

/// Puts a block with a length of `N` bytes before it.
fn block<const N: usize>(out: &mut Vec<u8>, inner: &[u8]) {
    let length = inner.len().to_be_bytes();
    out.extend_from_slice(&length[length.len() - N..]);
    out.extend_from_slice(inner);
}

fn extension(out: &mut Vec<u8>, kind: u16, inner: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    block::<2>(out, inner);
}

/// A list of 16 bit numbers with its length.
fn list(numbers: &[u16]) -> Vec<u8> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
    let mut out = Vec::new();
    block::<2>(&mut out, &bytes);
    out
}

/// One record with a ClientHello. `random`: of the hello, of its session and its key share, 96 bytes that nobody has seen
/// before. `server`: its name, where it has one (an address is none, RFC 6066 §3).
pub(super) fn client_hello(random: &[u8; 96], server: Option<&str>) -> Vec<u8> {
    // What every server of the last ten years takes: the three suites of TLS 1.3, and ECDHE with AES-GCM or ChaCha20 of 1.2.
    const SUITES: [u16; 9] = [0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8];
    // ECDSA, RSA-PSS, RSA PKCS #1, each with SHA-256 to SHA-512, and Ed25519.
    const SIGNATURES: [u16; 10] = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0603, 0x0806, 0x0601, 0x0807];
    const X25519: u16 = 0x001d;
    const SECP256R1: u16 = 0x0017;
    let (hello, rest) = random.split_at(32);
    let (session, key) = rest.split_at(32);
    let mut extensions = Vec::new();
    if let Some(server) = server {
        let mut name = vec![0];
        block::<2>(&mut name, server.as_bytes());
        let mut names = Vec::new();
        block::<2>(&mut names, &name);
        extension(&mut extensions, 0, &names);
    }
    extension(&mut extensions, 10, &list(&[X25519, SECP256R1]));
    // Uncompressed points (RFC 8422 §5.1.2), which servers of 1.2 ask for.
    extension(&mut extensions, 11, &[1, 0]);
    extension(&mut extensions, 13, &list(&SIGNATURES));
    // No renegotiation, said by an empty extension (RFC 5746 §3.4), and the extended master secret (RFC 7627).
    extension(&mut extensions, 0xff01, &[0]);
    extension(&mut extensions, 23, &[]);
    // TLS 1.3 and 1.2.
    extension(&mut extensions, 43, &[4, 3, 4, 3, 3]);
    let mut share = X25519.to_be_bytes().to_vec();
    block::<2>(&mut share, key);
    let mut shares = Vec::new();
    block::<2>(&mut shares, &share);
    extension(&mut extensions, 51, &shares);

    // The version of 1.2, which servers of 1.3 want here (§4.1.2).
    let mut body = vec![3, 3];
    body.extend_from_slice(hello);
    block::<1>(&mut body, session);
    body.extend_from_slice(&list(&SUITES));
    block::<1>(&mut body, &[0]);
    block::<2>(&mut body, &extensions);
    let mut message = vec![1];
    block::<3>(&mut message, &body);
    let mut record = vec![HANDSHAKE, 3, 1];
    block::<2>(&mut record, &message);
    record
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_is_known_by_its_first_bytes() {
        for (bytes, what) in [
            (&[22, 3, 3, 0, 122, 2, 0][..], Answer::ServerHello),
            (&[22, 3, 3, 0, 122, 2], Answer::ServerHello),
            (&[21, 3, 3, 0, 2, 2, 40], Answer::Alert(40)),
            (&[21, 3, 3, 0, 2, 2], Answer::Part),
            (&[22, 3, 3, 0, 122], Answer::Part),
            (&[22], Answer::Part),
            (&[], Answer::Part),
            (&[22, 3, 3, 0, 122, 1, 0], Answer::Other),
            (&[23, 3, 3, 0, 9, 1, 1], Answer::Other),
            (b"HTTP/1.1 400", Answer::Other),
            (b"SSH", Answer::Other),
            (&[22, 9], Answer::Other),
        ] {
            assert_eq!(answer(bytes), what, "{bytes:?}");
        }
    }

    /// Takes a block with a length of `N` bytes off the front.
    fn taken<'a, const N: usize>(bytes: &mut &'a [u8]) -> &'a [u8] {
        let length = bytes[..N].iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
        let (inner, rest) = bytes[N..].split_at(length);
        *bytes = rest;
        inner
    }

    #[test]
    fn a_hello_is_one_record_whose_lengths_fit() {
        for server in [None, Some("far.example")] {
            let bytes = client_hello(&std::array::from_fn(|n| u8::try_from(n).unwrap()), server);
            assert_eq!(bytes[..3], [22, 3, 1]);
            let mut record = &bytes[3..];
            let mut message = taken::<2>(&mut record);
            assert!(record.is_empty() && message[0] == 1);
            message = &message[1..];
            let mut body = taken::<3>(&mut message);
            assert!(message.is_empty() && body[..2] == [3, 3] && body[2..34] == bytes[11..43]);
            body = &body[34..];
            assert_eq!(taken::<1>(&mut body).len(), 32);
            assert_eq!(taken::<2>(&mut body).len(), 18);
            assert_eq!(taken::<1>(&mut body), [0]);
            let mut extensions = taken::<2>(&mut body);
            assert!(body.is_empty());
            let mut kinds = Vec::new();
            while !extensions.is_empty() {
                kinds.push(u16::from_be_bytes([extensions[0], extensions[1]]));
                extensions = &extensions[2..];
                let inner = taken::<2>(&mut extensions);
                if kinds.last() == Some(&0) {
                    assert_eq!(inner[5..], *b"far.example");
                }
            }
            let all = [10, 11, 13, 0xff01, 23, 43, 51];
            assert_eq!(kinds, server.map_or(all.to_vec(), |_| [&[0], &all[..]].concat()));
            assert!(bytes.len() < 500, "one segment: {}", bytes.len());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..16)) {
            if bytes.len() >= TELLING {
                prop_assert_ne!(answer(&bytes), Answer::Part);
            }
        }
    }
}
