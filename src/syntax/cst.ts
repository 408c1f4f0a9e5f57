// Reading chevrotain's concrete syntax tree. Its nodes sort their parts by name; here they come back in order of place.
// After a recovery any part may be absent, so nothing here takes a part for granted.

import type { CstElement, CstNode } from "chevrotain";
import type { Diagnostic, Source, Span } from "../base/index.js";
import type { Token } from "./lexer.js";
import type { Name } from "./tree.js";

export type { CstNode } from "chevrotain";
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

/** The tokens under a name; those that recovery thought in are left out. */
export function tokensOf(node: CstNode, name: string): readonly Token[] {
  const found = (node.children[name] ?? []) as unknown as Token[];
  return found.some(isInserted) ? found.filter((token) => !isInserted(token)) : found;
}

export function tokenOf(node: CstNode, name: string): Token | undefined {
  return tokensOf(node, name)[0];
}

export function nodesOf(node: CstNode, name: string): readonly CstNode[] {
  return (node.children[name] ?? []) as CstNode[];
}

export function nodeOf(node: CstNode, name: string): CstNode | undefined {
  return nodesOf(node, name)[0];
}

/** All parts of a node by place. Parts without any token are left out. */
export function partsOf(node: CstNode): Part[] {
  const parts: Part[] = [];
  for (const name in node.children) {
    for (const element of node.children[name] as CstElement[]) {
      const part = element as Part;
      if (startOf(part) !== undefined) parts.push(part);
    }
  }
  if (parts.length > 1) parts.sort((a, b) => (startOf(a) ?? 0) - (startOf(b) ?? 0));
  return parts;
}

/** Offset of the first token of a part. */
export function startOf(part: Part): number | undefined {
  if (isToken(part)) return isInserted(part) ? undefined : part.startOffset;
  let first: number | undefined;
  for (const name in part.children) {
    for (const element of part.children[name] as CstElement[]) {
      const start = startOf(element as Part);
      if (start !== undefined) {
        if (first === undefined || start < first) first = start;
        break;
      }
    }
  }
  return first;
}

function isInserted(token: Token): boolean {
  return Number.isNaN(token.startOffset);
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
