// What resolving a guest builds up, statement by statement.

import { resolving, spanText, type Span } from "../base/index.js";
import type { Statement } from "../syntax/index.js";
import { report, type Frame } from "./frame.js";
import type { JudgedLine } from "./judgements.js";
import type { Handler, Item, LineInfo, PageRule } from "./resolved.js";

/** A judged macro use: its judgement belongs to the first line of the body, which then answers for the others. */
export interface Claim {
  readonly judged: JudgedLine;
  head?: LineInfo;
}

/** The parts of a guest that a declaration anywhere in its code can add to. */
export interface GuestBuild {
  readonly data: Item[];
  readonly maps: PageRule[];
  readonly handlers: Handler[];
}

/** Where statements put what they become. */
export interface Target {
  /** How the statements of a block are resolved: the walk of code.ts, handed down to what has blocks. */
  readonly resolve: (statements: readonly Statement[], frame: Frame, target: Target) => void;
  readonly items: Item[];
  readonly guest: GuestBuild;
  readonly claim?: Claim;
  readonly ring: 0 | 3;
  /** In a `data` block: bytes only. */
  readonly isData: boolean;
}

const texts = new WeakMap<Statement, string>();

/** The statement without label, judgement and comment; runs of spaces are one space. */
export function statementText(statement: Statement): string {
  let text = texts.get(statement);
  if (text === undefined) {
    text = spanText(wordsSpan(statement)).replace(/\s+/g, " ").trimEnd();
    texts.set(statement, text);
  }
  return text;
}

/** From the first word after the labels to the end of the arguments. */
function wordsSpan(statement: Statement): Span {
  const first = statement.prefixes[0] ?? statement.head;
  return first ? { ...statement.span, start: first.span.start } : statement.span;
}

/** The line that a statement becomes, with its own judgement or under the claim of the macro use around it. */
export function makeLine(statement: Statement, frame: Frame, own: JudgedLine | undefined, claim?: Claim): LineInfo {
  const base = { span: wordsSpan(statement), text: statementText(statement), expansions: frame.expansions };
  if (own) return { ...base, ...own };
  if (!claim) return base;
  const { goto } = claim.judged;
  if (claim.head) return { ...base, claimedBy: claim.head, ...(goto && { goto }) };
  const head = { ...base, ...claim.judged };
  claim.head = head;
  return head;
}

/** Reports a judgement that no line took: what it judges executes nothing, or only lines with their own judgements. */
export function reportUnclaimed(claim: Claim | undefined, what: string, frame: Frame): void {
  if (!claim || claim.head || !claim.judged.judgementSpan) return;
  report(frame, resolving.nothingToJudge, { what: `\`${what}\`` }, claim.judged.judgementSpan);
}
