// Sets of interrupt vectors, as IRR, ISR and TMR of a local APIC are (Intel SDM vol. 3A, "Interrupt Acceptance for
// Fixed Interrupts").

/** 256 bits, one for each vector. */
export class VectorSet {
  readonly words = new Uint32Array(8);

  has(vector: number): boolean {
    return (((this.words[vector >> 5] ?? 0) >>> (vector & 31)) & 1) === 1;
  }

  set(vector: number, value: boolean): void {
    const word = this.words[vector >> 5] ?? 0;
    const bit = 1 << (vector & 31);
    this.words[vector >> 5] = value ? word | bit : word & ~bit;
  }

  /** The highest member, or -1. */
  highest(): number {
    for (let i = 7; i >= 0; i--) {
      const word = this.words[i] ?? 0;
      if (word !== 0) return i * 32 + 31 - Math.clz32(word);
    }
    return -1;
  }

  clear(): void {
    this.words.fill(0);
  }
}
