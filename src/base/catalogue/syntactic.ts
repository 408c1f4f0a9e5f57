// Codes E2…: what the parser reports.

import { diagnostic } from "../diagnostic.js";

export const openBlock = diagnostic({
  code: "E2001",
  severity: "error",
  title: "A block that is never closed",
  explanation:
    "Every `{` needs its `}`. Where braces do not balance, indentation decides which block is meant: the one whose " +
    "end is missing is the one that a `}` further left, or the next declaration of the file, would have cut short.",
  message: () => "this block is never closed",
  label: () => "opened here",
  help: () => "add `}` on a line of its own where the block ends",
});

export const closesNothing = diagnostic<{ text: string }>({
  code: "E2002",
  severity: "error",
  title: "A closing bracket without an opening one",
  explanation: "Brackets come in pairs: `{ }` for blocks, `( )` for groups and fields, `[ ]` for memory.",
  message: (f) => `this ${f.text} closes nothing`,
  help: () => "remove it, or add the opening bracket",
});

export const openBracket = diagnostic<{ open: string; close: string }>({
  code: "E2003",
  severity: "error",
  title: "A parenthesis or bracket that is never closed",
  explanation:
    "A group, a list of fields and a memory operand end with the bracket that belongs to them. Newlines inside " +
    "parentheses do not count, so a list of fields may take several lines; a memory operand stands on one line.",
  message: (f) => `this ${f.open} is never closed`,
  label: (f) => `no ${f.close} follows`,
  help: (f) => `add ${f.close} where it ends`,
});

export const closeExpected = diagnostic<{ found: string; close: string }>({
  code: "E2004",
  severity: "error",
  title: "Something stands where a bracket should close",
  explanation:
    "Between brackets stands one expression, or a list whose parts are separated by commas. Two values side by side " +
    "need an operator between them.",
  message: (f) => `${f.found} does not fit here`,
  label: (f) => `expected an operator or ${f.close}`,
  help: (f) => `close with ${f.close} before it, or put an operator or a comma in between`,
});

export const missingValue = diagnostic<{ after: string; found?: string; isCompared?: boolean }>({
  code: "E2005",
  severity: "error",
  title: "A value is missing",
  explanation:
    "After a comma, an operator, an opening bracket, `:`, `=` or `..` a value must follow: a number, a name, a string, " +
    "a memory operand in brackets, or an expression of these.",
  message: (f) => (f.found === undefined ? `a value is missing after ${f.after}` : `${f.found} is not a value`),
  label: (f) => (f.found === undefined ? "nothing follows" : `a value must follow ${f.after}`),
  help: (f) => {
    if (f.isCompared) return "write what must hold on the next line: `expect eax == 5`";
    return valueHelp(f.after, f.found);
  },
});

function valueHelp(after: string, found: string | undefined): string {
  return found === undefined ? `write the value, or remove ${after}` : `write a value between ${after} and ${found}`;
}

export const unexpected = diagnostic<{
  found: string;
  after: "statement" | "event" | "block" | "names";
  /** An exception that stands before a number. */
  exception?: string;
  /** One more name stands in a list of names. */
  isName?: boolean;
}>({
  code: "E2006",
  severity: "error",
  fixable: true,
  title: "Something stands where a line should end",
  explanation:
    "A line holds one statement: labels, an instruction or declaration with its operands, a block, a judgement after " +
    "`=>`. What can follow depends on what stands before: operands are separated by commas, events by commas or " +
    "`then`, and after a block only a judgement can stand.",
  message: (f) => `${f.found} does not fit here`,
  label: (f) => whatMayFollow[f.after],
  help: (f) => {
    if (f.isName) return `put a comma before ${f.found}: names are separated by commas`;
    if (f.exception === undefined) return `remove ${f.found}, or put what it begins on a line of its own`;
    return `put the error code in parentheses: \`${f.exception}(${f.found.replaceAll("`", "")})\``;
  },
});

const whatMayFollow = {
  statement: "expected `,`, `=>` or the end of the line",
  event: "expected `(`, `,`, `to`, `goto`, `then`, `*` or the end of the line",
  block: "expected `=>` or the end of the line",
  names: "expected `,`, `{`, `=>` or the end of the line",
} as const;

