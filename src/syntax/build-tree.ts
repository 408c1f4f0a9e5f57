// Concrete syntax to tree: files, blocks and statements. Judgement lines find the statement above them, documentation
// the statement below it.

import { syntactic, type Span } from "../base/index.js";
import { brokenArg, buildArgs } from "./build-expr.js";
import { buildJudgement } from "./build-events.js";
import { isBroken, isToken, nameOf, nodeOf, span, tokenOf, tokenSpan } from "./cst.js";
import type { Build, CstNode } from "./cst.js";
import * as t from "./token-kinds.js";
import type { Token } from "./tokens.js";
import type { Arg, Block, JudgementClause, Label, Statement } from "./tree.js";

export type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Appends the statements of a `file` or `block` node; a judgement may belong to one that stands there already. */
export function buildStatements(build: Build, node: CstNode, statements: Mutable<Statement>[] = []): Statement[] {
  for (const part of node.parts) {
    const built = isToken(part) ? undefined : buildItem(build, part);
    if (built === undefined) continue;
    if ("judgements" in built) {
      statements.push(built);
      continue;
    }
    const judged = statements[statements.length - 1];
    if (judged === undefined) build.diagnostics.push(syntactic.judgesNothing(undefined, { span: built.span }));
    else {
      judged.judgements = [...judged.judgements, built];
      judged.fullSpan = { ...judged.fullSpan, end: built.span.end };
    }
  }
  return statements;
}

function buildItem(build: Build, item: CstNode): Statement | JudgementClause | undefined {
  const [part] = item.parts;
  if (part === undefined || isToken(part)) return undefined;
  if (part.name === "statement") return buildStatement(build, part);
  return part.name === "events" ? buildJudgement(build, part) : buildOn(build, part);
}

/** `on names` with a judgement belongs to the line above; with a block or alone it is a statement. */
function buildOn(build: Build, node: CstNode): Statement | JudgementClause | undefined {
  const [on, ...tokens] = node.parts.filter(isToken);
  if (on === undefined) return undefined;
  const names = tokens.filter((token) => token.kind !== t.Comma).map((token) => nameOf(build, token));
  const events = nodeOf(node, "events");
  if (events !== undefined) {
    const judgement = buildJudgement(build, events, names);
    return { ...judgement, span: { ...judgement.span, start: on.startOffset } };
  }
  const args = names.map((name): Arg => {
    const expr = { kind: "name", name: name.text, span: name.span } as const;
    return { terms: [{ kind: "single", expr, span: name.span }], span: name.span };
  });
  return finish(build, { first: on, head: on, labels: [], prefixes: [], args, node });
}

function buildStatement(build: Build, node: CstNode): Statement | undefined {
  const labels: Token[] = [];
  const prefixes: Token[] = [];
  const argNodes: CstNode[] = [];
  let head: Token | undefined;
  for (const part of node.parts) {
    if (!isToken(part)) {
      if (part.name === "arg") argNodes.push(part);
    } else if (part.kind === t.Label) labels.push(part);
    else if (part.kind === t.Prefix) prefixes.push(part);
    else if (t.isName(part.kind)) head = part;
  }
  const first = labels[0] ?? prefixes[0] ?? head;
  if (first === undefined) return undefined;
  if (head?.image === "on" && labels.length === 0 && argNodes.length === 0) {
    build.diagnostics.push(syntactic.onWithoutNames(undefined, { span: tokenSpan(build, head) }));
  }
  return finish(build, { first, head, labels, prefixes, args: buildArgs(build, argNodes), node });
}

interface Pieces {
  readonly first: Token;
  readonly head: Token | undefined;
  readonly labels: readonly Token[];
  readonly prefixes: readonly Token[];
  readonly args: readonly Arg[];
  /** The node that may hold a block and events. */
  readonly node: CstNode;
}

function finish(build: Build, pieces: Pieces): Statement {
  const { first, head, node } = pieces;
  const blockNode = nodeOf(node, "block");
  const eventsNode = nodeOf(node, "events");
  const block = blockNode && buildBlock(build, blockNode);
  const judgements = eventsNode === undefined ? [] : [buildJudgement(build, eventsNode)];
  const args = withBroken(build, first, pieces.args);
  const lastWord =
    head ?? pieces.prefixes[pieces.prefixes.length - 1] ?? pieces.labels[pieces.labels.length - 1] ?? first;
  const end = Math.max(lastWord.endOffset, args[args.length - 1]?.span.end ?? 0);
  const fullEnd = Math.max(end, judgements[0]?.span.end ?? block?.span.end ?? 0);
  const doc = build.docs.get(first.startOffset);
  const statement: Mutable<Statement> = {
    labels: pieces.labels.map((token) => buildLabel(build, token)),
    prefixes: pieces.prefixes.map((token) => nameOf(build, token)),
    args,
    judgements,
    span: span(build, first.startOffset, end),
    fullSpan: span(build, first.startOffset, fullEnd),
  };
  // Statements are many: spreading optional parts into them would cost more than parsing them.
  if (head !== undefined) statement.head = nameOf(build, head);
  if (block !== undefined) statement.block = block;
  if (doc !== undefined) statement.doc = doc;
  return statement;
}

/** A line that could not be read whole gets an unreadable argument, so that nobody reports what is missing there. */
function withBroken(build: Build, first: Token, args: readonly Arg[]): readonly Arg[] {
  if (!isBroken(build, first.startOffset)) return args;
  return [...args, brokenArg(build, args[args.length - 1]?.span.end ?? first.endOffset)];
}

function buildLabel(build: Build, token: Token): Label {
  const name = token.image;
  const place = tokenSpan(build, token);
  const dot = name.indexOf(".", 1);
  if (dot !== -1) {
    const facts = { name, first: name.slice(0, dot), last: name.slice(name.lastIndexOf(".") + 1) };
    build.diagnostics.push(syntactic.dottedLabel(facts, { span: place }));
  }
  return { name, span: place };
}

function buildBlock(build: Build, node: CstNode): Block {
  const open = tokenOf(node, t.LCurly);
  const close = tokenOf(node, t.RCurly);
  const statements = buildStatements(build, node);
  const start = open?.startOffset ?? statements[0]?.fullSpan.start ?? 0;
  const end = close?.endOffset ?? statements[statements.length - 1]?.fullSpan.end ?? start;
  const place: Span = span(build, start, end);
  return { statements, span: place };
}
