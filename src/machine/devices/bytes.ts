// Wide accesses to devices whose registers are bytes: the bus splits them, lowest port first.

/** Reads `bytes` byte registers from `port` on. */
export function readByteWise(port: number, bytes: number, read: (port: number) => number): number {
  let value = 0;
  for (let i = 0; i < bytes; i++) value |= (read(port + i) & 0xff) << (8 * i);
  return value >>> 0;
}

/** Writes `bytes` byte registers from `port` on. */
export function writeByteWise(
  port: number,
  value: number,
  bytes: number,
  write: (port: number, value: number) => void,
): void {
  for (let i = 0; i < bytes; i++) write(port + i, (value >>> (8 * i)) & 0xff);
}
