// What people write who come from another assembler, or who put a line in the wrong place, and what is written here
// instead. Only where the mend is certain a fix comes with the words.

import { spanText, type Fix, type Span } from "../base/index.js";
import { isMnemonic } from "../isa/index.js";
import { keywordsOf, prefixWords, type Arg, type Place, type Statement } from "../syntax/index.js";
import { dataUnits } from "./data.js";
import { onlyExpr } from "./names.js";

/** What to write instead of a line. */
export interface Advice {
  readonly help: string;
  readonly fix?: Fix;
}

/** The label or constant that a line means to declare in another assembler's way, so that its uses are not unknown too. */
export function meantName(statement: Statement): { readonly text: string; readonly span: Span } | undefined {
  const { head } = statement;
  if (!head) return undefined;
  const isAlone = statement.args.length === 0 && !statement.block && statement.judgements.length === 0;
  if (!isAlone && !isDeclared(secondWord(statement))) return undefined;
  return keywordsOf("guest").has(head.text) ? undefined : head;
}

/** Whether an instruction or a prefix has a name, so that no label is meant by it. */
export function isOfInstructions(name: string): boolean {
  const word = name.toLowerCase();
  return isPrefix(word) || isMnemonic(word);
}

/** Whether the word before one declares it in another assembler's way. */
const isDeclared = (next: string | undefined): boolean => next === "equ" || (next !== undefined && isDataWord(next));

/** What is written here in place of a statement whose first word means nothing where it stands. */
export function adviceFor(statement: Statement, place: Place): Advice | undefined {
  const word = statement.head?.text.toLowerCase() ?? "";
  if (place === "test" && inTest.has(word)) return { help: "write `on PLATFORM, GROUP`" };
  return ofNasm(word, statement) ?? elsewhere(statement.head?.text ?? "", place) ?? ofLabel(word, statement, place);
}

function ofNasm(word: string, statement: Statement): Advice | undefined {
  if (word === "times") return ofTimes(statement);
  if (word === "incbin") return renamed(statement, "embed");
  const reserved = reservedUnits.get(word);
  if (reserved !== undefined) return ofReserved(statement, reserved);
  const [label] = statement.labels;
  if (word === "equ" && label !== undefined) return ofEqu(label.name, statement.args[0], statement);
  if (secondWord(statement) === "equ") {
    return ofEqu(statement.head?.text ?? "", statement.args[0], statement);
  }
  const help = plainAdvice.get(word);
  return help === undefined ? undefined : { help };
}

/** What people write for `on` at first. */
const inTest: ReadonlySet<string> = new Set(["platform", "platforms", "cpu", "cpus", "target", "machine"]);

/** Words of NASM that have no counterpart in the same place. */
const plainAdvice: ReadonlyMap<string, string> = new Map([
  ...["section", "segment"].map((word) => [word, "data stands in `data { … }`, all else is code"] as const),
  ...["bits", "use16", "use32", "use64"].map((word) => [word, "the guest's mode says how wide its code is"] as const),
  ...["org", "global", "extern", "default", "cpu", "common"].map(
    (word) => [word, "leave it out: it says nothing here"] as const,
  ),
  ...["dt", "do", "dy", "dz", "ddq"].map((word) => [word, "write the bytes with `dq`, and `dw` for the rest"] as const),
  ["equ", "write `const NAME = VALUE`"],
  ["struc", "write `struct NAME { … }` at the top of the file"],
  ["istruc", "write the fields of the structure one by one, in `data { … }`"],
  ["goto", "write `jmp LABEL`; behind a trap that is expected, `=> trap #GP(0) goto LABEL`"],
  ...["while", "loop_while"].map(
    (word) => [word, "write `repeat COUNT { … }`, or a loop of the guest: a label and a branch"] as const,
  ),
  ["assert", "write `expect CONDITION`"],
]);

const reservedUnits: ReadonlyMap<string, number> = new Map([
  ["resb", 1],
  ["resw", 2],
  ["resd", 4],
  ["resq", 8],
]);

