// Codes E300x names and values, E301x macros, E302x operands, E303x data and code.

import { diagnostic } from "../diagnostic.js";
import { hex } from "../number.js";
import { list, type Unknown } from "./words.js";

// Names and values

export const notEmbedded = diagnostic<{ path: string; why: string }>({
  code: "E3121",
  severity: "error",
  title: "A file, or a part of one, that cannot be embedded",
  explanation:
    "The path after `embed` is relative to the file in which it stands, with forward slashes. `embed FILE, OFFSET, " +
    "BYTES` takes so many bytes from an offset on, at most 512 KiB; both must lie in the file.",
  message: (f) => `${f.path} cannot be embedded: ${f.why}`,
  help: () => "write the path from the folder of this file, and a part that the file has",
});

export const unknownStart = diagnostic<{ name: string; help?: string | undefined }>({
  code: "E3120",
  severity: "error",
  title: "A start value for something that a guest does not start with",
  explanation:
    "`start` sets general registers, RIP, RSP, RFLAGS, CR0, CR2, CR3, CR4, EFER, GDTR.BASE and the like, DS.SELECTOR, " +
    "DS.BASE, DS.LIMIT, DS.RIGHTS and the like of every segment register, and msr(ADDRESS).",
  message: (f) => `${f.name} is no register or MSR with which a guest starts`,
  label: () => "not known",
  help: (f) => f.help ?? "write a register such as RAX or DS.BASE, or msr(ADDRESS)",
});

export const unknownName = diagnostic<Unknown>({
  code: "E3001",
  severity: "error",
  fixable: true,
  title: "A name that nothing declares",
  explanation:
    "A name in an expression is a label, a constant, a value of `each`, an argument of a macro, `module.name`, " +
    "`guest.label`, or a constant of the library by the manual's name (`CR0.PE`, `FLAGS.IF`). Case counts.",
  message: (f) => `nothing here is called ${f.name}`,
  label: () => "not known",
  help: (f) => f.help ?? declareIt(f.name),
});

/** How a name would come to mean something. */
function declareIt(name: string): string {
  if (name.startsWith(".")) return `put \`${name}:\` below the label that it belongs to`;
  const [first, rest] = name.split(".", 2);
  if (rest !== undefined) return `is ${first} a module that \`use\` names, or a guest that has ${rest}?`;
  return `declare it: \`${name}:\` in the guest for a label, or \`const ${name} = VALUE\` for a number`;
}

export const unknownWord = diagnostic<{ word: string; help?: string | undefined }>({
  code: "E3002",
  severity: "error",
  fixable: true,
  title: "A line that begins with an unknown word",
  explanation: "In code a line begins with an instruction, a macro, data (`db`) or a declaration such as `ring`.",
  message: (f) => `${f.word} is no instruction, macro or declaration`,
  help: (f) =>
    f.help ??
    (f.word.includes(".")
      ? `add \`use ${f.word.slice(0, f.word.indexOf("."))}\` at the top of the file, where that is a module`
      : `write an instruction, or declare it at the top of the file: \`macro ${f.word} { … }\``),
});

export const duplicateName = diagnostic<{ what: string; name: string }>({
  code: "E3003",
  severity: "error",
  title: "A name that is declared twice",
  explanation: "Each name means one thing where it is seen. `.local` labels may repeat under different labels.",
  message: (f) => `there is already a ${f.what} ${f.name}`,
  label: () => "declared again",
  help: () => "choose another name for one of them",
});

export const cyclicConstant = diagnostic<{ name: string }>({
  code: "E3004",
  severity: "error",
  title: "A constant that depends on itself",
  explanation: "The value of a constant may name other constants, as long as none of them leads back to it.",
  message: (f) => `the value of ${f.name} depends on itself`,
  help: () => "give one of the constants in the circle a value of its own",
});

export const divisionByZero = diagnostic<object>({
  code: "E3005",
  severity: "error",
  title: "A division by zero in an expression",
  explanation: "`/` and `%` need a divisor other than 0.",
  message: () => "division by zero",
  label: () => "the divisor is 0",
  help: () => "give the divisor another value, or leave the division out",
});

export const notYetKnown = diagnostic<{ what: string }>({
  code: "E3006",
  severity: "error",
  title: "An address where a number must be known beforehand",
  explanation: "Addresses of labels are known after layout only; what decides the layout cannot depend on them.",
  message: (f) => `${f.what} must be known before addresses are`,
  label: () => "depends on an address",
  help: () => "use a number or a constant",
});

