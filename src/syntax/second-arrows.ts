// A line has one judgement. What a second `=>` on it begins is reported here and left out: the parser, which looks for
// places to go on after a mistake, would take it for the judgement of the block around the line.

import { syntactic, type Diagnostic, type Source } from "../base/index.js";
import { spanOf } from "./places.js";
import * as t from "./token-kinds.js";
import type { Token } from "./tokens.js";

/** Leaves out second judgements, up to the end of their line. */
export function dropSecondArrows(source: Source, tokens: Token[]): { tokens: Token[]; diagnostics: Diagnostic[] } {
  const kept: Token[] = [];
  const diagnostics: Diagnostic[] = [];
  let arrow: Token | undefined;
  let dropping = false;
  for (const token of tokens) {
    const type = token.kind;
    if (type === t.NewLine || type === t.LCurly || type === t.RCurly) {
      arrow = undefined;
      dropping = false;
    } else if (type === t.Arrow && arrow !== undefined && !dropping) {
      const secondary = [{ span: spanOf(source, arrow), label: "the line's judgement begins here" }];
      diagnostics.push(syntactic.secondArrow(undefined, { span: spanOf(source, token), secondary }));
      dropping = true;
    } else if (type === t.Arrow) arrow = token;
    if (!dropping) kept.push(token);
  }
  return diagnostics.length === 0 ? { tokens, diagnostics } : { tokens: kept, diagnostics };
}
