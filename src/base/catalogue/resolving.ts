// Codes E3…: what name, type and matrix resolution reports.
//
// E300x names and values · E301x macros · E302x operands · E303x data · E304x shape and place of declarations ·
// E305x tests and matrix · E306x guests · E307x judgements · E308x VMM and platform declarations · E309x `expect`.

import { hex } from "../number.js";
import { diagnostic } from "../diagnostic.js";

/** A name that is not known, with near ones where there are any. */
interface Unknown {
  readonly name: string;
  readonly help?: string | undefined;
}

const list = (names: readonly string[]): string =>
  names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} or ${names.at(-1) ?? ""}`;

/** Near names, or else all names there are, when they are few. */
const near = (f: { readonly help?: string | undefined; readonly names?: readonly string[] }): string | undefined =>
  f.help ?? (f.names && f.names.length > 0 && f.names.length <= 12 ? `it can be ${list(f.names)}` : undefined);

const vendorNames = { intel: "Intel", amd: "AMD" } as const;

// Names and values

export const unknownName = diagnostic<Unknown>({
  code: "E3001",
  severity: "error",
  title: "A name that nothing declares",
  explanation:
    "A name in an expression is a label, a constant, a value of `each`, an argument of a macro, `module.name`, " +
    "`guest.label`, or a constant of the library by the manual's name (`CR0.PE`, `FLAGS.IF`). Case counts.",
  message: (f) => `nothing here is called ${f.name}`,
  label: () => "not known",
  help: (f) => f.help,
});

export const unknownWord = diagnostic<{ word: string; help?: string | undefined }>({
  code: "E3002",
  severity: "error",
  title: "A line that begins with an unknown word",
  explanation: "In code a line begins with an instruction, a macro, data (`db`) or a declaration such as `ring`.",
  message: (f) => `${f.word} is no instruction, macro or declaration`,
  help: (f) => f.help ?? (f.word.includes(".") ? "is its module named by `use`?" : undefined),
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
});

export const unknownModule = diagnostic<Unknown>({
  code: "E3008",
  severity: "error",
  title: "A module that does not exist",
  explanation: "`use NAME` names a module of the standard library.",
  message: (f) => `there is no module ${f.name}`,
  help: (f) => f.help,
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
});

export const missingArgument = diagnostic<{ macro: string; parameter: string }>({
  code: "E3014",
  severity: "error",
  title: "A macro without one of its arguments",
  explanation: "Every parameter without a default needs an argument.",
  message: (f) => `${f.macro} needs ${f.parameter}`,
  help: (f) => `give it, or give ${f.parameter} a default in the macro`,
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
  help: (f) => (f.kind === "mem" ? "memory operands stand in brackets: [address]" : undefined),
});

const kindWords: Readonly<Record<string, string>> = {
  reg: "a register",
  imm: "a number",
  mem: "a memory operand",
  label: "a label",
  name: "a name",
  block: "a block",
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
});

// Operands

export const noOperand = diagnostic<object>({
  code: "E3020",
  severity: "error",
  title: "A size word without an operand",
  explanation: "`byte`, `strict`, `short` and the like say something about the operand that follows them.",
  message: () => "the operand is missing",
});

export const twoOperands = diagnostic<object>({
  code: "E3021",
  severity: "error",
  title: "Two operands without a comma",
  explanation: "Operands are separated by commas.",
  message: () => "this does not belong to the operand before it",
  help: () => "put a comma between two operands",
});

export const badAddress = diagnostic<{ why: string }>({
  code: "E3022",
  severity: "error",
  title: "An address that no instruction can encode",
  explanation:
    "An address is a base, an index times 1, 2, 4 or 8, and a displacement. In 16-bit addresses bx or bp and si or di.",
  message: (f) => `this is no address: ${f.why}`,
});

export const noAddressRegister = diagnostic<{ name: string }>({
  code: "E3023",
  severity: "error",
  title: "A register that cannot stand in an address",
  explanation: "Addresses are made of general registers of 16, 32 or 64 bits.",
  message: (f) => `${f.name} cannot be part of an address`,
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

export const noPtr = diagnostic<object>({
  code: "E3026",
  severity: "error",
  title: "`ptr` after a size word",
  explanation: "The notation is NASM's, which has no `ptr`.",
  message: () => "`ptr` is not written here",
  help: () => "write `byte [x]`",
});

export const operandExpected = diagnostic<{ what: string }>({
  code: "E3027",
  severity: "error",
  title: "Something that is no operand",
  explanation: "An operand is a register, a memory operand in brackets, a number, or `selector:offset`.",
  message: (f) => `${f.what} is no operand`,
});

export const modifierOfMemory = diagnostic<{ word: string }>({
  code: "E3028",
  severity: "error",
  title: "A word that memory operands do not take",
  explanation: "`strict` is for numbers, `short` for jumps to a label.",
  message: (f) => `${f.word} says nothing about a memory operand`,
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
});

export const badBoundary = diagnostic<{ boundary: bigint; max: bigint }>({
  code: "E3031",
  severity: "error",
  title: "A boundary that is no power of two",
  explanation: "`align` takes a power of two.",
  message: (f) => `${f.boundary} is no power of two from 1 to ${f.max}`,
});

export const badCount = diagnostic<{ count: bigint; max: bigint }>({
  code: "E3032",
  severity: "error",
  title: "A count out of range",
  explanation: "Counts are positive and bounded, so that nothing grows without end.",
  message: (f) => `${f.count} is not between 0 and ${f.max}`,
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
});

export const prefixOfNothing = diagnostic<{ prefix: string }>({
  code: "E3035",
  severity: "error",
  title: "A prefix before something that is no instruction",
  explanation: "LOCK, REP and the like belong to instructions.",
  message: (f) => `${f.prefix} stands before no instruction`,
});

// Shape and place of declarations

export const declarationShape = diagnostic<{ shape: string }>({
  code: "E3040",
  severity: "error",
  title: "A declaration that lacks something or has too much",
  explanation: "Each declaration has one shape, which the message shows.",
  message: (f) => `this should read: ${f.shape}`,
});

export const namesExpected = diagnostic<{ what: string }>({
  code: "E3041",
  severity: "error",
  title: "Something else than names in a list of names",
  explanation: "The list consists of names, separated by commas.",
  message: (f) => `${f.what} are listed by name here`,
});

export const notAtFileLevel = diagnostic<{ word: string; help?: string | undefined }>({
  code: "E3042",
  severity: "error",
  title: "A line that does not belong at file level",
  explanation:
    "A file holds `use`, `const`, `struct`, `macro`, `data`, `platform`, `test`. Code stands in a guest of a test.",
  message: (f) => `${f.word} does not belong here, outside every test`,
  help: (f) => f.help,
});

export const notInTest = diagnostic<{ word: string; help?: string | undefined }>({
  code: "E3043",
  severity: "error",
  title: "A line that does not belong directly in a test",
  explanation:
    "A test holds its header (`on`, `vmm`, `each`, …), its guests, and `expect` lines. Code stands in a guest.",
  message: (f) => `${f.word} does not belong here, outside every guest`,
  help: (f) => f.help ?? "put code into `guest MODE { … }`",
});

export const onlyInGuest = diagnostic<object>({
  code: "E3044",
  severity: "error",
  title: "A declaration of the environment in plain code",
  explanation: "Page rules and handlers belong to a guest of a test.",
  message: () => "this belongs to a guest of a test",
});

export const nestedRing = diagnostic<object>({
  code: "E3045",
  severity: "error",
  title: "A ring inside a ring",
  explanation: "`ring 3 { … }` leaves ring 0 and comes back; it cannot be left from inside.",
  message: () => "this is already inside a ring",
});

export const badRing = diagnostic<{ ring: bigint }>({
  code: "E3046",
  severity: "error",
  title: "A ring that cannot be entered",
  explanation: "`ring` takes 0 or 3.",
  message: (f) => `the ring is 0 or 3, not ${f.ring}`,
});

export const unknownException = diagnostic<Unknown>({
  code: "E3047",
  severity: "error",
  title: "An exception that does not exist",
  explanation: "Exceptions have the manuals' names: `#GP`, `#PF`, `#UD`.",
  message: (f) => `there is no exception ${f.name}`,
  help: (f) => f.help,
});

