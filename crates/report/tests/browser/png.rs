//! A picture as its pixels: PNG of eight bits a channel, without interlacing (ISO/IEC 15948).

use std::collections::BTreeMap;
use std::io::Read as _;

/// Pixels, three channels each.
#[derive(Debug)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// Decodes a file.
    pub fn decode(file: &[u8]) -> Self {
        assert_eq!(&file[..8], b"\x89PNG\r\n\x1a\n", "no PNG");
        let four = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        let (mut at, mut packed, mut head) = (8, Vec::new(), (0, 0, 0));
        while at < file.len() {
            let body = &file[at + 8..at + 8 + four(at)];
            match &file[at + 4..at + 8] {
                b"IHDR" => {
                    assert_eq!((body[8], body[12]), (8, 0), "eight bits, not interlaced");
                    let channels = match body[9] {
                        2 => 3,
                        6 => 4,
                        other => panic!("colour type {other}"),
                    };
                    head = (four(at + 8), four(at + 12), channels);
                }
                b"IDAT" => packed.extend(body),
                _ => {}
            }
            at += 12 + four(at);
        }
        let (width, height, channels) = head;
        let mut raw = Vec::new();
        flate2::read::ZlibDecoder::new(&packed[..]).read_to_end(&mut raw).unwrap();
        let pixels = unfiltered(&raw, width * channels, channels);
        let pixels: Vec<[u8; 3]> = pixels.chunks_exact(channels).map(|p| [p[0], p[1], p[2]]).collect();
        assert_eq!(pixels.len(), width * height);
        Self { width, height, pixels }
    }

    /// How often each colour occurs.
    pub fn colours(&self) -> BTreeMap<[u8; 3], usize> {
        let mut all = BTreeMap::new();
        for pixel in &self.pixels {
            *all.entry(*pixel).or_default() += 1;
        }
        all
    }

    /// Mean of all channels, 0 to 255.
    pub fn brightness(&self) -> f64 {
        let sum: u64 = self.pixels.iter().flatten().map(|c| u64::from(*c)).sum();
        sum as f64 / (3 * self.pixels.len()) as f64
    }
}

/// The lines without their filters (§9).
fn unfiltered(raw: &[u8], line: usize, channels: usize) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(raw.len());
    for (n, filtered) in raw.chunks_exact(line + 1).enumerate() {
        let begin = n * line;
        for (i, byte) in filtered[1..].iter().enumerate() {
            let left = if i < channels { 0 } else { out[begin + i - channels] };
            let above = if n == 0 { 0 } else { out[begin + i - line] };
            let corner = if n == 0 || i < channels { 0 } else { out[begin + i - line - channels] };
            let by = match filtered[0] {
                0 => 0,
                1 => left,
                2 => above,
                3 => u8::midpoint(left, above),
                4 => paeth(left, above, corner),
                other => panic!("filter {other}"),
            };
            out.push(byte.wrapping_add(by));
        }
    }
    out
}

fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let guess = i32::from(left) + i32::from(above) - i32::from(corner);
    let far = |c: u8| (guess - i32::from(c)).abs();
    if far(left) <= far(above) && far(left) <= far(corner) {
        left
    } else if far(above) <= far(corner) {
        above
    } else {
        corner
    }
}
