// Reading the concrete syntax tree: nodes of the grammar's rules with their parts in order. After a recovery any part
// may be absent, so nothing here takes a part for granted.

import type { Diagnostic, Source, Span } from "../base/index.js";
import { lineOf } from "./places.js";
import type { Kind } from "./token-kinds.js";
import type { Token } from "./tokens.js";
import type { Name } from "./tree.js";

/** What one use of a rule took in. */
export interface CstNode {
  /** The rule. */
  readonly name: string;
  readonly parts: Part[];
}

export type Part = Token | CstNode;

/** What every function of the tree builder needs. */
export interface Build {
  readonly source: Source;
  readonly docs: ReadonlyMap<number, string>;
  readonly diagnostics: Diagnostic[];
  /** Starts of the lines that the parser could not read whole. */
  readonly brokenLines: ReadonlySet<number>;
}

export function isToken(part: Part): part is Token {
  return "tokenTypeIdx" in part;
}

/** The first token of a kind. */
export function tokenOf(node: CstNode, kind: Kind): Token | undefined {
  for (const part of node.parts) if (isToken(part) && part.kind === kind) return part;
  return undefined;
}

/** All nodes of a rule. */
export function nodesOf(node: CstNode, name: string): CstNode[] {
  const found: CstNode[] = [];
  for (const part of node.parts) if (!isToken(part) && part.name === name) found.push(part);
  return found;
}

/** The first node of a rule. */
export function nodeOf(node: CstNode, name: string): CstNode | undefined {
  for (const part of node.parts) if (!isToken(part) && part.name === name) return part;
  return undefined;
}

/** Offset of the first token of a part; undefined when it has none. */
export function startOf(part: Part): number | undefined {
  if (isToken(part)) return part.startOffset;
  for (const inner of part.parts) {
    const start = startOf(inner);
    if (start !== undefined) return start;
  }
  return undefined;
}

/** Parts that hold at least one token; only a recovery leaves others. */
export function filledParts(build: Build, node: CstNode): readonly Part[] {
  if (build.brokenLines.size === 0) return node.parts;
  return node.parts.filter((part) => startOf(part) !== undefined);
}

/** True on lines that could not be read whole. */
export function isBroken(build: Build, offset: number): boolean {
  return build.brokenLines.size > 0 && build.brokenLines.has(lineOf(build.source, offset));
}

/** A span of the build's source. */
export function span(build: Build, start: number, end: number): Span {
  return { source: build.source, start, end };
}

export function tokenSpan(build: Build, token: Token): Span {
  return { source: build.source, start: token.startOffset, end: token.endOffset };
}

export function nameOf(build: Build, token: Token): Name {
  return { text: token.image, span: tokenSpan(build, token) };
}
