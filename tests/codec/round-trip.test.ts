// Bytes to text and back: what the decoder gives encodes to the same bytes, for everything that the encoder makes.

import { describe, expect, test } from "vitest";
import { hexBytes } from "../../src/base/index.js";
import { decode, encode, format } from "../../src/codec/index.js";
import { encodingOf } from "../../src/isa/index.js";
import { allBits, corpus } from "./corpus.js";

/** XCHG of AX or RAX with itself is 90 with a prefix, which decodes as NOP, as the manual has it. */
const decodesAsNop = (hex: string): boolean => /^(66|48)90$/.test(hex);

/** `fadd st0` is `fadd st0, st0`, for which assemblers take the other of the two encodings. */
const hasTwoEncodings = (text: string): boolean => /^f(add|mul|subr?|divr?) st0$/.test(text);

describe("round trip", () => {
  for (const bits of allBits) {
    test(`every encoding in ${bits}-bit code decodes to a value that encodes to it`, { timeout: 60_000 }, () => {
      const wrong: string[] = [];
      for (const { form, value } of corpus(bits)) {
        // FSTCW and the like are two instructions to the processor.
        if (encodingOf(form).wait) continue;
        const encoded = encode(value, { bits, address: 0n });
        if (!("bytes" in encoded)) continue;
        const hex = hexBytes(encoded.bytes);
        if (decodesAsNop(hex) || hasTwoEncodings(format(value))) continue;
        const decoded = decode(encoded.bytes, 0, bits, 0n);
        if (decoded.kind !== "instruction" || decoded.length !== encoded.bytes.length) {
          wrong.push(`${format(value)} ${hex}: ${decoded.kind}`);
          continue;
        }
        const again = encode(decoded.value, { bits, address: 0n });
        const back = "bytes" in again ? hexBytes(again.bytes) : "refused";
        if (back !== hex) wrong.push(`${format(value)} ${hex}: ${format(decoded.value)} ${back}`);
      }
      expect(wrong.slice(0, 20)).toEqual([]);
    });
  }
});
