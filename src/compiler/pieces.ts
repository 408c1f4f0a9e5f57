// A guest's items as flat sections of pieces: what layout places one after the other.
//
// Nesting is gone here: a ring block is its body between two marks, handlers follow the main code. Marks are where
// points will stand; how many bytes they take is the lowering's business.

import type { Span } from "../base/index.js";
import type {
  Handler,
  InstructionTemplate,
  Item,
  LineInfo,
  PlacedBlock,
  ResolvedCase,
  ResolvedExpectation,
  ResolvedGuest,
  SymbolId,
  Value,
} from "../resolve/index.js";

/** A place where the run does something that is no instruction of the guest. */
export type Mark =
  | { readonly kind: "visit"; readonly line: number }
  | { readonly kind: "probe"; readonly expectation: number }
  | { readonly kind: "ring-enter" }
  | { readonly kind: "ring-leave" }
  | {
      readonly kind: "raise";
      readonly event: string;
      readonly vector?: Value;
      readonly line: number;
      readonly span: Span;
    }
  | { readonly kind: "done" };

/**
 * What only the carried lowering needs: its code must look for itself at what the bundled machine is told.
 * `announce` stands before a line that may end the machine, `launch` before a VM entry of VMX, the results behind an
 * instruction of VMX and behind VMRUN.
 */
export type CarriedPoint =
  Mark | { readonly kind: "announce" | "launch" | "vmx-result" | "svm-result"; readonly line: number };

/** What a section holds, in order. `line` is an index into `Assembly.lines`; data has none. */
export type Piece =
  | { readonly kind: "label"; readonly symbol: SymbolId; readonly name: string; readonly inMacro?: boolean }
  /** Where the gate of a declared handler points. */
  | { readonly kind: "entry"; readonly vector: number }
  | {
      readonly kind: "instruction";
      readonly info: LineInfo;
      readonly instruction: InstructionTemplate;
      /** Absent for what the carried lowering adds. */
      readonly line?: number;
      /** In the carried lowering: the point that this instruction is. */
      readonly point?: CarriedPoint;
    }
  | {
      readonly kind: "bytes";
      readonly info: LineInfo;
      readonly unitBytes: 1 | 2 | 4 | 8;
      readonly values: readonly Value[];
      readonly line?: number;
    }
  | { readonly kind: "zero"; readonly count: Value; readonly span: Span }
  | { readonly kind: "align"; readonly boundary: bigint; readonly inCode: boolean; readonly span: Span }
  /** One NOP that keeps a label apart from a point before it. */
  | { readonly kind: "separator" }
  | { readonly kind: "mark"; readonly mark: Mark };

/** A run of pieces that starts at a fixed address. */
export interface Section {
  readonly guest: number;
  readonly name: "code" | "data";
  readonly pieces: readonly Piece[];
  /** The address that the test gave it; absent for the guest's main sections. */
  readonly at?: { readonly address: bigint; readonly span: Span };
}

/** Whether a section is the main code of a guest. */
export function isMainCode({ guest, name, at }: Section, index: number): boolean {
  return guest === index && name === "code" && at === undefined;
}

/** A line as it was met: what it says, and in which ring block it stands (0: in none). */
export interface SourceLine {
  readonly guest: number;
  readonly info: LineInfo;
  readonly ringBlock: number;
}

/** All guests of a case as sections, with the lines and expectations that they mention, numbered. */
export interface Assembly {
  readonly case: ResolvedCase;
  readonly sections: readonly Section[];
  readonly lines: readonly SourceLine[];
  /** Those in code first, in order, then those at the end of the test. */
  readonly expectations: readonly ResolvedExpectation[];
  /** For each symbol that stands inside a ring block: which. */
  readonly ringBlockOf: ReadonlyMap<SymbolId, number>;
}

/** Flattens every guest of the case: its code section, then its data section, in order of declaration. */
export function flatten(input: ResolvedCase): Assembly {
  const flattener = new Flattener();
  const sections = input.guests.flatMap((guest, index) => flattener.guest(guest, index));
  return {
    case: input,
    sections,
    lines: flattener.lines,
    expectations: [...flattener.expectations, ...input.finals],
    ringBlockOf: flattener.ringBlockOf,
  };
}

/** Plain code and data without points and lines: what the scaffold of the carried lowering consists of. */
export function flattenListing(code: readonly Item[], data: readonly Item[]): { code: Section; data: Section } {
  const pieces = code.map((item): Piece => {
    if (item.kind === "instruction") return { kind: "instruction", info: item.line, instruction: item.instruction };
    if (item.kind === "align") return { ...item, inCode: true };
    return dataPiece(item);
  });
  return {
    code: { guest: 0, name: "code", pieces },
    data: { guest: 0, name: "data", pieces: data.map(dataPiece) },
  };
}

