// What resolving a guest builds up, statement by statement.

import { resolving } from "../base/index.js";
import type { Statement } from "../syntax/index.js";
import { report, type Frame } from "./frame.js";
import type { JudgedLine } from "./judgements.js";
import type { ForbiddenEvent, Handler, Item, LineInfo, PageRule, PlacedBlock, StartRule } from "./resolved.js";
import { usedText, wordsSpan } from "./written.js";

/** A judged macro use: its judgement belongs to the first line of the body, which then answers for the others. */
export interface Claim {
  readonly judged: JudgedLine;
  head?: LineInfo;
}

/** The parts of a guest that a declaration anywhere in its code can add to. */
export interface GuestBuild {
  readonly data: Item[];
  readonly placed: PlacedBlock[];
  readonly maps: PageRule[];
  readonly starts: StartRule[];
  readonly handlers: Handler[];
}

/** Where statements put what they become. */
export interface Target {
  /** How the statements of a block are resolved: the walk of code.ts, handed down to what has blocks. */
  readonly resolve: (statements: readonly Statement[], frame: Frame, target: Target) => void;
  readonly items: Item[];
  readonly guest: GuestBuild;
  readonly claim?: Claim;
  /** The `never` blocks around. */
  readonly never?: readonly ForbiddenEvent[];
  readonly ring: 0 | 3;
  /** In a `data` block: bytes only. */
  readonly isData: boolean;
}

/** The line that a statement becomes, with its own judgement or under the claim of the macro use around it. */
export function makeLine(
  statement: Statement,
  frame: Frame,
  own: JudgedLine | undefined,
  { claim, never }: Pick<Target, "claim" | "never">,
): LineInfo {
  const span = wordsSpan(statement);
  const text = usedText(span, frame);
  const { expansions } = frame;
  const base = never ? { span, text, expansions, never } : { span, text, expansions };
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
  report(frame, resolving.nothingToJudge, { what: `\`${what}\``, isBody: true }, claim.judged.judgementSpan);
}