export const noNumber = diagnostic<{ what: string }>({
  code: "E3007",
  severity: "error",
  title: "Something that is no number in an expression",
  explanation: "Expressions are made of numbers, constants and labels. Registers and memory stand in operands.",
  message: (f) => `${f.what} is not a number`,
  label: () => "a number is needed here",
  help: () => "write a number, a constant or a label; what code has at run time is asked by `expect`",
});

export const unknownModule = diagnostic<Unknown>({
  code: "E3008",
  severity: "error",
  title: "A module that does not exist",
  explanation: "`use NAME` names a module of the standard library.",
  message: (f) => `there is no module ${f.name}`,
  help: (f) => f.help ?? "modules are those of the standard library, such as vmx, svm and hv",
});

export const moduleCycle = diagnostic<{ name: string }>({
  code: "E3009",
  severity: "error",
  title: "Modules that use each other",
  explanation: "Modules build on one another in one direction.",
  message: (f) => `${f.name} uses, in the end, itself`,
  help: () => "move what both need into a third module",
});

export const constantsTooDeep = diagnostic<{ limit: number }>({
  code: "E3102",
  severity: "error",
  title: "Constants that lead too far",
  explanation: "The value of a constant may name other constants, up to a depth far beyond real use.",
  message: (f) => `more than ${f.limit} constants lead to one another here`,
  help: () => "give one of them a value of its own",
});

export const tooManyEvaluations = diagnostic<{ limit: number }>({
  code: "E3103",
  severity: "error",
  title: "Expressions that grow too large",
  explanation: "An argument that names another argument twice doubles it; a chain of such macros never ends.",
  message: (f) => `the expressions of this case have more than ${f.limit} parts`,
  help: () => "let macros pass their arguments on once",
});

// Macros

export const expansionTooDeep = diagnostic<{ name: string; limit: number }>({
  code: "E3010",
  severity: "error",
  title: "Macros nested too deeply",
  explanation: "A macro that uses itself never ends: macros have no condition that could stop it.",
  message: (f) => `${f.name} is expanded inside itself, or in more than ${f.limit} other macros`,
  help: () => "remove the use that leads back to the macro",
});

export const tooManyStatements = diagnostic<{ limit: number }>({
  code: "E3011",
  severity: "error",
  title: "A case that grows too large",
  explanation: "Macros and `repeat` may multiply statements up to a limit far beyond what a test needs.",
  message: (f) => `this case expands to more than ${f.limit} statements`,
  help: () => "write a loop of the guest instead of repeating code",
});

export const tooManyArguments = diagnostic<{ name: string; takes: number; given: number }>({
  code: "E3013",
  severity: "error",
  title: "Too many arguments for a macro",
  explanation: "Arguments are given in the order of the macro's parameters; those with a default may be left out.",
  message: (f) => `${f.name} takes ${f.takes} argument${f.takes === 1 ? "" : "s"}, not ${f.given}`,
  label: () => "one too many",
  help: (f) => (f.takes === 0 ? "leave all arguments out" : `leave out what follows argument ${f.takes}`),
});

export const missingArgument = diagnostic<{ macro: string; parameter: string; isJoined?: boolean }>({
  code: "E3014",
  severity: "error",
  title: "A macro without one of its arguments",
  explanation: "Every parameter without a default needs an argument.",
  message: (f) => `${f.macro} needs ${f.parameter}`,
  help: (f) =>
    f.isJoined ? "put a comma between two arguments" : `give it, or give ${f.parameter} a default in the macro`,
});

export const argumentKind = diagnostic<{ parameter: string; kind: string }>({
  code: "E3015",
  severity: "error",
  title: "An argument of the wrong kind",
  explanation:
    "A parameter says what it takes: `reg` a register, `imm` a number, `mem` a memory operand, `label` a label, " +
    "`name` a bare word, `block` a block, `any` anything.",
  message: (f) => `${f.parameter} takes ${kindWords[f.kind] ?? f.kind}`,
  label: (f) => `not ${kindWords[f.kind] ?? f.kind}`,
  help: (f) => kindHelp[f.kind],
});

const kindWords: Readonly<Record<string, string>> = {
  reg: "a register",
  imm: "a number",
  mem: "a memory operand",
  label: "a label",
  name: "a name",
  block: "a block",
};

