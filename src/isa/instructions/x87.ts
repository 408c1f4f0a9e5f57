// The x87 unit (Intel SDM vol. 2; vol. 1, chapter "Programming with the x87 FPU").

import { sdm2 } from "../citations.js";
import { form, instruction, type Form, type Instruction, type InstructionFacts } from "../instruction.js";

type Facts = Pick<InstructionFacts, "mnemonic" | "summary" | "forms"> & Partial<InstructionFacts>;

const x87 = (facts: Facts): Instruction =>
  instruction({
    feature: "FPU",
    unit: "x87",
    cite: sdm2(facts.mnemonic),
    faults: ["#NM: CR0.EM or CR0.TS is 1", "#MF: an unmasked exception is pending"],
    ...facts,
  });

/** Instructions without operands: mnemonic, opcode, what they do. */
const bare = (rows: readonly (readonly [string, string, string])[]): readonly Instruction[] =>
  rows.map(([mnemonic, code, summary]) => x87({ mnemonic, summary, forms: [form(code)] }));

const decode = { use: "decode" } as const;
const alias = { use: "alias" } as const;

interface Arithmetic {
  readonly name: string;
  /** Extension in D8, DC, DA and DE with memory. */
  readonly n: number;
  /** Second byte of the register forms with ST0, with ST(i), and popping; absent for the comparisons. */
  readonly toTop: string;
  readonly toRegister?: string;
  readonly summary: string;
}

const arithmetic: readonly Arithmetic[] = [
  { name: "ADD", n: 0, toTop: "C0", toRegister: "C0", summary: "Adds" },
  { name: "MUL", n: 1, toTop: "C8", toRegister: "C8", summary: "Multiplies" },
  { name: "SUB", n: 4, toTop: "E0", toRegister: "E8", summary: "Subtracts" },
  { name: "SUBR", n: 5, toTop: "E8", toRegister: "E0", summary: "Subtracts with the operands exchanged" },
  { name: "DIV", n: 6, toTop: "F0", toRegister: "F8", summary: "Divides" },
  { name: "DIVR", n: 7, toTop: "F8", toRegister: "F0", summary: "Divides with the operands exchanged" },
];

function arithmeticFamily({ name, n, toTop, toRegister, summary }: Arithmetic): readonly Instruction[] {
  // The argument (x87-arithmetic.ts): the extension of the opcode, 8 for popping, 16 for an integer operand.
  const execute = "x87_arithmetic";
  const forms: readonly Form[] = [
    form(`D8 /${n}`, "m32fp"),
    form(`DC /${n}`, "m64fp"),
    form(`DC ${toRegister}+i`, "ST(i):rw, ST0"),
    form(`D8 ${toTop}+i`, "ST0:rw, ST(i)"),
    form(`D8 ${toTop}+i`, "ST(i)", alias),
    // Without operands assemblers take the popping form.
    form(`DE ${nextByte(toRegister ?? "C0")}`, "", alias),
  ];
  return [
    x87({ mnemonic: `F${name}`, summary: `${summary} floating-point numbers.`, forms, execute, argument: n }),
    x87({
      execute,
      argument: n | 8,
      mnemonic: `F${name}P`,
      summary: `${summary} floating-point numbers and pops.`,
      forms: [
        form(`DE ${toRegister}+i`, "ST(i):rw, ST0"),
        form(`DE ${toRegister}+i`, "ST(i):rw", alias),
        form(`DE ${nextByte(toRegister ?? "C0")}`, "", alias),
      ],
    }),
    x87({
      execute,
      argument: n | 16,
      mnemonic: `FI${name}`,
      summary: `${summary} the top of the stack and an integer.`,
      forms: [form(`DA /${n}`, "m32int"), form(`DE /${n}`, "m16int")],
    }),
  ];
}

/** The byte of ST1, which assemblers take where no register is written. */
const nextByte = (byte: string): string => (parseInt(byte, 16) + 1).toString(16).toUpperCase();

/** Comparisons with a register: alone, with ST0 before it, or without operands (ST1). */
const compareForms = (prefix: string, second: string): readonly Form[] => [
  form(`${prefix} ${second}+i`, "ST0, ST(i)"),
  form(`${prefix} ${second}+i`, "ST(i)", alias),
  form(`${prefix} ${nextByte(second)}`, "", alias),
];

