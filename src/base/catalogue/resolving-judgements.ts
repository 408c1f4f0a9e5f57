// Codes E307x judgements, E309x `expect`.

import { diagnostic } from "../diagnostic.js";
import { hex } from "../number.js";
import { list, near, type Unknown } from "./words.js";

const vendorNames = { intel: "Intel", amd: "AMD" } as const;

// Judgements

export const nothingToJudge = diagnostic<{ what: string; isBody?: true }>({
  code: "E3070",
  severity: "error",
  title: "A judgement on a line that executes nothing",
  explanation: "Judgements belong to instructions, bytes in code, and macros that hold some.",
  message: (f) =>
    f.isBody
      ? `${f.what} has no line left to judge: each has its own judgement, or executes nothing`
      : `${f.what} executes nothing that could be judged`,
  help: () => "put the judgement on the instruction at which it happens",
});

export const unknownEvent = diagnostic<Unknown>({
  code: "E3071",
  severity: "error",
  fixable: true,
  title: "An event that does not exist",
  explanation: "Events begin with their kind: trap, exit, enter, fail, reject, inject, halt, …, or `nothing`.",
  message: (f) => `there is no event ${f.name}`,
  help: (f) => f.help ?? "write for example trap #GP(0), exit CPUID or nothing; docs/events.md lists all events",
});

export const unknownSubject = diagnostic<Unknown & { kind: string; what: string }>({
  code: "E3072",
  severity: "error",
  fixable: true,
  title: "An event with an unknown subject",
  explanation: "After the kind stands what the manual calls it: `trap #GP`, `exit CPUID`, `fail VMfailValid`.",
  message: (f) =>
    f.what === "subject" ? `no ${f.kind} is called ${f.name}` : `there is no ${f.what} called ${f.name}`,
  help: (f) => f.help ?? (f.what === "guest" ? "name a guest of this test" : "docs/events.md lists the names"),
});

export const noSubject = diagnostic<{ kind: string; name: string }>({
  code: "E3073",
  severity: "error",
  title: "A subject where there is none",
  explanation: "Some events, such as `halt`, have no subject.",
  message: (f) => `${f.kind} takes no name after it`,
  label: (f) => `${f.name} says nothing here`,
  help: (f) => `remove ${f.name}: write only ${f.kind}`,
});

export const otherVendor = diagnostic<{
  name: string;
  platform: string;
  vendor: "intel" | "amd";
  /** The line stands in a block of declarations, which `on` splits by blocks. */
  isBlock?: true;
  /** The platforms of the test that are the vendor's, and the others. */
  own?: readonly string[];
  others?: readonly string[];
}>({
  code: "E3074",
  severity: "error",
  fixable: true,
  title: "A name of one vendor on a platform of the other",
  explanation: "Names that both manuals share hold on both; others only on their vendor's platforms.",
  message: (f) => `${f.name} is ${vendorNames[f.vendor]}'s, and the test also runs on ${f.platform}`,
  label: (f) => `never happens on ${f.platform}`,
  help: (f) => {
    const groups = f.own?.join(", ") ?? (f.vendor === "intel" ? "vtx1, vtx2" : "svm1, svm2");
    const others = f.others?.join(", ") ?? (f.vendor === "intel" ? "svm1, svm2" : "vtx1, vtx2");
    if (f.isBlock) return `put the line into \`on ${groups} { … }\``;
    return `split the line: \`on ${groups} => …\` and \`on ${others} => …\``;
  },
});

export const unknownField = diagnostic<Unknown & { what: string; names: readonly string[] }>({
  code: "E3075",
  severity: "error",
  fixable: true,
  title: "A field that an event does not have",
  explanation: "The fields in parentheses are those of the event; see docs/events.md.",
  message: (f) => `${f.what} has no field ${f.name}`,
  help: (f) => (f.names.length === 0 ? "remove it with its parentheses" : near(f)),
});

export const noPositionalField = diagnostic<{ what: string; names: readonly string[] }>({
  code: "E3076",
  severity: "error",
  title: "A value without a name where the event has no first field",
  explanation: "Only some events have a field that may stand first without its name, as the error code of `#GP(0)`.",
  message: (f) => `${f.what} has no field that may stand without its name`,
  help: (f) => (f.names.length > 0 ? `write NAME: value; the names are ${list(f.names)}` : "remove the parentheses"),
});

export const unknownFieldWord = diagnostic<{
  field: string;
  word: string;
  words: readonly string[];
  help?: string | undefined;
}>({
  code: "E3077",
  severity: "error",
  fixable: true,
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
  help: (f) => f.help ?? "write the name of a guest of this test, or vmm",
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
  help: () => "write how often the line runs, `* 1` or more, or leave it out where each time is alike",
});

export const twoPlaces = diagnostic<object>({
  code: "E3083",
  severity: "error",
  title: "Two places to go on at",
  explanation: "A judgement has one `goto`.",
  message: () => "this judgement already goes on elsewhere",
  help: () => "leave one `goto` of this judgement",
});

export const unknownRule = diagnostic<Unknown>({
  code: "E3100",
  severity: "error",
  title: "A rule that does not exist",
  explanation: "`rule:` names the manual's rule or the control bit that decided, by its id in docs/events.md.",
  message: (f) => `there is no rule ${f.name}`,
  help: (f) => f.help ?? "docs/rules.md lists the rules",
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

// expect

export const constantCondition = diagnostic<{ holds: boolean }>({
  code: "E3095",
  severity: "error",
  title: "A condition that does not depend on the run",
  explanation: "An `expect` that reads nothing always holds, or never: it checks nothing.",
  message: (f) => `this ${f.holds ? "always" : "never"} holds: it reads nothing of the guest`,
  help: () => "compare a register, flags, memory such as dword [0x9000], or count(EVENT)",
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
  help: () => "remove the size word; a part of a register has its own name, or is masked with &",
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
  help: (f) => f.help ?? "write the name as the VMCB layout in the AMD manual has it, such as EXITCODE",
});

export const comparedBeyond = diagnostic<{ value: bigint; bits: number }>({
  code: "E3107",
  severity: "error",
  title: "A comparison with a number that cannot be read",
  explanation: "A register or a place in memory of n bits is never equal to a number that does not fit in n bits.",
  message: (f) => `${hex(f.value)} does not fit in the ${f.bits} bits that are compared with it`,
  help: () => "compare with a smaller number, or read more bits",
});