export const badVector = diagnostic<{ vector: bigint }>({
  code: "E3048",
  severity: "error",
  title: "A vector out of range",
  explanation: "Vectors go from 0 to 255.",
  message: (f) => `a vector is a number from 0 to 255, not ${f.vector}`,
});

export const emptyRange = diagnostic<{ start: bigint; end: bigint }>({
  code: "E3049",
  severity: "error",
  title: "A range that ends before it starts",
  explanation: "Ranges name their first and their last member.",
  message: (f) => `the range ends at ${hex(f.end)}, before its start ${hex(f.start)}`,
});

export const elseWithoutIf = diagnostic<object>({
  code: "E3101",
  severity: "error",
  title: "An `else` that follows no `if`",
  explanation: "`else { … }` stands directly after the block of its `if`.",
  message: () => "this `else` follows no `if`",
});

// Tests and matrix

export const noTests = diagnostic<object>({
  code: "E3050",
  severity: "error",
  title: "A file without a test",
  explanation: "A file that is run holds at least one test, so that nothing passes by checking nothing.",
  message: () => "there is no test in this file",
});

export const noExpectation = diagnostic<{ name: string }>({
  code: "E3051",
  severity: "error",
  title: "A test that expects nothing",
  explanation: "A test states at least one event after `=>`, one `expect`, or a golden transcript.",
  message: (f) => `the test "${f.name}" expects nothing`,
  help: () => "say on a line what must happen there: `=> trap #GP(0)`, or `=> nothing`",
});