/** An instruction that waits, and the one that does not: the first has an FWAIT in front. */
function waiting(name: string, summary: string, forms: readonly Form[]): readonly Instruction[] {
  return [
    x87({
      mnemonic: `FN${name}`,
      summary,
      cite: sdm2(`F${name}/FN${name}`),
      forms,
      faults: ["#NM: CR0.EM or CR0.TS is 1"],
    }),
    x87({
      mnemonic: `F${name}`,
      summary: `${summary.slice(0, -1)}, after waiting for pending exceptions.`,
      cite: sdm2(`F${name}/FN${name}`),
      forms: forms.map((f) => form(`9B ${f.code}`, f.operands, alias)),
    }),
  ];
}

const conditionalMove = (name: string, code: string, reads: string): Instruction =>
  x87({
    mnemonic: `FCMOV${name}`,
    summary: "Copies a stack register to the top if the condition holds.",
    cite: sdm2("FCMOVcc"),
    feature: "CMOV",
    forms: [form(`${code}+i`, "ST0:rw, ST(i)"), form(`${code}+i`, "ST(i)", alias)],
    flags: { reads },
  });

/** How a comparison differs, by the bits that x87-arithmetic.ts knows. */
const comparison = (...kinds: readonly (keyof typeof comparisonBits)[]) => ({
  execute: "x87_compare",
  argument: kinds.reduce((bits, kind) => bits | comparisonBits[kind], 0),
});

const comparisonBits = { quiet: 1, flags: 2, pop: 4, "pop twice": 12, integer: 16, zero: 32 } as const;

const compareFlags = { writes: "ZF PF CF", clears: "OF SF AF" };

