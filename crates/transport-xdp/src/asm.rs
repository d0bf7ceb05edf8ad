//! A small typed assembler for eBPF: enough for straight-line packet filters, and nothing that hides an instruction.
//!
//! One method is one instruction (two slots for [`Asm::map_fd`]); forward jumps name a [`Label`], which is placed
//! later. Encoding: Documentation/bpf/standardization/instruction-set.rst (RFC 9669), sections 3–5.

/// A register, `r0`–`r10`. `r0` holds return values, `r1`–`r5` arguments (lost by a call), `r6`–`r9` survive calls,
/// `r10` is the frame pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reg(u8);

/// Return value.
pub(crate) const R0: Reg = Reg(0);
/// First argument; the context when a program starts.
pub(crate) const R1: Reg = Reg(1);
/// Second argument.
pub(crate) const R2: Reg = Reg(2);
/// Third argument.
pub(crate) const R3: Reg = Reg(3);
/// Scratch.
pub(crate) const R4: Reg = Reg(4);
/// Scratch.
pub(crate) const R5: Reg = Reg(5);
/// Survives calls.
pub(crate) const R6: Reg = Reg(6);
/// Survives calls.
pub(crate) const R7: Reg = Reg(7);
/// Survives calls.
pub(crate) const R8: Reg = Reg(8);
/// Survives calls.
pub(crate) const R9: Reg = Reg(9);

/// Width of a memory access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Width {
    /// 4 bytes.
    Word = 0x00,
    /// 2 bytes.
    Half = 0x08,
    /// 1 byte.
    Byte = 0x10,
}

/// Helper `bpf_redirect_map` (include/uapi/linux/bpf.h, number 51).
pub(crate) const HELPER_REDIRECT_MAP: i32 = 51;
/// Helper `bpf_ktime_get_ns` (include/uapi/linux/bpf.h, number 5): `CLOCK_MONOTONIC`.
pub(crate) const HELPER_KTIME_GET_NS: i32 = 5;

/// Class `LDX`, mode `MEM`.
const LDX_MEM: u8 = 0x61;
/// Class `STX`, mode `MEM`.
const STX_MEM: u8 = 0x63;
/// `MOV` of a register, 64 bits.
const MOV64_REG: u8 = 0xbf;
/// `MOV` of an immediate, 64 bits.
const MOV64_IMM: u8 = 0xb7;
/// `ADD` of an immediate, 64 bits.
const ADD64_IMM: u8 = 0x07;
/// `ADD` of a register, 64 bits.
const ADD64_REG: u8 = 0x0f;
/// `SUB` of a register, 64 bits.
const SUB64_REG: u8 = 0x1f;
/// `RSH` by an immediate, 64 bits.
const RSH64_IMM: u8 = 0x77;
/// `MOV` of a register, 32 bits: the upper half becomes 0.
const MOV32_REG: u8 = 0xbc;
/// `XOR` with an immediate, 32 bits: the upper half becomes 0.
const XOR32_IMM: u8 = 0xa4;
/// `END` to big-endian.
const TO_BE: u8 = 0xdc;
/// `AND` of an immediate, 32 bits: the upper half becomes 0.
const AND32_IMM: u8 = 0x54;
/// `JGT` on registers, 64 bits, unsigned.
const JGT64_REG: u8 = 0x2d;
/// `JNE` with an immediate on the lower 32 bits (class `JMP32`, Linux 5.1).
const JNE32_IMM: u8 = 0x56;
/// `JEQ` with an immediate on the lower 32 bits.
const JEQ32_IMM: u8 = 0x16;
/// `JGE` with an immediate on the lower 32 bits, unsigned.
const JGE32_IMM: u8 = 0x36;
/// `JSET` with an immediate on the lower 32 bits: any of its bits.
const JSET32_IMM: u8 = 0x46;
/// `JNE` on registers, 64 bits.
const JNE64_REG: u8 = 0x5d;
/// `JA`.
const JA: u8 = 0x05;
/// Class `STX`, mode `ATOMIC`, 64 bits; immediate 0 is `ADD`.
const ATOMIC_DW: u8 = 0xdb;
/// `src_reg` of an `LD_IMM64` that carries a map's file descriptor and an offset into its first value (Linux 5.2).
const PSEUDO_MAP_VALUE: u8 = 2;
/// `LD_IMM64`.
const LD_IMM64: u8 = 0x18;
/// `src_reg` of an `LD_IMM64` that carries a map's file descriptor.
const PSEUDO_MAP_FD: u8 = 1;
/// `CALL` of a helper by number.
const CALL: u8 = 0x85;
/// `EXIT`.
const EXIT: u8 = 0x95;

