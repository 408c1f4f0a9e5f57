// The image: bytes with their addresses, where execution starts and in what state, and what the addresses mean.

import type { Span } from "../base/index.js";

/** Which of the two lowerings of a program an image is (docs/decisions/0003-two-lowerings.md). */
export type Lowering = "bundled" | "carried";

/** Bytes to be put at a physical address before the processor starts. */
export interface Segment {
  readonly name: string;
  readonly address: bigint;
  readonly bytes: Uint8Array;
  /** What the bytes are: code and data are the test's own; tables and scaffold are declared or added. */
  readonly role: "code" | "data" | "tables" | "scaffold";
}

/** A segment register with its hidden part, as the manuals describe descriptor caches. */
export interface SegmentState {
  readonly selector: number;
  readonly base: bigint;
  /** Byte-granular limit: the highest offset that may be used. */
  readonly limitBytes: number;
  /** Access rights as in bits 8 to 23 of a descriptor's high doubleword: type, S, DPL, P, AVL, L, D/B, G. 0 is null. */
  readonly rights: number;
}

export type SegmentName = "ES" | "CS" | "SS" | "DS" | "FS" | "GS";

/** The processor state in which an image starts. What is not said is as after reset of the platform. */
export interface StartState {
  readonly rip: bigint;
  readonly rflags: bigint;
  /** General registers by their 64-bit names; those not named are 0. */
  readonly registers: Readonly<Record<string, bigint>>;
  readonly segments: Readonly<Record<SegmentName, SegmentState>>;
  readonly ldtr: SegmentState;
  readonly tr: SegmentState;
  readonly gdtr: { readonly base: bigint; readonly limitBytes: number };
  readonly idtr: { readonly base: bigint; readonly limitBytes: number };
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  /** MSRs that differ from their value after reset, by address. */
  readonly msrs: readonly { readonly address: number; readonly value: bigint }[];
}

/** Where a guest's code lies, so that events can be given to it by address. */
export interface GuestRange {
  readonly guest: string;
  readonly start: bigint;
  /** First address after the range. */
  readonly end: bigint;
}

export interface ImageSymbol {
  readonly name: string;
  readonly guest: string;
  readonly address: bigint;
}

/** One statement of a guest as it lies in memory. */
export interface PlacedLine {
  /** Index of the line in the plan; also the index in `Image.lines`. */
  readonly line: number;
  readonly guest: string;
  readonly address: bigint;
  readonly lengthBytes: number;
}

/** A program as bytes. Addresses are physical, and linear too unless the guest maps otherwise. */
export interface Image {
  readonly lowering: Lowering;
  readonly segments: readonly Segment[];
  readonly start: StartState;
  /** Carried images: the address at which a Multiboot loader starts them, in flat 32-bit protected mode. */
  readonly boot?: bigint;
  /** Start states of the guests that other guests start (`guest l2 under l1`), by name. */
  readonly nestedStarts?: readonly { readonly guest: string; readonly start: StartState }[];
  /** The first is the outermost guest's; of ranges that hold an address the last counts. */
  readonly guests: readonly GuestRange[];
  readonly symbols: readonly ImageSymbol[];
  readonly lines: readonly PlacedLine[];
  readonly spans: readonly Span[];
}