const kindHelp: Readonly<Record<string, string>> = {
  reg: "write the name of a register",
  imm: "write a number, a constant or a label without brackets",
  mem: "memory operands stand in brackets: [address]",
  label: "write the name of a label without brackets",
  name: "write one bare word",
  block: "write it in braces behind the other arguments",
};

export const parameterKind = diagnostic<{ kind: string; kinds: readonly string[] }>({
  code: "E3016",
  severity: "error",
  title: "An unknown kind of parameter",
  explanation: "After the colon stands what the parameter takes.",
  message: (f) => `${f.kind} is no kind of parameter`,
  help: (f) => `it can be ${list(f.kinds)}`,
});

export const unexpectedBlock = diagnostic<{ word: string }>({
  code: "E3017",
  severity: "error",
  title: "A block where none belongs",
  explanation: "Declarations take blocks, and macros with a parameter of kind `block`; instructions do not.",
  message: (f) => `${f.word} takes no block`,
  help: () => "remove the braces; what stands between them can follow as lines of its own",
});

// Operands

export const noOperand = diagnostic<object>({
  code: "E3020",
  severity: "error",
  title: "A size word without an operand",
  explanation: "`byte`, `strict`, `short` and the like say something about the operand that follows them.",
  message: () => "the operand is missing",
  help: () => "write a register, a number or a memory operand such as `[rax]` after the size word",
});

export const twoOperands = diagnostic<{ areAddresses?: boolean; isRepeated?: boolean }>({
  code: "E3021",
  severity: "error",
  title: "Two operands without a comma",
  explanation: "Operands are separated by commas. An address stands in one pair of brackets: `[ebx + ecx]`.",
  message: () => "this does not belong to the operand before it",
  help: (f) => {
    if (f.isRepeated) return "write `zero COUNT` for bytes of 0, or `repeat COUNT { db … }`";
    return f.areAddresses ? "write one pair of brackets: `[ebx + ecx]`" : "put a comma between two operands";
  },
});

export const badAddress = diagnostic<{ why: string }>({
  code: "E3022",
  severity: "error",
  title: "An address that no instruction can encode",
  explanation:
    "An address is a base, an index times 1, 2, 4 or 8, and a displacement. In 16-bit addresses bx or bp and si or di.",
  message: (f) => `this is no address: ${f.why}`,
  help: () => "compute it into one register first (`lea`, `add`), or write it as BASE + INDEX * SCALE + NUMBER",
});

export const noAddressRegister = diagnostic<{ name: string }>({
  code: "E3023",
  severity: "error",
  title: "A register that cannot stand in an address",
  explanation: "Addresses are made of general registers of 16, 32 or 64 bits.",
  message: (f) => `${f.name} cannot be part of an address`,
  help: (f) => `move it into a general register of 16, 32 or 64 bits and use that instead of ${f.name}`,
});

export const noSegment = diagnostic<object>({
  code: "E3024",
  severity: "error",
  title: "Something else than a segment register before the colon",
  explanation: "In `[fs: address]` a segment register stands before the colon.",
  message: () => "this is not a segment register",
  help: () => "it can be es, cs, ss, ds, fs or gs",
});

export const addressWord = diagnostic<{ word: string }>({
  code: "E3025",
  severity: "error",
  title: "An unknown word after the bracket",
  explanation: "`rel`, `abs`, `nosplit` or the width of the displacement may stand directly after `[`.",
  message: (f) => `${f.word} says nothing about an address`,
  help: () => "it can be rel, abs, nosplit, byte, word, dword or qword",
});

export const noPtr = diagnostic<{ word: string }>({
  code: "E3026",
  severity: "error",
  fixable: true,
  title: "A word of another assembler before an operand",
  explanation:
    "The notation is NASM's. It has no `ptr`: `byte [x]` says it all. It has no `offset`: a label's name is its address, " +
    "and brackets make it what lies there. It has no `seg`: selectors are numbers, the guest's own have names.",
  message: (f) => `\`${f.word}\` is not written here`,
  help: (f) => foreignOperands[f.word] ?? `remove \`${f.word}\``,
});

const foreignOperands: Readonly<Record<string, string>> = {
  ptr: "leave it out: `byte [x]`, `dword [x]`",
  offset: "leave it out: the name of a label is its address",
  seg: "write the selector as a number or a constant",
};