export const missingEvent = diagnostic<{ after: string; found?: string }>({
  code: "E2007",
  severity: "error",
  title: "An event is missing",
  explanation:
    "After `=>`, and after `,` and `then` in a judgement, an event must follow: `nothing`, `any`, `?`, or a kind of " +
    "event such as `trap #GP(0)` or `exit CPUID`.",
  message: (f) =>
    f.found === undefined ? `an event is missing after ${f.after}` : `${f.found} does not begin an event`,
  label: (f) => (f.found === undefined ? "nothing follows" : `an event must follow ${f.after}`),
  help: (f) => {
    const exception = /^`(#\w+)`$/.exec(f.found ?? "")?.[1];
    if (exception !== undefined) return `write \`trap ${exception}\``;
    return "write what must happen, for example `trap #GP(0)`, or `nothing`";
  },
});

export const judgesNothing = diagnostic({
  code: "E2008",
  severity: "error",
  title: "A judgement without a line to judge",
  explanation: "A line that begins with `=>` or `on … =>` belongs to the statement above it in the same block.",
  message: () => "this judgement has no line above it",
  help: () => "put it below the instruction that it is about, or on the same line",
});

export const chainedComparison = diagnostic<{ first: string; second: string }>({
  code: "E2009",
  severity: "error",
  title: "Comparisons in a chain",
  explanation:
    "A comparison gives 1 or 0, and comparing that again is nearly always a mistake. Two comparisons are joined by " +
    "`&&`; if the chain is meant, parentheses say so.",
  message: (f) => `${f.first} and ${f.second} cannot stand in a chain`,
  label: () => "compares the result of a comparison",
  help: () => "join two comparisons with `&&`, or put parentheses around the first",
});

export const nestedTooDeeply = diagnostic<{ limit: number }>({
  code: "E2010",
  severity: "error",
  title: "Brackets nested too deeply",
  explanation:
    "Blocks, parentheses and brackets may stand inside one another up to a fixed depth, far beyond real use.",
  message: (f) => `more than ${f.limit} brackets stand inside one another here`,
  help: () => "give parts of it a name: a macro for a block, a `const` for an expression",
});

export const longExpression = diagnostic<{ limit: number }>({
  code: "E2011",
  severity: "error",
  title: "An expression with too many operators",
  explanation: "One expression may hold a fixed number of operators, far beyond real use.",
  message: (f) => `this expression has more than ${f.limit} operators`,
  help: () => "give parts of it a name with `const`",
});

export const missingName = diagnostic<{ after: string; what: string; found?: string }>({
  code: "E2012",
  severity: "error",
  title: "A name is missing",
  explanation:
    "`to` is followed by the name of a guest or `vmm`, `goto` by a label, `on` by names of platforms and groups " +
    "separated by commas.",
  message: (f) => (f.found === undefined ? `${f.what} is missing after ${f.after}` : `${f.found} is not ${f.what}`),
  label: (f) => (f.found === undefined ? "nothing follows" : `${f.what} must follow ${f.after}`),
  help: (f) => `write ${f.what} after ${f.after}`,
});

export const fieldOrder = diagnostic<{ text: string }>({
  code: "E2013",
  severity: "error",
  title: "A field without a name that does not stand first",
  explanation:
    "An event has at most one field without a name, such as the error code in `trap #GP(0)`, and it stands first. All " +
    "others are named: `exit CR_ACCESS(cr: 4, access: mov_to_cr)`.",
  message: (f) => `the field ${f.text} needs a name`,
  help: (f) => `write \`name: ${f.text}\``,
});

export const dottedLabel = diagnostic<{ name: string; first: string; last: string }>({
  code: "E2014",
  severity: "error",
  title: "A label with a dot inside",
  explanation:
    "A label is one word; a local label is a word after a dot, and belongs to the label above it. The dotted form " +
    "`label.local` refers to a local label from elsewhere.",
  message: (f) => `${f.name} cannot be a label`,
  label: () => "a dot inside a label",
  help: (f) => `write \`.${f.last}:\` below \`${f.first}:\`, or join the words with \`_\``,
});

export const wrongArrow = diagnostic<{ text: string; name: string }>({
  code: "E2015",
  severity: "error",
  fixable: true,
  title: "Another sign where `=>` is meant",
  explanation: "What a line must do stands after `=>`.",
  message: (f) => `\`${f.text}\` does not begin a judgement`,
  help: (f) => (f.text === "=" ? `write \`=>\`, or \`const ${f.name} = …\` to declare a constant` : "write `=>`"),
});