export const unknownPlatform = diagnostic<Unknown>({
  code: "E3052",
  severity: "error",
  title: "A platform that does not exist",
  explanation: "`on` lists platforms (`trapline platforms` shows them), groups such as `vtx2`, or `all`.",
  message: (f) => `there is no platform or group ${f.name}`,
  help: (f) => f.help,
});

export const emptyMatrix = diagnostic<{ what: string }>({
  code: "E3053",
  severity: "error",
  title: "A test that runs nowhere",
  explanation: "A test runs on every platform, under every VMM, with every value; each list needs a member.",
  message: (f) => `this test would never run: ${f.what}`,
});

export const cannotRun = diagnostic<{ platform: string; why: string }>({
  code: "E3054",
  severity: "error",
  title: "A platform that cannot run the test",
  explanation:
    "Members of a group that cannot run a test are skipped with the reason; a platform named itself must run it.",
  message: (f) => `the test cannot run on ${f.platform}: ${f.why}`,
  help: () => "name a group instead, whose members that cannot run it are skipped, or leave the platform out",
});

export const platformNotCovered = diagnostic<{ platform: string }>({
  code: "E3055",
  severity: "error",
  title: "A judgement that leaves out a platform",
  explanation: "Where a judgement is split by `on`, its clauses must cover every platform of the test.",
  message: (f) => `no clause says what happens on ${f.platform}`,
  help: (f) => `add \`on ${f.platform} => …\`, or a last clause without \`on\``,
});

export const clauseNeverReached = diagnostic<object>({
  code: "E3056",
  severity: "error",
  title: "A judgement that never counts",
  explanation: "The first clause that holds on the platform counts; after one without `on` none is reached.",
  message: () => "this clause is never reached",
  help: () => "put the clause without `on` last",
});

export const rowLength = diagnostic<{ given: number; names: readonly string[] }>({
  code: "E3057",
  severity: "error",
  title: "A row that does not fit its table",
  explanation: "A `row` has one value for each name of its `each`.",
  message: (f) =>
    `this row has ${f.given} value${f.given === 1 ? "" : "s"} for ${f.names.length}: ${f.names.join(", ")}`,
});

export const unknownTitleName = diagnostic<Unknown>({
  code: "E3058",
  severity: "error",
  title: "A title that shows a value that does not exist",
  explanation: "`{name}` in a title is replaced by the value of `each name`.",
  message: (f) => `the title shows {${f.name}}, and no \`each\` gives it a value`,
  help: (f) => f.help,
});

export const tooManyRows = diagnostic<{ limit: number }>({
  code: "E3104",
  severity: "error",
  title: "A test with too many rows",
  explanation: "The lines of `each` multiply; a test runs with each combination.",
  message: (f) => `the values of this test have more than ${f.limit} combinations`,
  help: () => "split the test, or loop over the values in the guest's code",
});

export const tooManyMistakes = diagnostic<{ limit: number }>({
  code: "E3105",
  severity: "error",
  title: "A file with too many mistakes",
  explanation: "After so many mistakes the tests that follow are not looked at.",
  message: (f) => `more than ${f.limit} mistakes: the tests from here on are not looked at`,
  help: () => "mend those above first",
});

// Guests

export const noGuest = diagnostic<{ name: string }>({
  code: "E3060",
  severity: "error",
  title: "A test without a guest",
  explanation: "The code of a test stands in a guest.",
  message: (f) => `the test "${f.name}" has no guest`,
  help: () => "add `guest long64 { … }`",
});

