//! IRTT's handshake and answers: what a server says, as it stands or sealed with the shared key.

use std::sync::atomic::AtomicBool;

use lowlat_peers::{Decoded, Key, PeerOptions, find};
use lowlat_transport::{Caps, Engine, EngineError, Got, Ns, clock};

use crate::byte;

/// Answers whatever is sent with the bytes of the input, cut at each message's length byte.
struct Server<'a> {
    caps: Caps,
    rest: &'a [u8],
}

impl Engine for Server<'_> {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn send(&mut self, _: &[u8]) -> Result<Ns, EngineError> {
        Ok(clock::now())
    }

    fn recv(&mut self, buf: &mut [u8], until: Ns) -> Result<Option<Got>, EngineError> {
        if self.rest.is_empty() {
            while clock::now() < until {
                std::hint::spin_loop();
            }
            return Ok(None);
        }
        let len = usize::from(byte(&mut self.rest)).min(self.rest.len()).min(buf.len());
        buf[..len].copy_from_slice(&self.rest[..len]);
        self.rest = &self.rest[len..];
        Ok(Some(Got { len, at: clock::now(), kernel_rx: None, hardware_rx: None }))
    }
}

/// `key u8 | (length u8, message)…`: a handshake from these, then each as an answer.
pub fn run(mut data: &[u8]) {
    let keyed = byte(&mut data) & 1 == 1;
    let key = if keyed { Key::new(b"a key of the fuzz targets") } else { None };
    let Some(entry) = find("irtt") else { return };
    let options =
        PeerOptions { key, message_len: 64, duration_ns: 1_000_000_000, interval_ns: 1000, ..PeerOptions::default() };
    let mut peer = (entry.make)(&options);
    let caps = Caps { max_message: 1400, spins: true, words: String::new(), costs: String::new() };
    let mut server = Server { caps, rest: data };
    // 20 µs: as long as the answers last, and one more look.
    let opened = peer.open(&mut server, clock::now() + 20_000, &AtomicBool::new(false));
    if let Err(e) = &opened {
        let line = e.to_string();
        assert!(!line.contains('\n') && line.len() < 1000, "{line}");
    }
    let mut message = [0; 96];
    peer.encode(3, 0, &mut message);
    let probe = peer.decode(&message);
    assert!(matches!(probe, Decoded::Foreign(_)), "a probe is not an answer");
    let answer = peer.decode(data);
    assert!(!keyed || matches!(answer, Decoded::Foreign(_)), "an answer passed a key that nobody here has used");
    for (to, by) in message.iter_mut().zip(data) {
        *to ^= by;
    }
    let _ = (peer.decode(&message), peer.framing()(data));
    peer.close(&mut server);
}
