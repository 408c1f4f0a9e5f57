// The syntax tree: what stands in a file, with places, before any name has a meaning.
//
// There are three shapes of line: declaration, code and judgement. Declaration and code share one shape here,
// `Statement`: which of the two a statement is depends on its first word and on where it stands (keywords.ts).

import type { Span } from "../base/index.js";

/** A word or dotted name, as written. */
export interface Name {
  readonly text: string;
  readonly span: Span;
}

export interface SourceFile {
  readonly statements: readonly Statement[];
  /** The `;;` lines at the top of the file that a blank line ends, without the semicolons. */
  readonly doc?: string;
  /** Every comment in order of place, `;;` lines included; for the formatter. */
  readonly comments: readonly Comment[];
  readonly span: Span;
}

/** From the first `;` to the end of the line. */
export interface Comment {
  readonly text: string;
  readonly span: Span;
}

/** `label: prefix name args { block } => events`, with the judgement lines that follow it. */
export interface Statement {
  readonly labels: readonly Label[];
  /** LOCK, REP and the like, segment overrides and encoding hints, as written, in order. */
  readonly prefixes: readonly Name[];
  /** Absent on a line that holds only labels. */
  readonly head?: Name;
  readonly args: readonly Arg[];
  readonly block?: Block;
  /** `=> events` on the line itself and the judgement lines below it, in order. */
  readonly judgements: readonly JudgementClause[];
  /** `;;` lines directly above, without the semicolons. */
  readonly doc?: string;
  /** From the first label or word to the end of the arguments (block and judgements not included). */
  readonly span: Span;
  /** The whole statement. */
  readonly fullSpan: Span;
}

export interface Label {
  /** Without the colon; a local label keeps its dot. */
  readonly name: string;
  readonly span: Span;
}

export interface Block {
  readonly statements: readonly Statement[];
  readonly span: Span;
}

/** `arg = term { term }`: terms that stand side by side, as in `strict dword 1` or `0x9000..0x9fff r denied skip`. */
export interface Arg {
  readonly terms: readonly Term[];
  readonly span: Span;
}

/** An expression, or two joined by `..`, `:` or `=`. A size word before anything but `[` is a term of its own. */
export type Term =
  | { readonly kind: "single"; readonly expr: Expr; readonly span: Span }
  | {
      readonly kind: "pair";
      readonly joiner: ".." | ":" | "=";
      readonly left: Expr;
      readonly right: Expr;
      /** What follows `=` after a `:` pair, as in `value: imm = 1`. */
      readonly default?: Expr;
      readonly span: Span;
    };

/** `[on names] => rounds`. */
export interface JudgementClause {
  /** Platforms and groups; absent when the clause holds on all. */
  readonly on?: readonly Name[];
  readonly rounds: readonly RoundClause[];
  readonly span: Span;
}

export interface RoundClause {
  readonly events: readonly EventClause[];
  readonly times?: Expr;
  readonly span: Span;
}

/** `nothing`, `any`, `?`, `any of (…)`, or `KIND [subject] [(fields)] [to name] [goto label]`. */
export type EventClause =
  | { readonly kind: "nothing"; readonly span: Span }
  | { readonly kind: "any"; readonly span: Span }
  | { readonly kind: "hole"; readonly span: Span }
  | { readonly kind: "any-of"; readonly alternatives: readonly EventClause[]; readonly span: Span }
  | {
      readonly kind: "event";
      readonly event: Name;
      /** A name or an exception such as `#GP`. */
      readonly subject?: Name;
      /** The field without a name, which stands first. */
      readonly positional?: Expr;
      readonly fields: readonly { readonly name: Name; readonly value: Expr }[];
      readonly to?: Name;
      readonly goto?: Name;
      readonly span: Span;
    };

export type UnaryOperator = "-" | "~" | "!" | "+";
export type BinaryOperator =
  | ("||" | "^^" | "&&")
  | ("==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" | "<=>")
  | ("|" | "^" | "&" | "<<" | ">>" | "<<<" | ">>>")
  | ("+" | "-" | "*" | "/" | "%" | "//" | "%%");

export type Expr =
  | { readonly kind: "number"; readonly value: bigint; readonly span: Span }
  | { readonly kind: "string"; readonly value: string; readonly span: Span }
  /** `#GP`, without the `#` in `name`. */
  | { readonly kind: "exception"; readonly name: string; readonly span: Span }
  /** `$`: the address of the line; `$$`: the start of its section. */
  | { readonly kind: "here"; readonly span: Span }
  | { readonly kind: "section-start"; readonly span: Span }
  | { readonly kind: "name"; readonly name: string; readonly span: Span }
  | { readonly kind: "call"; readonly name: Name; readonly args: readonly Arg[]; readonly span: Span }
  /**
   * `[expr]` or `[segment: expr]`. `size` is a size word that stands directly before the bracket (`dword [x] == 1`),
   * `words` those directly after it (`[rel x]`, `[abs x]`, `[byte rax + 5]`).
   */
  | {
      readonly kind: "memory";
      readonly size?: Name;
      readonly words?: readonly Name[];
      readonly segment?: Expr;
      readonly address: Expr;
      readonly span: Span;
    }
  | { readonly kind: "unary"; readonly op: UnaryOperator; readonly operand: Expr; readonly span: Span }
  | {
      readonly kind: "binary";
      readonly op: BinaryOperator;
      readonly left: Expr;
      readonly right: Expr;
      readonly span: Span;
    }
  /** `condition ? chosen : otherwise`. */
  | {
      readonly kind: "conditional";
      readonly condition: Expr;
      readonly chosen: Expr;
      readonly otherwise: Expr;
      readonly span: Span;
    }
  | { readonly kind: "group"; readonly inner: Expr; readonly span: Span }
  /** Stands where the parser could not read an expression; it has been reported, so nothing else is. */
  | { readonly kind: "missing"; readonly span: Span };
