// Codes E4001 to E4099: what the encoder reports about one instruction.

import { diagnostic } from "../diagnostic.js";
import { didYouMean } from "../near-names.js";
import { hex } from "../number.js";

/** What forms of an instruction take, one text for each. */
const takes = (accepted: readonly string[]): string =>
  accepted.length === 0 ? "it takes no operands" : `it takes: ${accepted.join("; ")}`;

export const unknownMnemonic = diagnostic<{ mnemonic: string; near: readonly string[] }>({
  code: "E4001",
  severity: "error",
  title: "A word that is no instruction",
  explanation: "The word at the start of a line of code is neither an instruction nor a macro.",
  message: (f) => `there is no instruction \`${f.mnemonic}\``,
  label: () => "not an instruction",
  help: (f) => didYouMean(f.near) ?? "docs/instructions.md lists all instructions",
});

export const operandCount = diagnostic<{ mnemonic: string; given: number; accepted: readonly string[] }>({
  code: "E4002",
  severity: "error",
  title: "Too many or too few operands",
  explanation: "No form of the instruction has that number of operands.",
  message: (f) => `${f.mnemonic} does not take ${f.given === 1 ? "1 operand" : `${f.given} operands`}`,
  help: (f) => takes(f.accepted),
});

export const notInMode = diagnostic<{ what: string; bits: number; modes: string; instead?: string }>({
  code: "E4003",
  severity: "error",
  title: "An instruction or form that the mode does not have",
  explanation: "Some instructions and operands exist in 64-bit code only, others only outside it.",
  message: (f) => `${f.what} does not exist in ${f.bits}-bit code`,
  label: (f) => `only in ${f.modes}`,
  help: (f) => f.instead ?? `leave it out, or put it into a guest of ${f.modes}`,
});

export const operandSizes = diagnostic<{
  left: { text: string; bits: number };
  right: { text: string; bits: number };
  help?: string;
}>({
  code: "E4004",
  severity: "error",
  title: "Operands of different sizes",
  explanation: "The operands of this instruction must be equally wide; no form takes the two that stand there.",
  message: (f) => `operand sizes differ: ${f.left.text} has ${f.left.bits} bits, ${f.right.text} ${f.right.bits}`,
  label: (f) => `${f.right.bits} bits`,
  help: (f) => f.help ?? "use registers of the same size, or extend the smaller one first with MOVZX or MOVSX",
});

export const noSuchForm = diagnostic<{ mnemonic: string; operands: string; accepted: readonly string[] }>({
  code: "E4005",
  severity: "error",
  title: "A combination of operands that the instruction does not have",
  explanation: "The instruction exists, with that number of operands, but no form takes operands of these kinds.",
  message: (f) => `${f.mnemonic} does not take ${f.operands}`,
  help: (f) => takes(f.accepted),
});

export const sizeNotStated = diagnostic<{ mnemonic: string; sizes: readonly string[] }>({
  code: "E4006",
  severity: "error",
  title: "Memory whose size nothing states",
  explanation: "No other operand tells how many bytes of memory are meant. Put a size word in front of the bracket.",
  message: (f) => `${f.mnemonic} needs the size of this memory operand`,
  label: () => "size not stated",
  help: (f) => `write ${f.sizes.join(", ").replace(/, (?=\w+$)/, " or ")} in front of it`,
});

export const immediateTooWide = diagnostic<{ value: bigint; bits: number; extendedTo: number; help?: string }>({
  code: "E4007",
  severity: "error",
  title: "An immediate that does not fit",
  explanation:
    "Immediates have the width that the form gives them, and many are sign-extended to the width of the operation. " +
    "A value that would come out as another one is refused.",
  message: (f) =>
    f.extendedTo > f.bits
      ? `${hex(f.value)} cannot be an immediate of ${f.bits} bits that is sign-extended to ${f.extendedTo} bits`
      : `${hex(f.value)} does not fit in ${f.bits} bits`,
  label: (f) => `at most ${f.bits} bits`,
  help: (f) =>
    f.help ??
    (f.extendedTo > f.bits
      ? `load it into a register with MOV first, or write the number that the ${f.bits} bits are extended to`
      : `mask it with & ${hex((1n << BigInt(f.bits)) - 1n)}, or use an operand that is wider`),
});

