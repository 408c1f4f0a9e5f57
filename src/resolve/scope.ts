// Scopes: what names stand for. A scope knows its own names and the scope around it.
//
// Arguments of macros and values of `each` are kept as syntax together with the frame in which they were written, so
// that a name in them never means something else where they are used.

import type { Span } from "../base/index.js";
import type { Arg, Block, Expr, Name, Statement } from "../syntax/index.js";
import type { Frame } from "./frame.js";
import type { SymbolId } from "./resolved.js";

/** `const NAME = value`. */
export interface ConstantDeclaration {
  readonly name: Name;
  readonly value: Expr;
}

/** What a macro takes: operands of a kind, a label, a bare word, a block of statements, or anything. */
export type ParameterKind = "reg" | "imm" | "mem" | "label" | "name" | "block" | "any";

export interface Parameter {
  readonly name: Name;
  readonly kind: ParameterKind;
  readonly default?: Expr;
}

/** `macro name(parameters) { body }`. */
export interface MacroDeclaration {
  readonly name: Name;
  readonly parameters: readonly Parameter[];
  readonly body: Block;
}

/** A file's declarations that other declarations can name: those of a library module, or of the file with the tests. */
export interface Module {
  readonly name: string;
  readonly constants: ReadonlyMap<string, ConstantDeclaration>;
  readonly macros: ReadonlyMap<string, MacroDeclaration>;
  /** `data` blocks of the file itself; every guest that uses the module has its own copy. */
  readonly data: readonly Statement[];
  /** Modules named by `use`, by the name under which they are seen. */
  readonly uses: ReadonlyMap<string, Module>;
  /** Modules that `use` names and that could not be had: nothing more is said about their names. */
  readonly missing: ReadonlySet<string>;
}

/** What a name stands for. */
export type Meaning =
  | { readonly kind: "argument"; readonly arg: Arg; readonly frame: Frame }
  | { readonly kind: "block"; readonly block: Block; readonly frame: Frame }
  | { readonly kind: "label"; readonly symbol: SymbolId; readonly guest: string; readonly span: Span }
  | { readonly kind: "constant"; readonly declaration: ConstantDeclaration; readonly frame: Frame };

/** Names with their meaning, and the scope around. */
export class Scope {
  private readonly names = new Map<string, Meaning>();

  constructor(readonly parent?: Scope) {}

  /** Declares a name; gives the meaning that it already has in this scope, and then changes nothing. */
  declare(name: string, meaning: Meaning): Meaning | undefined {
    const known = this.names.get(name);
    if (known === undefined) this.names.set(name, meaning);
    return known;
  }

  /** The meaning of a name here or further out. */
  find(name: string): Meaning | undefined {
    // Most scopes of a chain are empty.
    const own = this.names.size === 0 ? undefined : this.names.get(name);
    return own ?? this.parent?.find(name);
  }

  /** The meaning that this scope itself gives. */
  own(name: string): Meaning | undefined {
    return this.names.get(name);
  }

  /** Every name that can be seen from here, inner ones first. */
  *visible(): Iterable<string> {
    yield* this.names.keys();
    if (this.parent) yield* this.parent.visible();
  }
}