/** `times 4 nop` is `repeat 4 { nop }`, `times 4 db 0` is `zero 4`. */
function ofTimes(statement: Statement): Advice {
  const help = "write `repeat COUNT { … }`, or `zero COUNT` for bytes of 0";
  const [count, next] = statement.args[0]?.terms ?? [];
  if (!count || !next || statement.judgements.length > 0 || statement.block) return { help };
  const repeated = spanText({ ...statement.span, start: next.span.start });
  const number = spanText(count.span);
  if (/^db\s+0$/i.test(repeated)) return replaced(statement, `zero ${number}`);
  // What depends on an address is known too late for `repeat`.
  return number.includes("$") ? { help } : replaced(statement, `repeat ${number} { ${repeated} }`);
}

function ofReserved(statement: Statement, bytes: number): Advice {
  const count = statement.args.length === 1 && statement.args[0] && onlyExpr(statement.args[0]);
  if (!count) return { help: "write `zero COUNT`, with the count in bytes" };
  const number = spanText(count.span);
  const isPlain = count.kind === "number" || count.kind === "name" || count.kind === "group";
  if (bytes === 1) return replaced(statement, `zero ${number}`);
  return replaced(statement, `zero ${isPlain ? number : `(${number})`} * ${bytes}`);
}

function ofEqu(name: string, arg: Arg | undefined, statement: Statement): Advice {
  const value = arg?.terms.findLast((term) => term.kind === "single");
  const isLocal = name.startsWith(".");
  if (value === undefined || isLocal || statement.judgements.length > 0) return { help: "write `const NAME = VALUE`" };
  return replaced(statement, `const ${name} = ${spanText(value.span)}`);
}

/** A label without its colon, before data or alone on its line. */
function ofLabel(word: string, statement: Statement, place: Place): Advice | undefined {
  const { head } = statement;
  if (place !== "guest" || !head || head.text.includes(".", 1)) return undefined;
  const next = secondWord(statement);
  if (next === undefined || !isDataWord(next) || isMnemonic(word)) return undefined;
  const end: Span = { ...head.span, start: head.span.end };
  const fix = { title: `write \`${head.text}:\``, edits: [{ span: end, newText: ":" }] };
  return { help: `a label ends with a colon: \`${head.text}: ${next} …\``, fix };
}

function secondWord(statement: Statement): string | undefined {
  const first = statement.args[0]?.terms[0];
  return first?.kind === "single" && first.expr.kind === "name" ? first.expr.name.toLowerCase() : undefined;
}

function isDataWord(word: string): boolean {
  return dataUnits.has(word) || reservedUnits.has(word) || word === "zero" || word === "times";
}

/** A declaration that stands in another place. */
function elsewhere(word: string, place: Place): Advice | undefined {
  // Code that stands outside every guest is meant for one.
  const order = place === "guest" ? places : places.toSorted(([a], [b]) => rank(a) - rank(b));
  const other = order.find(([name]) => name !== place && keywordsOf(name).has(word));
  return other && { help: `\`${word}\` stands ${other[1]}` };
}

const rank = (place: Place): number => (place === "guest" ? 0 : place === "test" ? -1 : 1);

const places: readonly (readonly [Place, string])[] = [
  ["test", "directly in a test, outside its guests"],
  ["file", "at the top of the file, outside every test"],
  ["guest", "in the code of a guest: put it into `guest MODE { … }`"],
  ["vmm", "in the block of `vmm`, such as `vmm hardware { … }`"],
  ["platform", "in the block of `platform`"],
  ["each", "in the block of `each`"],
];

const prefixes: ReadonlySet<string> = new Set(prefixWords);

/** Whether a word is a prefix, which an instruction must follow. */
export function isPrefix(word: string): boolean {
  return prefixes.has(word);
}

function renamed(statement: Statement, word: string): Advice {
  const span = statement.head?.span ?? statement.span;
  return { help: `write \`${word}\``, fix: { title: `write \`${word}\``, edits: [{ span, newText: word }] } };
}

/** The whole statement, labels apart unless they go with it, written anew. */
function replaced(statement: Statement, text: string): Advice {
  const start = text.startsWith("const ") ? statement.span.start : (statement.head?.span.start ?? statement.span.start);
  const title = `write \`${text.replace(/\s+/g, " ")}\``;
  return { help: title, fix: { title, edits: [{ span: { ...statement.span, start }, newText: text }] } };
}