export const branchTooFar = diagnostic<{ distance: bigint; widthBits: number; short: boolean }>({
  code: "E4008",
  severity: "error",
  title: "A target that is out of reach",
  explanation: "Branches and RIP-relative operands hold the distance to their target in 8, 16 or 32 bits.",
  message: (f) => `the target is ${f.distance} bytes away, more than ${f.widthBits} bits can hold`,
  label: () => "out of reach",
  help: (f) => (f.short ? "drop `short`, or use an instruction that has a near form" : "bring the target closer"),
});

export const badAddress = diagnostic<{ problem: string; label: string; help?: string }>({
  code: "E4009",
  severity: "error",
  title: "An address that no encoding can express",
  explanation:
    "An address is base + index * scale + displacement, with registers of one size. 16-bit addresses have only " +
    "bx or bp as base and si or di as index; rsp cannot be an index.",
  message: (f) => f.problem,
  label: (f) => f.label,
  help: (f) => f.help ?? "compute the address into one register first",
});

export const registerNeeds64 = diagnostic<{ register: string; bits: number }>({
  code: "E4010",
  severity: "error",
  title: "A register of 64-bit mode in other code",
  explanation: "R8 to R15, SPL, BPL, SIL, DIL and all 64-bit registers need a REX prefix, which only 64-bit code has.",
  message: (f) => `${f.register} does not exist in ${f.bits}-bit code`,
  label: () => "only in 64-bit code",
  help: (f) => `use a register that ${f.bits}-bit code has, or make the guest long64`,
});

export const prefixContradicts = diagnostic<{ prefix: string; mnemonic: string }>({
  code: "E4012",
  severity: "error",
  title: "A size prefix that contradicts the instruction",
  explanation:
    "o16, o32 and o64 name an operand size, a16, a32 and a64 an address size. The mnemonic, a register or the mode " +
    "already asks for another one, or the mode has no such size.",
  message: (f) => `${f.prefix} contradicts what else is written of ${f.mnemonic}, or the mode`,
  help: (f) => `drop ${f.prefix}; to put a superfluous prefix in front, use db`,
});

export const highByteWithRex = diagnostic<{ register: string; other?: string }>({
  code: "E4011",
  severity: "error",
  title: "AH, BH, CH or DH in an instruction with a REX prefix",
  explanation:
    "With a REX prefix the numbers of AH to BH name SPL to DIL. A 64-bit operand, R8 to R15, SPL, BPL, SIL or DIL in " +
    "the same instruction makes the prefix necessary.",
  message: (f) => `${f.register} cannot stand in an instruction that needs a REX prefix`,
  label: () => "high byte register",
  help: (f) => (f.other === undefined ? "use a low byte register" : `use a low byte register, or replace ${f.other}`),
});

export const formDoesNotFit = diagnostic<{
  mnemonic: string;
  notation: string;
  exists: boolean;
  fitting: readonly string[];
}>({
  code: "E4013",
  severity: "error",
  title: "A form that does not take the instruction",
  explanation:
    "`encode` asks for one form of an instruction by the notation of its opcode. The instruction has no such form, or " +
    "its operands do not fit there in this mode.",
  message: (f) =>
    f.exists
      ? `\`${f.notation}\` does not take these operands of ${f.mnemonic}`
      : `${f.mnemonic} has no form \`${f.notation}\``,
  label: (f) => (f.exists ? "does not fit" : "no such form"),
  help: (f) => `these forms fit: ${f.fitting.join("; ")}`,
});
