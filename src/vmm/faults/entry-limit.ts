// A faulty VMM must not run for ever: after so many entries it counts as one that hangs.

const limit = 200_000;

export class EntryLimit {
  private entries = 0;

  count(): void {
    if (++this.entries > limit) throw new Error(`the VMM has entered its guest ${limit} times`);
  }
}
