//! The kernel's image without its compression.
//!
//! A bzImage unpacks itself on the guest's processor, which without KVM takes 8 s where it is xz (Debian's 5.10 and
//! 6.1) and 2 s where it is zstd. QEMU starts the same kernel from its ELF file as well, by the PVH entry that Debian's
//! kernels have (`CONFIG_PVH`; arch/x86/platform/pvh, QEMU's hw/i386/x86-common.c `load_elfboot`).

use std::fs;
use std::path::Path;

use super::apt;
use super::error::VmError;
use super::tools::Tools;

/// How the payload of a bzImage is compressed, by its first bytes, and the program that unpacks it.
const COMPRESSIONS: [(&[u8], &str); 2] = [(b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd")];

/// The ELF image in a bzImage. `None` if it is of another kind than those known here: it boots as it is, only later.
/// `scratch` is a folder for what passes between programs.
pub(crate) fn elf(tools: &Tools, image: &Path, scratch: &Path) -> Result<Option<Vec<u8>>, VmError> {
    let whole = fs::read(image).map_err(VmError::io("read", image))?;
    let Some(payload) = payload(&whole) else { return Ok(None) };
    let Some((_, program)) = COMPRESSIONS.iter().find(|(magic, _)| payload.starts_with(magic)) else {
        return Ok(None);
    };
    let packed = scratch.join("image.packed");
    fs::write(&packed, payload).map_err(VmError::io("write", &packed))?;
    let mut command = tools.command(&format!("usr/bin/{program}"), program);
    let elf = apt::run(command.arg("-dcq").arg(&packed), "decompress the image", image)?.stdout;
    Ok((elf.starts_with(b"\x7fELF") && has_entry(&elf)).then_some(elf))
}

/// Whether QEMU will start it: by the ELF note of the PVH entry (xen/interface/elfnote.h, `XEN_ELFNOTE_PHYS32_ENTRY`,
/// 18), without which it ends at once.
fn has_entry(elf: &[u8]) -> bool {
    // elf.h, `Elf64_Nhdr`: length of the name, length of what follows it (a 32- or 64-bit address), kind; then the
    // name. All in whole words, and so is its place.
    let notes = [4, 8].map(|length| [[4, 0, 0, 0], [length, 0, 0, 0], [18, 0, 0, 0], *b"Xen\0"].concat());
    (0..elf.len()).step_by(4).any(|at| notes.iter().any(|note| elf[at..].starts_with(note)))
}

/// The compressed kernel in a bzImage, without the length that follows it (Documentation/arch/x86/boot.rst:
/// `setup_sects`, `header`, `version`, `payload_offset` and `payload_length`; arch/x86/boot/compressed/Makefile,
/// `size_append`).
fn payload(image: &[u8]) -> Option<&[u8]> {
    const LENGTH: usize = 4;
    let word = |at: usize| {
        let bytes = image.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let version = image.get(0x206..0x208)?;
    if image.get(0x202..0x206)? != b"HdrS" || u16::from_le_bytes(version.try_into().ok()?) < 0x208 {
        return None;
    }
    // 0 stands for 4, as it did before the field was there.
    let sectors = match *image.get(0x1f1)? {
        0 => 4,
        n => usize::from(n),
    };
    let start = ((sectors + 1) * 512).checked_add(word(0x248)?)?;
    let end = start.checked_add(word(0x24c)?)?.checked_sub(LENGTH)?;
    image.get(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(sectors: u8, offset: u32, payload: &[u8]) -> Vec<u8> {
        let start = (usize::from(sectors) + 1) * 512 + offset as usize;
        let mut image = vec![0; start];
        image[0x1f1] = sectors;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
        image[0x248..0x24c].copy_from_slice(&offset.to_le_bytes());
        let length = u32::try_from(payload.len() + 4).unwrap();
        image[0x24c..0x250].copy_from_slice(&length.to_le_bytes());
        image.extend_from_slice(payload);
        image.extend_from_slice(b"size");
        image
    }

    #[test]
    fn the_payload_is_found_and_its_length_left_out() {
        assert_eq!(payload(&image(27, 724, b"packed kernel")), Some(b"packed kernel".as_slice()));
        // Older headers have no payload, and what is cut off has none either.
        let mut old = image(4, 0, b"x");
        old[0x206..0x208].copy_from_slice(&0x207_u16.to_le_bytes());
        assert_eq!(payload(&old), None);
        let cut = image(4, 100, b"packed kernel");
        assert_eq!(payload(&cut[..cut.len() - 5]), None);
        assert_eq!(payload(&[0; 16]), None);
        let mut wild = image(4, 0, b"x");
        wild[0x24c..0x250].copy_from_slice(&[0; 4]);
        assert_eq!(payload(&wild), None, "shorter than the length behind it");
    }
    #[test]
    fn an_image_without_the_entry_is_left_as_it_is() {
        let note = |kind: u8| [b"word\x04\0\0\0\x08\0\0\0".as_slice(), &[kind, 0, 0, 0], b"Xen\0 address"].concat();
        assert!(has_entry(&note(18)));
        assert!(!has_entry(&note(17)));
    }
}
