// String instructions and I/O (Intel SDM vol. 2; chapter "Input/Output" of volume 1 for the protection of ports).

import { sdm1, sdm2 } from "../citations.js";
import { form, instruction, type FlagEffects, type Form, type Instruction, type Intercepts } from "../instruction.js";
import { arithmeticFlags, hexByte } from "./effects.js";

const suffixes = [
  { letter: "B", prefix: "", bits: 8 },
  { letter: "W", prefix: "o16 ", bits: 16 },
  { letter: "D", prefix: "o32 ", bits: 32 },
  { letter: "Q", prefix: "REX.W ", bits: 64 },
] as const;

interface StringFacts {
  readonly name: string;
  /** Opcode of the byte form; the next one has the other sizes. */
  readonly opcode: number;
  readonly operands: (bits: number) => string;
  readonly repeat: "rep" | "repe";
  readonly summary: string;
  readonly implicit: string;
  readonly flags?: FlagEffects;
}

/** One mnemonic for each size, as assemblers write them. */
function stringFamily(facts: StringFacts): readonly Instruction[] {
  return suffixes.map(({ letter, prefix, bits }) =>
    instruction({
      mnemonic: `${facts.name}${letter}`,
      summary: facts.summary,
      cite: sdm2(`${facts.name}/${suffixes.map((s) => facts.name + s.letter).join("/")}`),
      execute: facts.name.toLowerCase(),
      forms: [
        form(`${prefix}${hexByte(facts.opcode + (bits === 8 ? 0 : 1))}`, facts.operands(bits), {
          repeat: facts.repeat,
        }),
      ],
      flags: { ...facts.flags, reads: "DF" },
      implicit: facts.implicit,
    }),
  );
}

const portFaults = [
  "#GP(0): CPL is above IOPL, or in virtual-8086 mode, and the I/O permission bitmap denies the port",
];
const portIntercepts: Intercepts = {
  vmx: { exit: "IO_INSTRUCTION", when: "UNCONDITIONAL_IO_EXITING, or USE_IO_BITMAPS and the port's bit" },
  svm: { exit: "IOIO", when: "IOIO_PROT and the port's bit in the IOPM", priority: "after all faults by privilege" },
};

/** INS and OUTS: no 64-bit size. */
function stringPort(name: "INS" | "OUTS", opcode: number): readonly Instruction[] {
  return suffixes
    .filter(({ bits }) => bits !== 64)
    .map(({ letter, prefix, bits }) =>
      instruction({
        mnemonic: `${name}${letter}`,
        summary: name === "INS" ? "Stores a value from port DX at ES:rDI." : "Writes a value at rSI to port DX.",
        cite: [sdm2(`${name}/${name}B/${name}W/${name}D`), sdm1("Input/Output", "I/O Permission Bit Map")],
        execute: name.toLowerCase(),
        forms: [
          form(
            `${prefix}${hexByte(opcode + (bits === 8 ? 0 : 1))}`,
            `${name === "INS" ? "dst" : "src"}${bits}:${name === "INS" ? "w" : "r"}`,
            {
              repeat: "rep",
            },
          ),
        ],
        flags: { reads: "DF" },
        faults: portFaults,
        implicit: `DX:r, ${name === "INS" ? "rDI" : "rSI"}:rw`,
        sensitivity: "io",
        intercepts: portIntercepts,
      }),
    );
}

const inForms: readonly Form[] = [
  form("E4 ib", "AL:w, imm8"),
  form("o16 E5 ib", "AX:w, imm8"),
  form("o32 E5 ib", "EAX:w, imm8"),
  form("EC", "AL:w, DX"),
  form("o16 ED", "AX:w, DX"),
  form("o32 ED", "EAX:w, DX"),
];

const outForms: readonly Form[] = [
  form("E6 ib", "imm8, AL"),
  form("o16 E7 ib", "imm8, AX"),
  form("o32 E7 ib", "imm8, EAX"),
  form("EE", "DX, AL"),
  form("o16 EF", "DX, AX"),
  form("o32 EF", "DX, EAX"),
];

export const stringAndPortInstructions: readonly Instruction[] = [
  ...stringFamily({
    name: "MOVS",
    opcode: 0xa4,
    operands: (bits) => `dst${bits}:w, src${bits}`,
    repeat: "rep",
    summary: "Copies from DS:rSI to ES:rDI and steps both.",
    implicit: "rSI:rw, rDI:rw",
  }),
  ...stringFamily({
    name: "CMPS",
    opcode: 0xa6,
    operands: (bits) => `src${bits}, dst${bits}`,
    repeat: "repe",
    summary: "Compares DS:rSI with ES:rDI and steps both.",
    implicit: "rSI:rw, rDI:rw",
    flags: arithmeticFlags,
  }),
  ...stringFamily({
    name: "STOS",
    opcode: 0xaa,
    operands: (bits) => `dst${bits}:w`,
    repeat: "rep",
    summary: "Stores the accumulator at ES:rDI and steps.",
    implicit: "rAX:r, rDI:rw",
  }),
  ...stringFamily({
    name: "LODS",
    opcode: 0xac,
    operands: (bits) => `src${bits}`,
    repeat: "rep",
    summary: "Loads the accumulator from DS:rSI and steps.",
    implicit: "rAX:w, rSI:rw",
  }),
  ...stringFamily({
    name: "SCAS",
    opcode: 0xae,
    operands: (bits) => `dst${bits}`,
    repeat: "repe",
    summary: "Compares the accumulator with ES:rDI and steps.",
    implicit: "rAX:r, rDI:rw",
    flags: arithmeticFlags,
  }),
  ...stringPort("INS", 0x6c),
  ...stringPort("OUTS", 0x6e),
  instruction({
    mnemonic: "IN",
    summary: "Reads a port.",
    cite: [sdm2("IN"), sdm1("Input/Output", "I/O Permission Bit Map")],
    forms: inForms,
    faults: portFaults,
    sensitivity: "io",
    intercepts: portIntercepts,
  }),
  instruction({
    mnemonic: "OUT",
    summary: "Writes a port.",
    cite: [sdm2("OUT"), sdm1("Input/Output", "I/O Permission Bit Map")],
    forms: outForms,
    faults: portFaults,
    sensitivity: "io",
    intercepts: portIntercepts,
  }),
];