export const badLineStart = diagnostic<{ found: string; isDirective?: boolean }>({
  code: "E2016",
  severity: "error",
  title: "A line that begins with something else than a word",
  explanation:
    "A line begins with a label, with the name of an instruction, a macro or a declaration, or with `=>` where it " +
    "judges the line above.",
  message: (f) => `a line cannot begin with ${f.found}`,
  help: (f) =>
    f.isDirective
      ? "leave NASM's directives out: the guest's mode says how wide its code is, and data stands in `data { … }`"
      : "begin with an instruction or declaration; data needs `db`, `dw`, `dd` or `dq` in front, values of `each` `row`",
});

export const tooManyMistakes = diagnostic<{ limit: number }>({
  code: "E2017",
  severity: "error",
  title: "Too many mistakes in one file",
  explanation: "After a fixed number of mistakes the rest of a file is not read: it is probably no Trapline source.",
  message: (f) => `more than ${f.limit} mistakes; the file is not read beyond this place`,
  help: () => "mend the mistakes above first",
});

export const tooLong = diagnostic<{ limit: number; isWrong: boolean }>({
  code: "E2025",
  severity: "error",
  title: "A file that is too long",
  explanation:
    "A file may have four million words, signs and comments, some million lines. Longer ones are not read, so that " +
    "time and memory stay in hand; a folder may hold any number of files. Where something in a file is wrong, finding " +
    "out what takes many times the memory of reading it: of a file of more than a million words only the place is told.",
  message: (f) =>
    f.isWrong
      ? `this does not fit; of a file of more than ${f.limit} words, signs and comments no more is said`
      : `the file has more than ${f.limit} words, signs and comments, and is not read`,
  label: (f) => (f.isWrong ? "the first place that could not be read" : "so many stand before this place"),
  help: (f) => (f.isWrong ? "put the test around this place into a file of its own" : "split it into several files"),
});

export const onWithoutNames = diagnostic({
  code: "E2018",
  severity: "error",
  title: "`on` without names",
  explanation:
    "`on` says where something holds: it is followed by names of platforms and groups, such as `on vtx1, haswell`.",
  message: () => "`on` needs the names of platforms or groups",
  help: () => "write for example `on vtx2, svm2`, or `on all`",
});

export const braceOnOwnLine = diagnostic({
  code: "E2019",
  severity: "error",
  fixable: true,
  title: "A `{` on a line of its own",
  explanation: "A line holds one statement, and a block belongs to its statement: `{` stands at the end of that line.",
  message: () => "`{` must stand on the line whose block it opens",
  help: () => "move it to the end of the line above",
});

export const parenthesizedOperands = diagnostic<{ name: string }>({
  code: "E2020",
  severity: "error",
  fixable: true,
  title: "Operands in parentheses",
  explanation:
    "Operands of instructions, macros and declarations follow their name without parentheses, separated by commas. " +
    "Parentheses after a name belong to expressions, such as `count(exit CPUID)`, and to the fields of events.",
  message: (f) => `the operands of ${f.name} stand without parentheses`,
  help: (f) => `write \`${f.name} first, second\``,
});

export const secondArrow = diagnostic({
  code: "E2021",
  severity: "error",
  title: "Two judgements on one line",
  explanation:
    "A line has one `=>`. Several events of one execution are separated by commas, further executions by `then`, and " +
    "what holds on other platforms stands on lines of its own: `on svm2 => nothing`.",
  message: () => "this line has a judgement already",
  help: () => "separate events by `,`, rounds by `then`; put what holds elsewhere on a line `on … => …`",
});

export const fieldSign = diagnostic<{ name: string }>({
  code: "E2022",
  severity: "error",
  fixable: true,
  title: "A field written with `=`",
  explanation: "The fields of an event are written with a colon: `exit CR_ACCESS(cr: 4, access: mov_to_cr)`.",
  message: (f) => `the field ${f.name} is written with \`:\``,
  help: (f) => `write \`${f.name}: …\``,
});

export const bareAlternatives = diagnostic({
  code: "E2023",
  severity: "error",
  title: "Alternatives without parentheses",
  explanation: "`any of` is followed by a list in parentheses: any one of its events may come.",
  message: () => "the alternatives after `any of` stand in parentheses",
  help: () => "write `any of (first, second)`",
});

export const lateOn = diagnostic({
  code: "E2024",
  severity: "error",
  title: "`on` behind a judgement",
  explanation:
    "What holds on some platforms only stands on a line of its own below the instruction, the platforms first: " +
    "`on vtx1, haswell => exit CPUID`.",
  message: () => "`on` stands before the judgement that it limits",
  help: () => "put `on … => …` on a line of its own below the instruction",
});