export const unknownMode = diagnostic<Unknown & { names: readonly string[] }>({
  code: "E3061",
  severity: "error",
  title: "A mode that does not exist",
  explanation: "A guest starts in one of the modes of the processor.",
  message: (f) => `there is no mode ${f.name}`,
  help: near,
});

export const twoOutermost = diagnostic<{ name: string }>({
  code: "E3062",
  severity: "error",
  title: "Two outermost guests",
  explanation: "One guest of a test is the outermost; each other one runs under a guest.",
  message: (f) => `${f.name} runs under no other guest, and there is already an outermost one`,
  help: (f) => `say under which guest it runs: guest MODE ${f.name} under NAME`,
});

export const guestCycle = diagnostic<{ name: string }>({
  code: "E3063",
  severity: "error",
  title: "Guests that run under each other",
  explanation: "Following `under` from any guest leads to the outermost one.",
  message: (f) => `${f.name} runs, in the end, under itself`,
});

// Judgements

export const nothingToJudge = diagnostic<{ what: string }>({
  code: "E3070",
  severity: "error",
  title: "A judgement on a line that executes nothing",
  explanation: "Judgements belong to instructions, bytes in code, and macros that hold some.",
  message: (f) => `${f.what} executes nothing that could be judged`,
});

export const unknownEvent = diagnostic<Unknown>({
  code: "E3071",
  severity: "error",
  title: "An event that does not exist",
  explanation: "Events begin with their kind: trap, exit, enter, fail, reject, inject, halt, …, or `nothing`.",
  message: (f) => `there is no event ${f.name}`,
  help: (f) => f.help,
});

export const unknownSubject = diagnostic<Unknown & { kind: string; what: string }>({
  code: "E3072",
  severity: "error",
  title: "An event with an unknown subject",
  explanation: "After the kind stands what the manual calls it: `trap #GP`, `exit CPUID`, `fail VMfailValid`.",
  message: (f) =>
    f.what === "subject" ? `no ${f.kind} is called ${f.name}` : `there is no ${f.what} called ${f.name}`,
  help: (f) => f.help,
});

export const noSubject = diagnostic<{ kind: string; name: string }>({
  code: "E3073",
  severity: "error",
  title: "A subject where there is none",
  explanation: "Some events, such as `halt`, have no subject.",
  message: (f) => `${f.kind} takes no name after it`,
  label: (f) => `${f.name} says nothing here`,
});

export const otherVendor = diagnostic<{
  name: string;
  platform: string;
  vendor: "intel" | "amd";
  /** The line stands in a block of declarations, which `on` splits by blocks. */
  isBlock?: true;
}>({
  code: "E3074",
  severity: "error",
  title: "A name of one vendor on a platform of the other",
  explanation: "Names that both manuals share hold on both; others only on their vendor's platforms.",
  message: (f) => `${f.name} is ${vendorNames[f.vendor]}'s, and the test also runs on ${f.platform}`,
  label: (f) => `never happens on ${f.platform}`,
  help: (f) => {
    const groups = f.vendor === "intel" ? "vtx1, vtx2" : "svm1, svm2";
    const others = f.vendor === "intel" ? "svm1, svm2" : "vtx1, vtx2";
    if (f.isBlock) return `put the line into \`on ${groups} { … }\``;
    return `split the line: \`on ${groups} => …\` and \`on ${others} => …\``;
  },
});

export const unknownField = diagnostic<Unknown & { what: string; names: readonly string[] }>({
  code: "E3075",
  severity: "error",
  title: "A field that an event does not have",
  explanation: "The fields in parentheses are those of the event; see docs/events.md.",
  message: (f) => `${f.what} has no field ${f.name}`,
  help: near,
});

export const noPositionalField = diagnostic<{ what: string; names: readonly string[] }>({
  code: "E3076",
  severity: "error",
  title: "A value without a name where the event has no first field",
  explanation: "Only some events have a field that may stand first without its name, as the error code of `#GP(0)`.",
  message: (f) => `${f.what} has no field that may stand without its name`,
  help: (f) => (f.names.length > 0 ? `write NAME: value; the names are ${list(f.names)}` : undefined),
});

export const unknownFieldWord = diagnostic<{
  field: string;
  word: string;
  words: readonly string[];
  help?: string | undefined;
}>({
  code: "E3077",
  severity: "error",
  title: "A word that a field cannot be",
  explanation: "Fields such as `access` are words; see docs/events.md.",
  message: (f) => `${f.field} is never ${f.word}`,
  help: (f) => near({ help: f.help, names: f.words }),
});

