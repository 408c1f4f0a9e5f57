// A reader of the fixed-size records in the event ring. Decoding into names is decode-event.ts's work.

import { eventRecordLayout as at } from "./layout.generated.js";

/** The fields of a raw event as plain values. */
export interface RawEventFields {
  /** An `EVENT_` number of the layout. */
  readonly kind: number;
  /** Vector of a trap or interrupt; low 16 bits of a visit's point. */
  readonly code: number;
  /** Number of the rule or control bit that decided, 0 for none. */
  readonly rule: number;
  readonly rip: bigint;
  /** Instructions retired before the event: its virtual time. */
  readonly retired: bigint;
  /** Physical address of the VMCS or VMCB in whose guest it happened, 0 outside. */
  readonly context: bigint;
  readonly a: bigint;
  readonly b: bigint;
  readonly c: bigint;
  readonly d: bigint;
}

/** A view of one record; valid only during the call that got it. `copy()` keeps it. */
export class RawEvent implements RawEventFields {
  #view: DataView;
  #address = 0;

  constructor(view: DataView) {
    this.#view = view;
  }

  /** Moves the view to the record at an address of linear memory. */
  moveTo(address: number): this {
    this.#address = address;
    return this;
  }

  get kind(): number {
    return this.#view.getUint16(this.#address + at.kind.offset, true);
  }
  get code(): number {
    return this.#view.getUint16(this.#address + at.code.offset, true);
  }
  get rule(): number {
    return this.#view.getUint32(this.#address + at.rule.offset, true);
  }
  get rip(): bigint {
    return this.#long(at.rip.offset);
  }
  get retired(): bigint {
    return this.#long(at.retired.offset);
  }
  get context(): bigint {
    return this.#long(at.context.offset);
  }
  get a(): bigint {
    return this.#long(at.a.offset);
  }
  get b(): bigint {
    return this.#long(at.b.offset);
  }
  get c(): bigint {
    return this.#long(at.c.offset);
  }
  get d(): bigint {
    return this.#long(at.d.offset);
  }

  /** The fields as plain values, which stay when the ring goes on. */
  copy(): RawEventFields {
    const { kind, code, rule, rip, retired, context, a, b, c, d } = this;
    return { kind, code, rule, rip, retired, context, a, b, c, d };
  }

  #long(offset: number): bigint {
    return this.#view.getBigUint64(this.#address + offset, true);
  }
}