class Flattener {
  readonly lines: SourceLine[] = [];
  readonly expectations: ResolvedExpectation[] = [];
  readonly ringBlockOf = new Map<SymbolId, number>();
  private guestIndex = 0;
  private pieces: Piece[] = [];
  private ringBlock = 0;
  private ringBlocks = 0;
  /** A point that stops there stands at the current address, with no byte after it yet. */
  private pointHere = false;

  guest(guest: ResolvedGuest, index: number): Section[] {
    this.guestIndex = index;
    this.pieces = [];
    this.pointHere = false;
    this.items(guest.code);
    this.end();
    for (const handler of guest.handlers) this.handler(handler);
    const code: Section = { guest: index, name: "code", pieces: this.pieces };
    const data: Section = { guest: index, name: "data", pieces: guest.data.map(dataPiece) };
    return [code, data, ...guest.placed.map((block) => this.placed(block, index))];
  }

  private placed({ kind, address, items, span }: PlacedBlock, guest: number): Section {
    const at = { address, span };
    if (kind === "data") return { guest, name: kind, pieces: items.map(dataPiece), at };
    this.pieces = [];
    this.pointHere = false;
    this.items(items);
    this.end();
    return { guest, name: kind, pieces: this.pieces, at };
  }

  private handler(handler: Handler): void {
    this.separate();
    this.pieces.push({ kind: "entry", vector: handler.vector });
    this.items(handler.code);
    this.end();
  }

  /** Running off the end of code ends the guest, whether or not `done` says so. */
  private end(): void {
    const last = this.pieces.at(-1);
    if (last?.kind !== "mark" || last.mark.kind !== "done") this.mark({ kind: "done" });
  }

  private items(items: readonly Item[]): void {
    for (const item of items) this.item(item);
  }

  private item(item: Item): void {
    switch (item.kind) {
      case "label":
        this.separate();
        if (this.ringBlock !== 0) this.ringBlockOf.set(item.symbol, this.ringBlock);
        this.pieces.push(item);
        return;
      case "instruction":
        this.instruction(item.line, item.instruction);
        return;
      case "bytes":
        this.bytes(item.line, item.unitBytes, item.values);
        return;
      case "zero":
        this.pointHere = false;
        this.pieces.push(item);
        return;
      case "align":
        this.pieces.push({ ...item, inCode: true });
        return;
      case "ring":
        this.ring(item.body, item.ring);
        return;
      case "expect":
        this.mark({ kind: "probe", expectation: this.expectations.push(item.expectation) - 1 });
        return;
      case "raise":
        // The event comes before the next line, whose number is the next to be given.
        this.mark(raiseMark(item, this.lines.length));
        return;
      case "done":
        this.mark({ kind: "done" });
    }
  }

  private instruction(info: LineInfo, instruction: InstructionTemplate): void {
    const line = this.line(info);
    this.pieces.push({ kind: "instruction", info, instruction, line });
  }

  private bytes(info: LineInfo, unitBytes: 1 | 2 | 4 | 8, values: readonly Value[]): void {
    const line = this.line(info);
    this.pieces.push({ kind: "bytes", info, unitBytes, values, line });
  }

  /** Ring 0 is where code runs anyway. */
  private ring(body: readonly Item[], ring: 0 | 3): void {
    if (ring === 0) return this.items(body);
    const outer = this.ringBlock;
    this.mark({ kind: "ring-enter" });
    this.ringBlock = ++this.ringBlocks;
    this.items(body);
    this.ringBlock = outer;
    this.mark({ kind: "ring-leave" });
  }

  private line(info: LineInfo): number {
    const line = this.lines.push({ guest: this.guestIndex, info, ringBlock: this.ringBlock }) - 1;
    const isJudged = info.judgement !== undefined && info.judgement.kind !== "any";
    if (isJudged || info.never !== undefined) {
      this.pieces.push({ kind: "mark", mark: { kind: "visit", line } });
    }
    this.pointHere = false;
    return line;
  }

  private mark(mark: Mark): void {
    this.pieces.push({ kind: "mark", mark });
    this.pointHere = true;
  }

  /** A jump to a label must not meet the points that stand before the label. */
  private separate(): void {
    if (!this.pointHere) return;
    this.pieces.push({ kind: "separator" });
    this.pointHere = false;
  }
}

function raiseMark(item: Extract<Item, { kind: "raise" }>, line: number): Mark {
  const { event, span } = item;
  return { kind: "raise", event, line, span, ...(item.vector && { vector: item.vector }) };
}

function dataPiece(item: Item): Piece {
  switch (item.kind) {
    case "bytes":
      return { kind: "bytes", info: item.line, unitBytes: item.unitBytes, values: item.values };
    case "align":
      return { ...item, inCode: false };
    case "label":
    case "zero":
      return item;
    default:
      throw new Error(`internal error: ${item.kind} in data`);
  }
}
