//! The cpio "newc" archive that the kernel unpacks as its first root.
//!
//! Format: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel; an uncompressed archive is
//! accepted.

/// An archive under construction. Directories must be added before what they hold.
#[derive(Debug, Default)]
pub(crate) struct Cpio {
    out: Vec<u8>,
    inode: u32,
}

impl Cpio {
    pub(crate) fn dir(&mut self, name: &str) {
        self.entry(name, 0o040_755, (0, 0), &[]);
    }

    pub(crate) fn file(&mut self, name: &str, mode: u32, data: &[u8]) {
        self.entry(name, 0o100_000 | mode, (0, 0), data);
    }

    pub(crate) fn symlink(&mut self, name: &str, target: &str) {
        self.entry(name, 0o120_777, (0, 0), target.as_bytes());
    }

    pub(crate) fn char_device(&mut self, name: &str, major: u32, minor: u32) {
        self.entry(name, 0o020_600, (major, minor), &[]);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.out
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), data: &[u8]) {
        self.inode += 1;
        // newc holds sizes in 32 bits; the members here are scripts, modules and busybox, far below that.
        let bits32 = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (size, name_size) = (bits32(data.len()), bits32(name.len() + 1));
        let fields = [self.inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.out.extend_from_slice(b"070701");
        for field in fields {
            self.out.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(0);
        self.pad();
        self.out.extend_from_slice(data);
        self.pad();
    }

    fn pad(&mut self) {
        while !self.out.len().is_multiple_of(4) {
            self.out.push(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_header_name_and_padded_data() {
        let mut cpio = Cpio::default();
        cpio.file("a", 0o755, b"hello");
        let out = cpio.finish();
        assert_eq!(&out[..6], b"070701");
        assert_eq!(&out[14..22], b"000081ed", "mode");
        assert_eq!(&out[54..62], b"00000005", "size");
        assert_eq!(&out[94..102], b"00000002", "name length with its NUL");
        assert_eq!(&out[110..112], b"a\0");
        assert_eq!(&out[112..120], b"hello\0\0\0");
        assert_eq!(&out[120..126], b"070701");
        assert_eq!(out.len() % 4, 0);
        assert!(out.windows(11).any(|w| w == b"TRAILER!!!\0"));
    }
}
