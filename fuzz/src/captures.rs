//! Captures of packets: whatever a file is, its flow is a shape that can be sent, or there is a reason; and pieces are as good
//! as the whole.

use lowlat_model::FlowShape;
use lowlat_shape::capture::CaptureReader;
use lowlat_shape::{FlowKey, Flows, shaped};

/// The first byte says where the file is cut in two, the second the gap that begins a burst.
pub fn run(data: &[u8]) {
    let mut data = data;
    let (cut, gap) = (usize::from(crate::byte(&mut data)), crate::byte(&mut data));
    let cut = cut.min(data.len());
    let whole = read(&[data]);
    assert!(whole == read(&[&data[..cut], &data[cut..]]), "a file that comes in pieces is another");
    let Some((_, packets)) = whole else { return };
    let burst_gap_ns = 1 + (u64::from(gap) << 8);
    let Ok(made) = shaped(packets, burst_gap_ns) else { return };
    let shape = FlowShape { burst_gap_ns, packets: made.packets, ..FlowShape::default() };
    shape.check().expect("what was recorded can be sent");
    assert_eq!(shape.places().len(), shape.packets.len());
}

/// The largest flow.
fn read(pieces: &[&[u8]]) -> Option<(FlowKey, Vec<(u64, u32)>)> {
    let (mut reader, mut flows) = (CaptureReader::default(), Flows::default());
    for piece in pieces {
        if reader.push(piece, &mut |packet| _ = flows.take_captured(packet, None)).is_err() {
            break;
        }
    }
    flows.largest().map(|(key, packets, _)| (key, packets))
}