export const segmentOutside = diagnostic<{ segment: string }>({
  code: "E3123",
  severity: "error",
  fixable: true,
  title: "A segment register before the brackets",
  explanation: "The segment of a memory operand stands inside its brackets, as in NASM: `[es: rdi]`.",
  message: (f) => `${f.segment} stands outside the brackets`,
  help: (f) => `write \`[${f.segment}: …]\``,
});

export const nameOfRegister = diagnostic<{ name: string }>({
  code: "E3122",
  severity: "error",
  title: "A name that is a register's",
  explanation: "Registers have their names in any case of letters, so nothing else can be called by one.",
  message: (f) => `${f.name} is a register`,
  label: () => "declared as something else here",
  help: (f) => `choose another name, such as ${f.name}_value`,
});

export const assignedComparison = diagnostic<object>({
  code: "E3124",
  severity: "error",
  fixable: true,
  title: "A comparison written with `=`",
  explanation: "`==` compares; `=` gives a name its value, in declarations.",
  message: () => "`=` does not compare",
  help: () => "write `==`",
});

export const operandExpected = diagnostic<{ what: string }>({
  code: "E3027",
  severity: "error",
  title: "Something that is no operand",
  explanation: "An operand is a register, a memory operand in brackets, a number, or `selector:offset`.",
  message: (f) => `${f.what} is no operand`,
  help: () => "write a register, a number, `[address]`, or `selector:offset`",
});

export const modifierOfMemory = diagnostic<{ word: string }>({
  code: "E3028",
  severity: "error",
  title: "A word that memory operands do not take",
  explanation: "`strict` is for numbers, `short` for jumps to a label.",
  message: (f) => `${f.word} says nothing about a memory operand`,
  help: (f) => `remove ${f.word}; the width of a displacement stands in the bracket: [byte rax + 5]`,
});

export const farSize = diagnostic<object>({
  code: "E3029",
  severity: "error",
  title: "A far address of an impossible size",
  explanation: "The offset of `selector:offset` has 16 or 32 bits.",
  message: () => "the offset of a far address has 16 or 32 bits",
  help: () => "write word or dword before it",
});

// Data and code

export const doesNotFit = diagnostic<{ value: bigint; bits: number }>({
  code: "E3030",
  severity: "error",
  title: "A number too large for its unit",
  explanation: "`db` takes 8 bits, `dw` 16, `dd` 32, `dq` 64, signed or unsigned.",
  message: (f) => `${hex(f.value)} does not fit in ${f.bits} bits`,
  help: (f) =>
    f.bits < 64
      ? `use a wider unit, or mask the value with & ${hex((1n << BigInt(f.bits)) - 1n)}`
      : "write it as several numbers",
});

export const badBoundary = diagnostic<{ boundary: bigint; max: bigint }>({
  code: "E3031",
  severity: "error",
  title: "A boundary that is no power of two",
  explanation: "`align` takes a power of two.",
  message: (f) => `${f.boundary} is no power of two from 1 to ${f.max}`,
  help: () => "write for example align 16 or align 0x1000",
});

export const badCount = diagnostic<{ count: bigint; max: bigint }>({
  code: "E3032",
  severity: "error",
  title: "A count out of range",
  explanation: "Counts are positive and bounded, so that nothing grows without end.",
  message: (f) => `${f.count} is not between ${f.count === 0n ? 1 : 0} and ${f.max}`,
  help: (f) =>
    `write a count from ${f.count === 0n ? 1 : 0} to ${f.max}; what needs more rounds is a loop of the guest`,
});

export const codeInData = diagnostic<{ text: string }>({
  code: "E3033",
  severity: "error",
  title: "Code in a data block",
  explanation: "A `data` block holds labels and bytes.",
  message: (f) => `\`${f.text}\` cannot stand in data`,
  help: () => "move it out of the data block; bytes are written with db",
});

export const missingOperands = diagnostic<{ word: string }>({
  code: "E3034",
  severity: "error",
  title: "Data without values",
  explanation: "`db` and the like need at least one value.",
  message: (f) => `${f.word} needs at least one value`,
  help: (f) => `write for example ${f.word} 0, or remove the line`,
});

export const prefixOfNothing = diagnostic<{ prefix: string }>({
  code: "E3035",
  severity: "error",
  title: "A prefix before something that is no instruction",
  explanation: "LOCK, REP and the like belong to instructions.",
  message: (f) => `${f.prefix} stands before no instruction`,
  help: (f) => `remove ${f.prefix}, or put it before the instruction that it is meant for`,
});
