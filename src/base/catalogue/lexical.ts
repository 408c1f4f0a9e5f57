// Codes E1…: what the lexer reports.

import { diagnostic } from "../diagnostic.js";

export const unknownCharacter = diagnostic<{ character: string; hint?: string }>({
  code: "E1001",
  severity: "error",
  fixable: true,
  title: "A character that the language does not use",
  explanation:
    "Outside strings and comments a file consists of words, numbers, strings and the signs of the grammar. Typographic " +
    "quotes, long dashes and spaces of other scripts often arrive with text that was copied from a document.",
  message: (f) => `${f.character} has no meaning here`,
  help: (f) => f.hint ?? "remove it, or put it into a string or a comment",
});

export const openString = diagnostic<{ quote: string }>({
  code: "E1002",
  severity: "error",
  title: "A string that does not end on its line",
  explanation:
    "A string stands between two equal quotes on one line. The quotes \" and ' take everything between them as it " +
    "stands; in a string between backquotes \\n, \\t, \\0, \\xHH, \\\\ and \\` mean what they mean in C.",
  message: () => "this string does not end on its line",
  label: (f) => `no ${f.quote} before the end of the line`,
  help: (f) => `close it with ${f.quote}`,
});

export const badNumber = diagnostic<{ text: string; reason: string; help: string }>({
  code: "E1003",
  severity: "error",
  title: "A number that cannot be read",
  explanation:
    "Numbers are whole. They are written 10, 0x1f, 0b101, 0o17, or with a last letter as in NASM: 1fh (with a digit " +
    "first: 0ffh), 101b, 17o, 10d. `_` may stand between digits. K, M and G after a decimal number multiply by 1024.",
  message: (f) => `${f.text} is not a number: ${f.reason}`,
  help: (f) => f.help,
});

export const hugeNumber = diagnostic<{ text: string }>({
  code: "E1004",
  severity: "error",
  title: "A number that needs more than 64 bits",
  explanation: "Expressions are 64 bits wide. Wider data is written as several numbers: `dq 0x1, 0x2`.",
  message: (f) => `${f.text} does not fit in 64 bits`,
  help: () => "the largest number is 0xffff_ffff_ffff_ffff; write wider data as several numbers",
});

export const badEscape = diagnostic<{ escape: string }>({
  code: "E1005",
  severity: "error",
  title: "An escape that strings do not know",
  explanation:
    "Between backquotes \\n, \\r, \\t, \\a, \\b, \\e, \\f, \\v, \\0, \\xHH, \\\\, \\', \\\" and \\` stand for one byte " +
    "each. Between the other quotes a backslash is an ordinary character.",
  message: (f) => `${f.escape} stands for nothing in a string`,
  help: () => "write \\xHH for a byte by its hexadecimal value, or \\\\ for a backslash",
});

export const bareHash = diagnostic<{ next: string }>({
  code: "E1006",
  severity: "error",
  fixable: true,
  title: "`#` without the name of an exception",
  explanation: "`#` begins the name of an exception, such as #GP or #PF. Comments begin with `;`.",
  message: () => "`#` must be followed by the name of an exception",
  help: (f) => (f.next === " " ? "if this is a comment, begin it with `;`" : "write for example #GP, #PF or #UD"),
});

export const foreignComment = diagnostic<{ text: string }>({
  code: "E1007",
  severity: "error",
  fixable: true,
  title: "A comment in the manner of another language",
  explanation: "Comments begin with `;` and end with the line; `;;` above a statement documents it.",
  message: (f) => `${f.text} does not begin a comment`,
  help: () => "begin the comment with `;`",
});

export const strayBackslash = diagnostic({
  code: "E1008",
  severity: "error",
  title: "A backslash that does not end its line",
  explanation: "A backslash at the end of a line joins the next line to it. Only spaces and a comment may follow it.",
  message: () => "a backslash joins lines only where it is the last thing on its line",
  help: () => "remove it, or move what follows to the next line",
});

export const preprocessor = diagnostic<{ directive: string }>({
  code: "E1009",
  severity: "error",
  fixable: true,
  title: "A directive of NASM's preprocessor",
  explanation:
    "The language has no preprocessor. `macro name(parameters) { … }` declares a macro, `const NAME = value` a " +
    "constant, `use module` brings in a module.",
  message: (f) => `${f.directive} belongs to NASM's preprocessor, which this language does not have`,
  help: (f) =>
    ofMacro(f.directive) ??
    directives[f.directive.toLowerCase()] ??
    "write `macro NAME(PARAMETERS) { … }`, `if`, `for` or `const`",
});

/** `%1` and `%%label`. */
function ofMacro(directive: string): string | undefined {
  if (/^%\d/.test(directive)) return "write the parameter's name: `macro NAME(FIRST, SECOND) { … }` gives it one";
  return directive.startsWith("%%") ? "write the label alone: labels in a macro are each use's own" : undefined;
}

const asConstant = "write `const NAME = VALUE`";
const asBlock = "end the block with `}`";
/** What is written here in place of a directive. */
const directives: Readonly<Record<string, string>> = {
  ...{ "%define": asConstant, "%xdefine": asConstant, "%assign": asConstant, "%equ": asConstant },
  ...{
    "%macro": "write `macro NAME(PARAMETERS) { … }`, and name the parameters",
    "%imacro": "write `macro NAME(PARAMETERS) { … }`",
  },
  ...{ "%endmacro": asBlock, "%endif": asBlock, "%endrep": asBlock },
  ...{ "%if": "write `if CONDITION { … }`", "%ifdef": "write `if CONDITION { … }`", "%elif": "write `else { if … }`" },
  ...{ "%else": "write `else { … }`", "%rep": "write `repeat COUNT { … }`, or `for NAME in FIRST..LAST { … }`" },
  "%include": "write `use MODULE` for a module of the library; `embed` puts a file's bytes into data",
  "%error": "state what must hold by `expect`",
};

export const otherSyntax = diagnostic<{ text: string }>({
  code: "E1010",
  severity: "error",
  title: "A register or number in AT&T syntax",
  explanation:
    "The syntax is Intel's, as NASM writes it: the destination stands first, registers have no `%`, immediates no `$`, " +
    "memory stands in brackets, and the size of an operand before it, not behind the mnemonic.",
  message: (f) => `${f.text} is AT&T syntax`,
  help: () => "write Intel syntax, the destination first: `mov eax, 5`, `mov eax, dword [ebx + 4]`",
});
