//! Bytes of a stream put together to messages.

/// What has come and was not yet taken.
#[derive(Debug)]
pub(crate) struct Stream {
    room: Vec<u8>,
    start: usize,
    end: usize,
    /// Reports a message's length from its front.
    pub(crate) framing: fn(&[u8]) -> Option<usize>,
}

impl Stream {
    /// With room for `bytes` that were not yet taken.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { room: vec![0; bytes], start: 0, end: 0, framing: |_| None }
    }

    /// Adds bytes that came; false when there is no room, which is a far end that sends no messages.
    #[must_use]
    pub(crate) fn add(&mut self, bytes: &[u8]) -> bool {
        if self.end + bytes.len() > self.room.len() {
            self.room.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let Some(to) = self.room.get_mut(self.end..self.end + bytes.len()) else { return false };
        to.copy_from_slice(bytes);
        self.end += bytes.len();
        true
    }

    /// The first whole message, if there is one; it is taken.
    pub(crate) fn take(&mut self) -> Option<&[u8]> {
        let waiting = &self.room[self.start..self.end];
        // A length of 0 would never end; it is framing's way of a message it cannot read.
        let len = (self.framing)(waiting).filter(|len| *len > 0 && *len <= waiting.len())?;
        let at = self.start;
        self.start += len;
        Some(&self.room[at..at + len])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_byte(bytes: &[u8]) -> Option<usize> {
        bytes.first().map(|b| usize::from(*b))
    }

    #[test]
    fn messages_come_whole_however_the_bytes_fall() {
        for cut in 1..=6 {
            let mut stream = Stream::new(8);
            stream.framing = first_byte;
            let mut got = Vec::new();
            for part in [3, 10, 11, 2, 12, 1].repeat(20).chunks(cut) {
                assert!(stream.add(part));
                while let Some(message) = stream.take() {
                    got.push(message.to_vec());
                }
            }
            assert_eq!(got.len(), 60, "cut {cut}");
            assert!(got.chunks(3).all(|m| m == [vec![3, 10, 11], vec![2, 12], vec![1]]), "cut {cut}");
        }
    }

    #[test]
    fn a_stream_without_messages_ends_in_no_room_not_in_growth() {
        let mut stream = Stream::new(8);
        assert!(stream.add(&[1; 8]) && !stream.add(&[1]));
        stream.framing = |_| Some(0);
        assert!(stream.take().is_none());
    }
}