/// One 8-byte slot of a program, as bpf(2) takes it (`struct bpf_insn`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Slot {
    op: u8,
    regs: u8,
    off: i16,
    imm: i32,
}

/// A place to jump to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label(usize);

/// Why a program does not assemble: a fault of the program's writer, found by its tests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AsmError {
    /// A jump names a label that was never placed.
    #[error("a jump at slot {0} names a label that is not placed")]
    Unplaced(usize),
    /// The distance does not fit 16 bits, or goes back.
    #[error("the jump at slot {0} goes back or too far")]
    TooFar(usize),
}

/// A program being written.
#[derive(Debug, Default)]
pub(crate) struct Asm {
    slots: Vec<Slot>,
    /// (slot of the jump, label).
    jumps: Vec<(usize, Label)>,
    /// Slot of each label.
    placed: Vec<Option<usize>>,
}

impl Asm {
    /// An empty program.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn push(&mut self, op: u8, dst: Reg, src: u8, off: i16, imm: i32) -> &mut Self {
        // dst is the lower nibble in memory on little-endian hosts and the upper one on big-endian ones: the kernel
        // declares two 4-bit fields.
        let regs = if cfg!(target_endian = "little") { src << 4 | dst.0 } else { dst.0 << 4 | src };
        self.slots.push(Slot { op, regs, off, imm });
        self
    }

    /// A label to be placed later.
    pub(crate) fn label(&mut self) -> Label {
        self.placed.push(None);
        Label(self.placed.len() - 1)
    }

    /// Places `label` at the next instruction.
    pub(crate) fn place(&mut self, label: Label) -> &mut Self {
        self.placed[label.0] = Some(self.slots.len());
        self
    }

    /// `dst = src`
    pub(crate) fn mov(&mut self, dst: Reg, src: Reg) -> &mut Self {
        self.push(MOV64_REG, dst, src.0, 0, 0)
    }

    /// `dst = imm`
    pub(crate) fn mov_imm(&mut self, dst: Reg, imm: i32) -> &mut Self {
        self.push(MOV64_IMM, dst, 0, 0, imm)
    }

    /// `dst += imm`
    pub(crate) fn add_imm(&mut self, dst: Reg, imm: i32) -> &mut Self {
        self.push(ADD64_IMM, dst, 0, 0, imm)
    }

    /// `dst += src`
    pub(crate) fn add(&mut self, dst: Reg, src: Reg) -> &mut Self {
        self.push(ADD64_REG, dst, src.0, 0, 0)
    }

    /// `dst -= src`
    pub(crate) fn sub(&mut self, dst: Reg, src: Reg) -> &mut Self {
        self.push(SUB64_REG, dst, src.0, 0, 0)
    }

    /// `dst >>= by`
    pub(crate) fn shift_right(&mut self, dst: Reg, by: i32) -> &mut Self {
        self.push(RSH64_IMM, dst, 0, 0, by)
    }

    /// `dst = (u32)src`
    pub(crate) fn mov32(&mut self, dst: Reg, src: Reg) -> &mut Self {
        self.push(MOV32_REG, dst, src.0, 0, 0)
    }

    /// `dst = (u32)dst ^ imm`
    pub(crate) fn xor32_imm(&mut self, dst: Reg, imm: u32) -> &mut Self {
        self.push(XOR32_IMM, dst, 0, 0, imm.cast_signed())
    }

    /// `dst =` its lower 16 bits between network and host order.
    pub(crate) fn be16(&mut self, dst: Reg) -> &mut Self {
        self.push(TO_BE, dst, 0, 0, 16)
    }

    /// `dst = dst & imm`, 32 bits.
    pub(crate) fn and32_imm(&mut self, dst: Reg, imm: u32) -> &mut Self {
        self.push(AND32_IMM, dst, 0, 0, imm.cast_signed())
    }

    /// `dst = *(width *)(base + off)`, zero-extended.
    pub(crate) fn load(&mut self, width: Width, dst: Reg, base: Reg, off: i16) -> &mut Self {
        self.push(LDX_MEM | width as u8, dst, base.0, off, 0)
    }

    /// `*(width *)(base + off) = src`
    pub(crate) fn store(&mut self, width: Width, base: Reg, off: i16, src: Reg) -> &mut Self {
        self.push(STX_MEM | width as u8, base, src.0, off, 0)
    }

    /// `dst = the map behind file descriptor fd` (two slots).
    pub(crate) fn map_fd(&mut self, dst: Reg, fd: i32) -> &mut Self {
        self.push(LD_IMM64, dst, PSEUDO_MAP_FD, 0, fd).push(0, Reg(0), 0, 0, 0)
    }

    /// `dst = the address of the first value of the map behind fd` (two slots).
    pub(crate) fn map_value(&mut self, dst: Reg, fd: i32) -> &mut Self {
        self.push(LD_IMM64, dst, PSEUDO_MAP_VALUE, 0, fd).push(0, Reg(0), 0, 0, 0)
    }

    /// `lock *(u64 *)(base + off) += src`
    pub(crate) fn atomic_add(&mut self, base: Reg, off: i16, src: Reg) -> &mut Self {
        self.push(ATOMIC_DW, base, src.0, off, 0)
    }

    /// `goto label`
    pub(crate) fn jump(&mut self, label: Label) -> &mut Self {
        self.jumps.push((self.slots.len(), label));
        self.push(JA, Reg(0), 0, 0, 0)
    }

    /// `if a != b goto label`
    pub(crate) fn jump_if_not_equal(&mut self, a: Reg, b: Reg, label: Label) -> &mut Self {
        self.jumps.push((self.slots.len(), label));
        self.push(JNE64_REG, a, b.0, 0, 0)
    }

    /// `if (u32)a == imm goto label`
    pub(crate) fn jump_if(&mut self, a: Reg, imm: u32, label: Label) -> &mut Self {
        self.jumps.push((self.slots.len(), label));
        self.push(JEQ32_IMM, a, 0, 0, imm.cast_signed())
    }

    /// `if (u32)a >= imm goto label`, unsigned.
    pub(crate) fn jump_if_at_least(&mut self, a: Reg, imm: u32, label: Label) -> &mut Self {
        self.jumps.push((self.slots.len(), label));
        self.push(JGE32_IMM, a, 0, 0, imm.cast_signed())
    }

    /// `if (u32)a & imm goto label`
    pub(crate) fn jump_if_any(&mut self, a: Reg, imm: u32, label: Label) -> &mut Self {
        self.jumps.push((self.slots.len(), label));
        self.push(JSET32_IMM, a, 0, 0, imm.cast_signed())
    }

    /// `if a > b goto label`, unsigned.
    pub(crate) fn jump_if_greater(&mut self, a: Reg, b: Reg, label: Label) -> &mut Self {
        self.jumps.push((self.slots.len(), label));
        self.push(JGT64_REG, a, b.0, 0, 0)
    }

    /// `if (u32)a != imm goto label`
    pub(crate) fn jump_unless(&mut self, a: Reg, imm: u32, label: Label) -> &mut Self {
        self.jumps.push((self.slots.len(), label));
        self.push(JNE32_IMM, a, 0, 0, imm.cast_signed())
    }

    /// `r0 = helper(r1..r5)`
    pub(crate) fn call(&mut self, helper: i32) -> &mut Self {
        self.push(CALL, Reg(0), 0, 0, helper)
    }

    /// `return r0`
    pub(crate) fn exit(&mut self) -> &mut Self {
        self.push(EXIT, Reg(0), 0, 0, 0)
    }

    /// The program with its jumps resolved.
    pub(crate) fn finish(mut self) -> Result<Vec<Slot>, AsmError> {
        for (at, label) in self.jumps {
            let target = self.placed[label.0].ok_or(AsmError::Unplaced(at))?;
            // A jump counts from the slot after it.
            let distance = target.checked_sub(at + 1).ok_or(AsmError::TooFar(at))?; // only forward: no loops
            self.slots[at].off = i16::try_from(distance).map_err(|_| AsmError::TooFar(at))?;
        }
        Ok(self.slots)
    }
}

