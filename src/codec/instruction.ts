// Instruction values: what the encoder takes and the decoder gives. Registers and mnemonics are lower case, as NASM
// and the formatter write them; isa/ keeps the manuals' upper case.

/** Width of the code segment that the instruction is encoded for. */
export type CodeBits = 16 | 32 | 64;

/** Sizes that NASM's size words can state: byte, word, dword, qword, tword, oword, yword, fword is 48. */
export type SizeBits = 8 | 16 | 32 | 48 | 64 | 80 | 128 | 256;

/** `[segment: base + index * scale + displacement]`. */
export interface MemoryOperand {
  readonly kind: "memory";
  /** As stated by a size word; absent when the instruction's other operands decide. */
  readonly sizeBits?: SizeBits;
  /** Segment override; absent for the default segment. */
  readonly segment?: string;
  readonly base?: string;
  readonly index?: string;
  readonly scale: 1 | 2 | 4 | 8;
  readonly displacement: bigint;
  /** Forced displacement width (`[byte rax + 5]`, `[dword 5]`). */
  readonly displacementBits?: 8 | 16 | 32 | 64;
  /** The displacement is the address of something that layout places: it keeps its full width, as in NASM. */
  readonly placed?: boolean;
  /** RIP-relative (`rel`) or absolute (`abs`) in 64-bit code; the displacement is then the target address. */
  readonly relative?: boolean;
  /** `far`: CALL and JMP take offset and selector from here. `sizeBits` is then that of the offset. */
  readonly far?: boolean;
}

export type OperandValue =
  | { readonly kind: "register"; readonly name: string }
  | {
      readonly kind: "immediate";
      readonly value: bigint;
      /** As stated by a size word (`push dword 1`, `mov rax, strict dword 1`). */
      readonly sizeBits?: SizeBits;
      /** `strict`: the stated size may not be shortened. */
      readonly strict?: boolean;
      /** The value is the address of something that layout places: it keeps its full width, as in NASM. */
      readonly placed?: boolean;
      /** The value is a code address, so branch forms take it as target; `short` and `near` limit the form. */
      readonly distance?: "short" | "near" | "far";
    }
  | {
      readonly kind: "far";
      readonly selector: bigint;
      readonly offset: bigint;
      readonly sizeBits?: 16 | 32;
    }
  | MemoryOperand;

/** One instruction, ready to be encoded at an address. */
export interface InstructionValue {
  /** Lower-case mnemonic. */
  readonly mnemonic: string;
  /** `lock`, `rep`, `repne`, segment overrides, `o16`, `a32` and the like, in written order. */
  readonly prefixes: readonly string[];
  readonly operands: readonly OperandValue[];
  /** The form that is asked for, as docs/instructions.md writes its opcode (`8A /r`); absent for the shortest. */
  readonly form?: string;
}
