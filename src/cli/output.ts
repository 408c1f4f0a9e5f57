// Standard output. Written at once, so that nothing is lost however the program ends; and Node's own stream takes as
// long to load for a pipe as a small test to run.

import { writeSync } from "node:fs";

const standardOutput = 1;

/** Set where the reader's end does not wait: a stream then keeps what it has not taken yet. */
let waiting = false;

/** Writes text or bytes. Throws what the system says where that cannot be; a reader that went away is no mistake. */
export function print(output: string | Uint8Array): void {
  const bytes = typeof output === "string" ? Buffer.from(output) : output;
  let written = 0;
  while (!waiting && written < bytes.length) {
    try {
      written += writeSync(standardOutput, bytes, written);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN")
        throw Object.assign(error as Error, { path: "standard output" });
      waiting = true;
    }
  }
  if (written < bytes.length) process.stdout.write(bytes.subarray(written));
}
