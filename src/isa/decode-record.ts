// The layout of the decode table that codec/ and the core share (docs/decisions/0006-decode-table.md). The generator
// writes it; src/codec/decode-table.generated.ts and src/core/decode-table.generated.ts hold the same bytes.
//
// How to decode:
//   1. Read prefixes, REX or VEX, and the opcode bytes; they give a map (`decodeMaps`) and an opcode.
//   2. slot = SLOTS[map * 256 + opcode], a u32: bits 0-15 index of the first candidate, bits 16-23 number of candidates,
//      bit 24 a ModRM byte follows, bit 25 its mod field is ignored (MOV to and from CRn and DRn: always a register).
//   3. Build the 32-bit key: bits 0-7 ModRM byte (0 where the slot has none), 8-9 mandatory prefix (0 none, 1 66, 2 F3,
//      3 F2; the last of F3 and F2 wins over 66), 10 REX.W or VEX.W, 11-12 operand size (1 16, 2 32, 3 64), 13-14 address
//      size (1 16, 2 32, 3 64), 15 64-bit mode, 16-17 VEX.L, 18 ModRM names a register (mod = 3, or mod is ignored), 19 REX.B.
//      (XCHG with register 8 differs from NOP by REX.B alone.) The operand size of the key is that of the prefixes alone: REX.W 64, else 66 toggles the default (32 in 64-bit mode).
//   4. Candidates are triples of u32: mask, value, form. The first with (key & mask) == value is the form; none: #UD.
//      On a model without a form's feature the form is not there, and the next candidate counts: LZCNT is then BSR
//      (none does behind an `exclusive` form: CMPXCHG16B is then no CMPXCHG8B).
//   5. FORMS + form * 32 is the form's record:
//        0  u16 execute number          2  u8 argument (condition code and the like)     3  u8 operand count, 0 to 4
//        4  four operands of 4 bytes:   kind (`operandKinds`), width in bytes (0 none or not fixed), argument, access (bit 0
//           read, bit 1 write). The argument is the register number of fixed registers, the value of `constant`, and for
//           immediates the number of bytes to which they are sign-extended (0: they are not); 1 for YMM in place of XMM.
//       20  u8 operand size (0 none, 1 16, 2 32, 3 64)   21  u8 bytes of the first immediate (or rel, or far offset)
//       22  u8 bytes of the second immediate             23  u8 repeat kind (0 none, 1 REP, 2 REPE and REPNE)
//       24  u32 flags (`formFlags`)     28  u16 feature number (features.ts; 0 none)   30  u16 undefined flags
//      `moffs` operands take an address of the address size instead of an immediate.
// LOCK is #UD unless the form is `lockable` and its ModRM names memory. F2 and F3 mean REP only where the repeat kind is
// not 0, and are ignored otherwise, but for forms where they are part of the opcode (`repIsOpcode`).

/** Opcode maps by number. */
export const decodeMaps = [
  "one-byte",
  "0F",
  "0F38",
  "0F3A",
  "VEX.0F",
  "VEX.0F38",
  "VEX.0F3A",
  "XOP.8",
  "XOP.9",
  "XOP.A",
];

/** Operand kinds by number. */
export const operandKinds = [
  "none",
  "reg", // general register in ModRM.reg
  "rm", // general register or memory in ModRM.rm
  "mem", // memory only
  "rmReg", // general register in ModRM.rm, never memory
  "opcodeReg", // general register in the low three bits of the opcode
  "vexReg", // general register in VEX.vvvv
  "fixedReg", // the general register of the argument
  "imm", // immediate
  "imm2", // second immediate (ENTER)
  "constant", // the value of the argument, not encoded
  "rel", // branch displacement
  "moffs", // memory at an address that follows the opcode
  "sreg", // segment register in ModRM.reg
  "fixedSreg", // the segment register of the argument
  "cr", // control register in ModRM.reg
  "dr", // debug register in ModRM.reg
  "farPointer", // offset and selector in the code; width 4 or 6
  "farMemory", // offset and selector in memory; width 4, 6 or 10
  "stringSource", // DS:[rSI], segment may be overridden
  "stringDestination", // ES:[rDI]
  "xmm", // XMM register in ModRM.reg
  "xmmRm", // XMM register or memory in ModRM.rm; the width is the memory's
  "xmmRmReg", // XMM register in ModRM.rm, never memory
  "mm", // MMX register in ModRM.reg
  "mmRm", // MMX register or memory in ModRM.rm
  "mmRmReg", // MMX register in ModRM.rm, never memory
  "st", // x87 stack register in ModRM.rm
  "st0", // top of the x87 stack
  "xmmVex", // XMM register in VEX.vvvv
  "xmmIs4", // XMM register in bits 7:4 of an immediate byte
  "vectorMem", // several places in memory: the index in SIB is an XMM register (argument 0) or a YMM register (1)
] as const;

export type OperandKind = (typeof operandKinds)[number];

/** Bits of a form's flags, by number. */
export const formFlags = [
  "modrm",
  "lockable",
  "default64", // 64-bit operand size in 64-bit mode without REX.W; 66 gives 16
  "force64", // 64-bit operand size in 64-bit mode whatever the prefixes say
  "endsBlock", // may transfer control or change how following bytes decode
  "privileged", // #GP(0) outside ring 0 (and in virtual-8086 mode)
  "serializing",
  "ioSensitive", // IOPL, or the I/O permission bitmap, decides
  "modIgnored",
  "repIsOpcode", // F3 or F2 is part of the opcode
  "x87", // #NM where CR0.EM or CR0.TS is 1
  "mmx", // #UD where CR0.EM is 1, #NM where CR0.TS is 1
  "sse", // #UD where CR0.EM is 1 or CR4.OSFXSR is 0, #NM where CR0.TS is 1
  "vex", // encoded with VEX: #UD in real and virtual-8086 mode
  "protectedOnly", // #UD in real and virtual-8086 mode
  "not64", // #UD in 64-bit mode
  "only64", // exists in 64-bit mode only
  "string",
  "exclusive", // where the model lacks its feature no other form answers for it
] as const;

export type FormFlag = (typeof formFlags)[number];

/** Repeat kinds by number. */
export const repeatKinds = ["none", "rep", "repe"] as const;

export type RepeatKind = (typeof repeatKinds)[number];

/** Bytes of a form's record. */
export const formRecordBytes = 32;

/** Offsets in a form's record. */
export const formRecord = {
  execute: 0,
  argument: 2,
  operandCount: 3,
  operands: 4,
  operandSize: 20,
  immediate1: 21,
  immediate2: 22,
  repeat: 23,
  flags: 24,
  feature: 28,
  undefinedFlags: 30,
} as const;