export const unknownParty = diagnostic<Unknown>({
  code: "E3078",
  severity: "error",
  title: "A party that does not exist",
  explanation: "Events belong to a guest by name, or to `vmm`, the bundled VMM.",
  message: (f) => `no guest is called ${f.name}`,
  help: (f) => f.help,
});

export const noVmm = diagnostic<object>({
  code: "E3079",
  severity: "error",
  title: "An event for the VMM where there is none",
  explanation: "Under `vmm none` the outermost guest owns the machine, and no bundled VMM receives anything.",
  message: () => "the test runs under `vmm none`: there is no vmm that could receive this",
  help: () => "add `vmm hardware`, or name the guest that receives it",
});

export const notAlone = diagnostic<{ word: string }>({
  code: "E3080",
  severity: "error",
  title: "`nothing`, `any` or `?` beside other events",
  explanation: "`nothing` says that no event happens, `any` opts out, `?` is filled in later: each stands alone.",
  message: (f) => `\`${f.word}\` stands alone`,
  help: () => "name every event that happens, or none",
});

export const roundNeedsTimes = diagnostic<object>({
  code: "E3081",
  severity: "error",
  title: "A round without a count before another round",
  explanation: "A list without `* n` holds every time the line runs, so nothing can come after it.",
  message: () => "how many times does this round happen before the next?",
  help: () => "write `* 1` after it",
});

export const badTimes = diagnostic<object>({
  code: "E3082",
  severity: "error",
  title: "A negative number of rounds",
  explanation: "`* n` counts executions of the line.",
  message: () => "a line cannot run less than 0 times",
});

export const twoPlaces = diagnostic<object>({
  code: "E3083",
  severity: "error",
  title: "Two places to go on at",
  explanation: "A judgement has one `goto`.",
  message: () => "this judgement already goes on elsewhere",
});

export const unknownRule = diagnostic<Unknown>({
  code: "E3100",
  severity: "error",
  title: "A rule that does not exist",
  explanation: "`rule:` names the manual's rule or the control bit that decided, by its id in docs/events.md.",
  message: (f) => `there is no rule ${f.name}`,
  help: (f) => f.help,
});

export const nobodyOutside = diagnostic<{ event: string }>({
  code: "E3106",
  severity: "error",
  title: "An event that needs somebody outside of the guest",
  explanation:
    "Exits, and what a VMM does for its guest, need a VMM. Under `vmm none` the outermost guest owns the machine, and " +
    "only guests that run under another guest exit.",
  message: (f) => `no ${f.event} can happen here: the test runs under \`vmm none\``,
  help: () => "add `vmm hardware`, or leave the event out",
});

// VMM and platform declarations

export const unknownVmm = diagnostic<Unknown & { names: readonly string[] }>({
  code: "E3084",
  severity: "error",
  title: "A VMM that does not exist",
  explanation:
    "`vmm` lists `none`, `hardware`, `hardware nested`, `trap_and_emulate`, `binary_translation`, and stacks.",
  message: (f) => `there is no VMM ${f.name}`,
  help: near,
});

export const policyOfNobody = diagnostic<object>({
  code: "E3085",
  severity: "error",
  title: "A policy without a VMM",
  explanation: "The block of `vmm` says what the bundled VMM does; `vmm none` has none.",
  message: () => "`vmm none` enforces nothing",
  help: () => "name a VMM, or remove the block",
});

export const unknownSetting = diagnostic<{ word: string; of: string; help?: string | undefined }>({
  code: "E3086",
  severity: "error",
  title: "A setting that does not exist",
  explanation: "VMMs take `intercept`, `memory`, `ports`, `msrs`; platforms take `firmware`, `memory`, `feature`.",
  message: (f) => `${f.of} has no setting ${f.word}`,
  help: (f) => f.help,
});

export const unknownRights = diagnostic<Unknown & { names: readonly string[] }>({
  code: "E3087",
  severity: "error",
  title: "Rights that do not exist",
  explanation: "A page is absent, ro, rw, user, supervisor, x or nx; a policy gives none or letters of rwx.",
  message: (f) => `${f.name} is no right`,
  help: near,
});