/// Network bytes as the number a load of that width gives on this host.
pub(crate) fn half(bytes: [u8; 2]) -> u32 {
    u32::from(u16::from_ne_bytes(bytes))
}

/// Network bytes as the number a load of that width gives on this host.
pub(crate) fn word(bytes: [u8; 4]) -> u32 {
    u32::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(slot: Slot) -> [u8; 8] {
        let (o, i) = (slot.off.to_le_bytes(), slot.imm.to_le_bytes());
        [slot.op, slot.regs, o[0], o[1], i[0], i[1], i[2], i[3]]
    }

    /// Bytes worked out by hand from the opcode tables of RFC 9669; the kernel's verifier takes the same (program.rs).
    #[test]
    #[cfg(target_endian = "little")]
    fn each_instruction_has_its_published_encoding() {
        let mut a = Asm::new();
        let out = a.label();
        a.mov(R6, R1) // r6 = r1
            .load(Width::Word, R2, R1, 4) // r2 = *(u32 *)(r1 + 4)
            .load(Width::Half, R4, R2, 12) // r4 = *(u16 *)(r2 + 12)
            .load(Width::Byte, R4, R2, 23) // r4 = *(u8 *)(r2 + 23)
            .store(Width::Half, R2, 6, R4) // *(u16 *)(r2 + 6) = r4
            .add_imm(R5, 42) // r5 += 42
            .and32_imm(R4, 0xff3f) // w4 &= 0xff3f
            .jump_if_greater(R5, R3, out) // if r5 > r3 goto +4
            .jump_unless(R4, 0xc0a8_0001, out) // if w4 != 0xc0a80001 goto +3
            .map_fd(R1, 7) // r1 = map_fd 7 ll
            .call(HELPER_REDIRECT_MAP) // call 51
            .place(out)
            .mov_imm(R0, 2) // r0 = 2
            .exit();
        let slots: Vec<[u8; 8]> = a.finish().unwrap().into_iter().map(bytes).collect();
        assert_eq!(
            slots,
            [
                [0xbf, 0x16, 0, 0, 0, 0, 0, 0],
                [0x61, 0x12, 4, 0, 0, 0, 0, 0],
                [0x69, 0x24, 12, 0, 0, 0, 0, 0],
                [0x71, 0x24, 23, 0, 0, 0, 0, 0],
                [0x6b, 0x42, 6, 0, 0, 0, 0, 0],
                [0x07, 0x05, 0, 0, 42, 0, 0, 0],
                [0x54, 0x04, 0, 0, 0x3f, 0xff, 0, 0],
                [0x2d, 0x35, 4, 0, 0, 0, 0, 0],
                [0x56, 0x04, 3, 0, 0x01, 0x00, 0xa8, 0xc0],
                [0x18, 0x11, 0, 0, 7, 0, 0, 0],
                [0, 0, 0, 0, 0, 0, 0, 0],
                [0x85, 0, 0, 0, 51, 0, 0, 0],
                [0xb7, 0, 0, 0, 2, 0, 0, 0],
                [0x95, 0, 0, 0, 0, 0, 0, 0],
            ]
        );
    }

    /// As above, for what the far end's program needs beside.
    #[test]
    #[cfg(target_endian = "little")]
    fn the_far_ends_instructions_have_their_published_encoding() {
        let mut a = Asm::new();
        let out = a.label();
        a.add(R6, R7) // r6 += r7
            .sub(R8, R9) // r8 -= r9
            .shift_right(R4, 32) // r4 >>= 32
            .mov32(R4, R8) // w4 = w8
            .xor32_imm(R4, 0xffff_ffff) // w4 ^= -1
            .be16(R4) // r4 = be16 r4
            .jump_if(R4, 5, out) // if w4 == 5 goto +7
            .jump_if_at_least(R4, 224, out) // if w4 >= 224 goto +6
            .jump_if_any(R4, 1, out) // if w4 & 1 goto +5
            .jump_if_not_equal(R4, R5, out) // if r4 != r5 goto +4
            .map_value(R1, 7) // r1 = map_val(fd 7) ll
            .atomic_add(R1, 8, R2) // lock *(u64 *)(r1 + 8) += r2
            .jump(out) // goto +0
            .place(out)
            .exit();
        let slots: Vec<[u8; 8]> = a.finish().unwrap().into_iter().map(bytes).collect();
        assert_eq!(
            slots,
            [
                [0x0f, 0x76, 0, 0, 0, 0, 0, 0],
                [0x1f, 0x98, 0, 0, 0, 0, 0, 0],
                [0x77, 0x04, 0, 0, 32, 0, 0, 0],
                [0xbc, 0x84, 0, 0, 0, 0, 0, 0],
                [0xa4, 0x04, 0, 0, 0xff, 0xff, 0xff, 0xff],
                [0xdc, 0x04, 0, 0, 16, 0, 0, 0],
                [0x16, 0x04, 7, 0, 5, 0, 0, 0],
                [0x36, 0x04, 6, 0, 224, 0, 0, 0],
                [0x46, 0x04, 5, 0, 1, 0, 0, 0],
                [0x5d, 0x54, 4, 0, 0, 0, 0, 0],
                [0x18, 0x21, 0, 0, 7, 0, 0, 0],
                [0, 0, 0, 0, 0, 0, 0, 0],
                [0xdb, 0x21, 8, 0, 0, 0, 0, 0],
                [0x05, 0, 0, 0, 0, 0, 0, 0],
                [0x95, 0, 0, 0, 0, 0, 0, 0],
            ]
        );
    }

    #[test]
    fn an_unplaced_label_is_an_error_and_no_wild_jump() {
        let mut a = Asm::new();
        let nowhere = a.label();
        a.jump_unless(R1, 0, nowhere).exit();
        assert_eq!(a.finish(), Err(AsmError::Unplaced(0)));
    }
}
