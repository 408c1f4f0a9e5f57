// Codes E304x shape and place of declarations, E305x tests and matrix, E306x guests, E308x VMM and platform declarations.

import { diagnostic } from "../diagnostic.js";
import { hex } from "../number.js";
import { list, near, type Unknown } from "./words.js";

// Shape and place of declarations

export const declarationShape = diagnostic<{ shape: string; lacks?: keyof typeof lacking | undefined }>({
  code: "E3040",
  severity: "error",
  title: "A declaration that lacks something or has too much",
  explanation: "Each declaration has one shape, which the message shows.",
  message: (f) => `this should read: ${f.shape}`,
  help: (f) =>
    f.lacks
      ? lacking[f.lacks]
      : "what is written in capitals is yours to fill in; docs/declarations.md explains each part",
});

const lacking = {
  block: "give it its block: `{` at the end of the line, `}` on a line of its own",
  range: "write both ends of the range, which belong to it: a page is for example 0x9000..0x9fff",
  quotes: "put the text between quotes",
};

export const namesExpected = diagnostic<{ what: string }>({
  code: "E3041",
  severity: "error",
  title: "Something else than names in a list of names",
  explanation: "The list consists of names, separated by commas.",
  message: (f) => `${f.what} are listed by name here`,
  help: () => "write bare words, separated by commas: no quotes, numbers or expressions",
});

export const notAtFileLevel = diagnostic<{ word: string; help?: string | undefined }>({
  code: "E3042",
  severity: "error",
  fixable: true,
  title: "A line that does not belong at file level",
  explanation:
    "A file holds `use`, `const`, `struct`, `macro`, `data`, `platform`, `test`. Code stands in a guest of a test.",
  message: (f) => `${f.word} does not belong here, outside every test`,
  help: (f) => f.help ?? "put it into a test: code stands in `guest MODE { … }`, expectations beside it",
});

export const notInTest = diagnostic<{ word: string; help?: string | undefined }>({
  code: "E3043",
  severity: "error",
  fixable: true,
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
  help: () => "move it into `guest MODE { … }` of a test",
});

export const nestedRing = diagnostic<object>({
  code: "E3045",
  severity: "error",
  title: "A ring inside a ring",
  explanation: "`ring 3 { … }` leaves ring 0 and comes back; it cannot be left from inside.",
  message: () => "this is already inside a ring",
  help: () => "end the outer ring before it: close its block, and open a new one behind this one",
});

export const badRing = diagnostic<{ ring: bigint }>({
  code: "E3046",
  severity: "error",
  title: "A ring that cannot be entered",
  explanation: "`ring` takes 0 or 3.",
  message: (f) => `the ring is 0 or 3, not ${f.ring}`,
  help: () => "write ring 3; rings 1 and 2 can be entered by the guest's own code, with IRET",
});

export const unknownException = diagnostic<Unknown>({
  code: "E3047",
  severity: "error",
  fixable: true,
  title: "An exception that does not exist",
  explanation: "Exceptions have the manuals' names: `#GP`, `#PF`, `#UD`.",
  message: (f) => `there is no exception ${f.name}`,
  help: (f) => f.help ?? "write a name such as #GP, #PF or #UD, or the vector as a number",
});

export const badVector = diagnostic<{ vector: bigint }>({
  code: "E3048",
  severity: "error",
  title: "A vector out of range",
  explanation: "Vectors go from 0 to 255.",
  message: (f) => `a vector is a number from 0 to 255, not ${f.vector}`,
  help: () => "write a number from 0 to 255, or the name of an exception such as #GP",
});

export const emptyRange = diagnostic<{ start: bigint; end: bigint }>({
  code: "E3049",
  severity: "error",
  title: "A range that ends before it starts",
  explanation: "Ranges name their first and their last member.",
  message: (f) => `the range ends at ${hex(f.end)}, before its start ${hex(f.start)}`,
  help: (f) => `write ${hex(f.end)}..${hex(f.start)}, or END as the last address that belongs to it`,
});