export const unknownWordOf = diagnostic<{
  word: string;
  what: string;
  words: readonly string[];
  help?: string | undefined;
}>({
  code: "E3088",
  severity: "error",
  title: "A word that a setting does not take",
  explanation: "The setting takes one of a few words.",
  message: (f) => `${f.what} is never ${f.word}`,
  help: (f) => near({ help: f.help, names: f.words }),
});

export const platformLacks = diagnostic<{ platform: string; lacks: string }>({
  code: "E3089",
  severity: "error",
  title: "A setting of something that the platform lacks",
  explanation: "Firmware can only switch what the processor has.",
  message: (f) => `${f.platform} has no ${f.lacks}`,
});

export const badMemory = diagnostic<{ least: bigint; most: bigint }>({
  code: "E3090",
  severity: "error",
  title: "An impossible size of memory",
  explanation: "Memory is a number of whole pages within bounds.",
  message: (f) => `memory is between ${f.least >> 20n}M and ${f.most >> 20n}M, in whole pages`,
});

export const unknownFeature = diagnostic<Unknown>({
  code: "E3091",
  severity: "error",
  title: "A CPU feature that does not exist",
  explanation: "Features have the manuals' names, as `trapline platforms NAME` lists them.",
  message: (f) => `there is no feature ${f.name}`,
  help: (f) => f.help,
});

export const notPages = diagnostic<{ start: bigint; end: bigint }>({
  code: "E3092",
  severity: "error",
  title: "A range that is not whole pages",
  explanation: "Second-level page tables protect pages of 4 KiB: a range starts at one and ends with one.",
  message: (f) => `${hex(f.start)} to ${hex(f.end)} is not whole pages`,
  help: (f) => `write ${hex(f.start & ~0xfffn)}..${hex(f.end | 0xfffn)}`,
});

export const beyond = diagnostic<{ value: bigint; max: bigint }>({
  code: "E3093",
  severity: "error",
  title: "A number beyond what there is",
  explanation: "Ports go to 0xffff, MSRs to 0xffffffff.",
  message: (f) => `${hex(f.value)} is more than ${hex(f.max)}`,
});

export const unknownInterrupt = diagnostic<Unknown & { names: readonly string[] }>({
  code: "E3094",
  severity: "error",
  title: "An interrupt that cannot be raised",
  explanation: "`raise` takes `intr VECTOR`, `nmi`, `init` or `smi`.",
  message: (f) => `${f.name} cannot be raised`,
  help: near,
});

// expect

export const constantCondition = diagnostic<{ holds: boolean }>({
  code: "E3095",
  severity: "error",
  title: "A condition that does not depend on the run",
  explanation: "An `expect` that reads nothing always holds, or never: it checks nothing.",
  message: (f) => `this ${f.holds ? "always" : "never"} holds: it reads nothing of the guest`,
});

export const sizeNeeded = diagnostic<{ text: string }>({
  code: "E3096",
  severity: "error",
  title: "Memory without a size",
  explanation: "What is read from memory has a size: byte, word, dword or qword.",
  message: (f) => `how many bytes are read at ${f.text}?`,
  help: (f) => `write dword ${f.text}`,
});

export const sizeOfNothing = diagnostic<object>({
  code: "E3097",
  severity: "error",
  title: "A size word before something that is not in memory",
  explanation: "In conditions a size word says how many bytes of memory are read.",
  message: () => "only memory takes a size here",
});

export const unknownQuestion = diagnostic<Unknown & { names: readonly string[] }>({
  code: "E3098",
  severity: "error",
  title: "A question that cannot be asked",
  explanation: "Conditions can ask `count(EVENT)`, `cycles(PARTY)`, `msr(NAME)`, `vmcs(FIELD)`, `vmcb(FIELD)`.",
  message: (f) => `${f.name}(…) asks nothing`,
  help: near,
});

export const unknownVmcbField = diagnostic<Unknown>({
  code: "E3099",
  severity: "error",
  title: "A VMCB field that does not exist",
  explanation: "Fields have the names of the AMD manual's VMCB layout.",
  message: (f) => `the VMCB has no field ${f.name}`,
  help: (f) => f.help,
});

export const comparedBeyond = diagnostic<{ value: bigint; bits: number }>({
  code: "E3107",
  severity: "error",
  title: "A comparison with a number that cannot be read",
  explanation: "A register or a place in memory of n bits is never equal to a number that does not fit in n bits.",
  message: (f) => `${hex(f.value)} does not fit in the ${f.bits} bits that are compared with it`,
  help: () => "compare with a smaller number, or read more bits",
});