export const x87Instructions: readonly Instruction[] = [
  ...arithmetic.flatMap(arithmeticFamily),
  x87({
    mnemonic: "FCOM",
    ...comparison(),
    summary: "Compares with the top of the stack.",
    forms: [
      form("D8 /2", "m32fp"),
      form("DC /2", "m64fp"),
      ...compareForms("D8", "D0"),
      form("DC D0+i", "ST0, ST(i)", decode),
    ],
  }),
  x87({
    mnemonic: "FCOMP",
    ...comparison("pop"),
    summary: "Compares with the top of the stack and pops.",
    forms: [
      form("D8 /3", "m32fp"),
      form("DC /3", "m64fp"),
      ...compareForms("D8", "D8"),
      form("DC D8+i", "ST0, ST(i)", decode),
      form("DE D0+i", "ST0, ST(i)", decode),
    ],
  }),
  x87({
    mnemonic: "FICOM",
    ...comparison("integer"),
    summary: "Compares with an integer.",
    forms: [form("DA /2", "m32int"), form("DE /2", "m16int")],
  }),
  x87({
    mnemonic: "FICOMP",
    ...comparison("integer", "pop"),
    summary: "Compares with an integer and pops.",
    forms: [form("DA /3", "m32int"), form("DE /3", "m16int")],
  }),
  x87({
    mnemonic: "FUCOM",
    ...comparison("quiet"),
    summary: "Compares; quiet NaNs raise nothing.",
    forms: [form("DD E0+i", "ST0, ST(i)"), form("DD E0+i", "ST(i)", alias), form("DD E1", "", alias)],
  }),
  x87({
    mnemonic: "FUCOMP",
    ...comparison("quiet", "pop"),
    summary: "Compares and pops; quiet NaNs raise nothing.",
    forms: [form("DD E8+i", "ST0, ST(i)"), form("DD E8+i", "ST(i)", alias), form("DD E9", "", alias)],
  }),
  x87({
    mnemonic: "FCOMI",
    ...comparison("flags"),
    summary: "Compares into EFLAGS.",
    forms: compareForms("DB", "F0").slice(0, 2),
    flags: compareFlags,
  }),
  x87({
    mnemonic: "FUCOMI",
    ...comparison("quiet", "flags"),
    summary: "Compares into EFLAGS; quiet NaNs raise nothing.",
    forms: compareForms("DB", "E8").slice(0, 2),
    flags: compareFlags,
  }),
  x87({
    mnemonic: "FCOMIP",
    ...comparison("flags", "pop"),
    summary: "Compares into EFLAGS and pops.",
    forms: compareForms("DF", "F0").slice(0, 2),
    flags: compareFlags,
  }),
  x87({
    mnemonic: "FUCOMIP",
    ...comparison("quiet", "flags", "pop"),
    summary: "Compares into EFLAGS and pops; quiet NaNs raise nothing.",
    forms: compareForms("DF", "E8").slice(0, 2),
    flags: compareFlags,
  }),
  x87({
    mnemonic: "FLD",
    summary: "Pushes a floating-point number.",
    forms: [form("D9 /0", "m32fp"), form("DD /0", "m64fp"), form("DB /5", "m80fp"), form("D9 C0+i", "ST(i)")],
  }),
  x87({
    mnemonic: "FST",
    summary: "Stores the top of the stack.",
    forms: [form("D9 /2", "m32fp:w"), form("DD /2", "m64fp:w"), form("DD D0+i", "ST(i):w")],
  }),
  x87({
    mnemonic: "FSTP",
    summary: "Stores the top of the stack and pops.",
    forms: [
      form("D9 /3", "m32fp:w"),
      form("DD /3", "m64fp:w"),
      form("DB /7", "m80fp:w"),
      form("DD D8+i", "ST(i):w"),
      form("D9 D8+i", "ST(i):w", decode),
      form("DF D0+i", "ST(i):w", decode),
      form("DF D8+i", "ST(i):w", decode),
    ],
  }),
  x87({
    mnemonic: "FILD",
    summary: "Pushes an integer.",
    forms: [form("DF /0", "m16int"), form("DB /0", "m32int"), form("DF /5", "m64int")],
  }),
  x87({
    mnemonic: "FIST",
    summary: "Stores as an integer.",
    forms: [form("DF /2", "m16int:w"), form("DB /2", "m32int:w")],
  }),
  x87({
    mnemonic: "FISTP",
    summary: "Stores as an integer and pops.",
    forms: [form("DF /3", "m16int:w"), form("DB /3", "m32int:w"), form("DF /7", "m64int:w")],
  }),
  x87({
    mnemonic: "FISTTP",
    summary: "Stores as a truncated integer and pops.",
    feature: "SSE3",
    forms: [form("DF /1", "m16int:w"), form("DB /1", "m32int:w"), form("DD /1", "m64int:w")],
  }),
  x87({ mnemonic: "FBLD", summary: "Pushes a packed decimal.", forms: [form("DF /4", "m80bcd")] }),
  x87({ mnemonic: "FBSTP", summary: "Stores as a packed decimal and pops.", forms: [form("DF /6", "m80bcd:w")] }),
  x87({
    mnemonic: "FXCH",
    summary: "Exchanges the top of the stack with another register.",
    forms: [
      form("D9 C8+i", "ST(i):rw"),
      form("D9 C8+i", "ST0:rw, ST(i):rw", alias),
      form("D9 C8+i", "ST(i):rw, ST0:rw", alias),
      form("D9 C9", "", alias),
      form("DD C8+i", "ST(i):rw", decode),
      form("DF C8+i", "ST(i):rw", decode),
    ],
  }),
  x87({ mnemonic: "FFREE", summary: "Marks a register as empty.", forms: [form("DD C0+i", "ST(i):w")] }),
  x87({
    mnemonic: "FFREEP",
    summary: "Marks a register as empty and pops; not documented by Intel.",
    cite: sdm2("FFREE"),
    forms: [form("DF C0+i", "ST(i):w")],
  }),
  ...[
    conditionalMove("B", "DA C0", "CF"),
    conditionalMove("E", "DA C8", "ZF"),
    conditionalMove("BE", "DA D0", "CF ZF"),
    conditionalMove("U", "DA D8", "PF"),
    conditionalMove("NB", "DB C0", "CF"),
    conditionalMove("NE", "DB C8", "ZF"),
    conditionalMove("NBE", "DB D0", "CF ZF"),
    conditionalMove("NU", "DB D8", "PF"),
  ],
  ...waiting("STCW", "Stores the control word.", [form("D9 /7", "m16:w")]),
  ...waiting("STSW", "Stores the status word.", [form("DD /7", "m16:w"), form("DF E0", "AX:w")]),
  ...waiting("STENV", "Stores the environment.", [form("o16 D9 /6", "m14byte:w"), form("o32 D9 /6", "m28byte:w")]),
  ...waiting("SAVE", "Stores the state and initializes.", [
    form("o16 DD /6", "m94byte:w"),
    form("o32 DD /6", "m108byte:w"),
  ]),
  ...waiting("INIT", "Initializes the unit.", [form("DB E3")]),
  ...waiting("CLEX", "Clears pending exceptions.", [form("DB E2")]),
  ...waiting("ENI", "Does nothing since the 80287.", [form("DB E0")]),
  ...waiting("DISI", "Does nothing since the 80287.", [form("DB E1")]),
  x87({ mnemonic: "FLDCW", summary: "Loads the control word.", forms: [form("D9 /5", "m16")] }),
  x87({
    mnemonic: "FLDENV",
    summary: "Loads the environment.",
    forms: [form("o16 D9 /4", "m14byte"), form("o32 D9 /4", "m28byte")],
  }),
  x87({
    mnemonic: "FRSTOR",
    summary: "Loads the state.",
    forms: [form("o16 DD /4", "m94byte"), form("o32 DD /4", "m108byte")],
  }),
  x87({
    mnemonic: "FWAIT",
    aliases: ["WAIT"],
    summary: "Waits for pending exceptions.",
    cite: sdm2("WAIT/FWAIT"),
    forms: [form("9B")],
  }),
  x87({
    mnemonic: "FCOMPP",
    summary: "Compares the two topmost registers and pops both.",
    ...comparison("pop twice"),
    forms: [form("DE D9")],
  }),
  x87({
    mnemonic: "FUCOMPP",
    summary: "Compares the two topmost registers and pops both; quiet NaNs raise nothing.",
    ...comparison("quiet", "pop twice"),
    forms: [form("DA E9")],
  }),
  x87({ mnemonic: "FTST", summary: "Compares with 0.", ...comparison("zero"), forms: [form("D9 E4")] }),
  ...bare([
    ["FSETPM", "DB E4", "Does nothing since the 80387."],
    ["FNOP", "D9 D0", "Does nothing."],
    ["FCHS", "D9 E0", "Changes the sign."],
    ["FABS", "D9 E1", "Clears the sign."],
    ["FXAM", "D9 E5", "Classifies the top of the stack."],
    ["FLD1", "D9 E8", "Pushes 1."],
    ["FLDL2T", "D9 E9", "Pushes log2 of 10."],
    ["FLDL2E", "D9 EA", "Pushes log2 of e."],
    ["FLDPI", "D9 EB", "Pushes pi."],
    ["FLDLG2", "D9 EC", "Pushes log10 of 2."],
    ["FLDLN2", "D9 ED", "Pushes ln of 2."],
    ["FLDZ", "D9 EE", "Pushes 0."],
    ["F2XM1", "D9 F0", "Computes 2 to the power x, minus 1."],
    ["FYL2X", "D9 F1", "Computes y times log2 of x."],
    ["FPTAN", "D9 F2", "Computes the tangent."],
    ["FPATAN", "D9 F3", "Computes the arctangent of y over x."],
    ["FXTRACT", "D9 F4", "Splits into exponent and significand."],
    ["FPREM1", "D9 F5", "Computes the IEEE remainder."],
    ["FDECSTP", "D9 F6", "Decrements the stack pointer."],
    ["FINCSTP", "D9 F7", "Increments the stack pointer."],
    ["FPREM", "D9 F8", "Computes the remainder."],
    ["FYL2XP1", "D9 F9", "Computes y times log2 of x plus 1."],
    ["FSQRT", "D9 FA", "Computes the square root."],
    ["FSINCOS", "D9 FB", "Computes sine and cosine."],
    ["FRNDINT", "D9 FC", "Rounds to an integer."],
    ["FSCALE", "D9 FD", "Scales by a power of 2."],
    ["FSIN", "D9 FE", "Computes the sine."],
    ["FCOS", "D9 FF", "Computes the cosine."],
  ]),
];