export const elseWithoutIf = diagnostic<object>({
  code: "E3101",
  severity: "error",
  title: "An `else` that follows no `if`",
  explanation: "`else { … }` stands directly after the block of its `if`.",
  message: () => "this `else` follows no `if`",
  help: () => "put it directly behind the `}` of an `if` block, with nothing in between",
});

// Tests and matrix

export const noTests = diagnostic<object>({
  code: "E3050",
  severity: "error",
  title: "A file without a test",
  explanation: "A file that is run holds at least one test, so that nothing passes by checking nothing.",
  message: () => "there is no test in this file",
  help: () => 'add `test "NAME" { … }` with a guest and what must happen in it',
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
  fixable: true,
  title: "A platform that does not exist",
  explanation: "`on` lists platforms (`trapline platforms` shows them), groups such as `vtx2`, or `all`.",
  message: (f) => `there is no platform or group ${f.name}`,
  help: (f) => {
    const groups = { intel: "`vtx1, vtx2`", amd: "`svm1, svm2`" }[f.name.toLowerCase()];
    if (groups !== undefined) return `the groups of its processors with hardware virtualization are ${groups}`;
    return f.help ?? "`trapline platforms` lists platforms and groups; `platform` declares another one";
  },
});

export const emptyMatrix = diagnostic<{ what: string }>({
  code: "E3053",
  severity: "error",
  title: "A test that runs nowhere",
  explanation: "A test runs on every platform, under every VMM, with every value; each list needs a member.",
  message: (f) => `this test would never run: ${f.what}`,
  help: () => "add a line `row VALUE, …` to it, or remove the `each`",
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

export const platformNotCovered = diagnostic<{ names: readonly string[] }>({
  code: "E3055",
  severity: "error",
  fixable: true,
  title: "A judgement that leaves out a platform",
  explanation: "Where a judgement is split by `on`, its clauses must cover every platform of the test.",
  message: (f) => `no clause says what happens on ${list(f.names)}`,
  help: (f) => `add \`on ${f.names.join(", ")} => …\`, or a last clause without \`on\``,
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
  help: (f) => `write row ${f.names.map((name) => name.toUpperCase()).join(", ")}`,
});

export const unknownTitleName = diagnostic<Unknown>({
  code: "E3058",
  severity: "error",
  title: "A title that shows a value that does not exist",
  explanation: "`{name}` in a title is replaced by the value of `each name`.",
  message: (f) => `the title shows {${f.name}}, and no \`each\` gives it a value`,
  help: (f) => f.help ?? `add \`each ${f.name} = VALUE, …\`, or write the title without braces`,
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
  help: () => "leave `under` out of the guest that is the outermost",
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
  help: (f) => f.help ?? settingHelp(f.of),
});

function settingHelp(of: string): string {
  if (of === "a structure") return "a field is `NAME: dd`, with db, dw, dd, dq or zero COUNT behind its name";
  return "docs/declarations.md lists the settings of every declaration";
}

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
  help: (f) => `remove the line, or derive the platform from one that has ${f.lacks}`,
});

export const badMemory = diagnostic<{ least: bigint; most: bigint }>({
  code: "E3090",
  severity: "error",
  title: "An impossible size of memory",
  explanation: "Memory is a number of whole pages within bounds.",
  message: (f) => `memory is between ${f.least >> 20n}M and ${f.most >> 20n}M, in whole pages`,
  help: () => "write for example memory 64M",
});

export const unknownFeature = diagnostic<Unknown>({
  code: "E3091",
  severity: "error",
  title: "A CPU feature that does not exist",
  explanation:
    "Features have the manuals' names, as `trapline platforms NAME` lists them. `requires` also takes a VMX control " +
    "that the processor must allow, such as ENABLE_EPT.",
  message: (f) => `there is no feature ${f.name}`,
  help: (f) => f.help ?? "`trapline platforms NAME` lists the features of a platform",
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
  help: (f) => `write a range that ends at ${hex(f.max)} or before`,
});

export const unknownInterrupt = diagnostic<Unknown & { names: readonly string[] }>({
  code: "E3094",
  severity: "error",
  title: "An interrupt that cannot be raised",
  explanation: "`raise` takes `intr VECTOR`, `nmi`, `init` or `smi`.",
  message: (f) => `${f.name} cannot be raised`,
  help: near,
});
