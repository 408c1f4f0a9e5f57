// Random numbers from a seed: the same seed gives the same programs everywhere.

/** xorshift128+ with helpers; the state is seeded by splitmix64. */
export class Random {
  #a: bigint;
  #b: bigint;

  constructor(seed: bigint) {
    let state = BigInt.asUintN(64, seed);
    const next = (): bigint => {
      state = BigInt.asUintN(64, state + 0x9e37_79b9_7f4a_7c15n);
      let z = state;
      z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n);
      z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn);
      return z ^ (z >> 31n);
    };
    this.#a = next();
    this.#b = next() | 1n;
  }

  bits64(): bigint {
    let a = this.#a;
    const b = this.#b;
    this.#a = b;
    a = BigInt.asUintN(64, a ^ (a << 23n));
    this.#b = a ^ b ^ (a >> 18n) ^ (b >> 5n);
    return BigInt.asUintN(64, this.#b + b);
  }

  /** 0 to count - 1. */
  below(count: number): number {
    return Number(this.bits64() >> 33n) % count;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("internal error: nothing to pick from");
    return item;
  }
}
