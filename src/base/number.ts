// Branded numbers and the arithmetic of fixed-width values. Outside the core, 64-bit values are bigint.

declare const brand: unique symbol;
type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };

/** An address after segmentation, before paging. */
export type Linear = Brand<bigint, "Linear">;
/** An address after a guest's own paging, before EPT or nested paging; on a bare machine equal to the host's. */
export type GuestPhysical = Brand<bigint, "GuestPhysical">;
/** An address on the machine's memory bus. */
export type HostPhysical = Brand<bigint, "HostPhysical">;

export const linear = (value: bigint): Linear => value as Linear;
export const guestPhysical = (value: bigint): GuestPhysical => value as GuestPhysical;
export const hostPhysical = (value: bigint): HostPhysical => value as HostPhysical;

/** Unsigned value of the low `bits` bits. */
export function toUnsigned(value: bigint, bits: number): bigint {
  return BigInt.asUintN(bits, value);
}

/** Two's complement value of the low `bits` bits. */
export function toSigned(value: bigint, bits: number): bigint {
  return BigInt.asIntN(bits, value);
}

/** True when `value` can be written in `bits` bits as an unsigned or as a signed number. */
export function fitsBits(value: bigint, bits: number): boolean {
  return value >= -(1n << BigInt(bits - 1)) && value < 1n << BigInt(bits);
}

/** Lower-case hexadecimal with `0x`; a negative value keeps its sign in front. */
export function hex(value: bigint | number, digits = 0): string {
  const text = value < 0 ? value.toString(16).slice(1) : value.toString(16);
  return `${value < 0 ? "-" : ""}0x${text.padStart(digits, "0")}`;
}

/** Bytes as lower-case hexadecimal digits without separators. */
export function hexBytes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}
