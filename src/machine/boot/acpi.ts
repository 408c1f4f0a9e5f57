// The ACPI tables of the machine: RSDP, RSDT, XSDT, FADT with an empty DSDT, FACS and MADT. ACPI Specification 2.0,
// chapter "ACPI Software Programming Model". They lie below 1 MiB, where firmware puts the pointer to them.

import type { Segment } from "../../program/index.js";
import { ioApicPage } from "../devices/io-apic.js";
import { apicPage } from "../devices/local-apic.js";
import { pmTimerPort } from "../devices/pm-timer.js";

const tablesAt = 0xf_0000;
const identity = "TRAPLN";
const headerBytes = 36;

/** A table under construction: its bytes and little-endian writes into them. */
class Table {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(lengthBytes: number) {
    this.bytes = new Uint8Array(lengthBytes);
    this.#view = new DataView(this.bytes.buffer);
  }

  text(offset: number, value: string): this {
    for (let i = 0; i < value.length; i++) this.bytes[offset + i] = value.charCodeAt(i);
    return this;
  }

  u8(offset: number, value: number): this {
    this.bytes[offset] = value;
    return this;
  }

  u16(offset: number, value: number): this {
    this.#view.setUint16(offset, value, true);
    return this;
  }

  u32(offset: number, value: number): this {
    this.#view.setUint32(offset, value, true);
    return this;
  }

  u64(offset: number, value: number): this {
    this.#view.setBigUint64(offset, BigInt(value), true);
    return this;
  }

  /** Makes the first `lengthBytes` bytes sum to zero with the byte at `offset`. */
  checksum(offset: number, lengthBytes = this.bytes.length): this {
    this.bytes[offset] = 0;
    let sum = 0;
    for (const byte of this.bytes.subarray(0, lengthBytes)) sum += byte;
    return this.u8(offset, -sum & 0xff);
  }
}

/** The tables as one part of memory, for so many processors. */
export function acpiTables(cpus = 1): Segment {
  const at = { rsdp: 0, rsdt: 0x40, xsdt: 0x80, fadt: 0x100, dsdt: 0x200, facs: 0x240, madt: 0x280 };
  const bytes = new Uint8Array(0x400);
  const address = (name: keyof typeof at): number => tablesAt + at[name];
  const put = (name: keyof typeof at, table: Table): void => bytes.set(table.bytes, at[name]);
  put("rsdp", rootPointer(address("rsdt"), address("xsdt")));
  put("rsdt", systemTable("RSDT", 1, 8).u32(36, address("fadt")).u32(40, address("madt")).checksum(9));
  put("xsdt", systemTable("XSDT", 1, 16).u64(36, address("fadt")).u64(44, address("madt")).checksum(9));
  put("fadt", fixedDescription(address("facs"), address("dsdt")));
  put("dsdt", systemTable("DSDT", 1, 0).checksum(9));
  put("facs", new Table(64).text(0, "FACS").u32(4, 64));
  put("madt", apicDescription(cpus));
  return { name: "ACPI tables", address: BigInt(tablesAt), bytes, role: "tables" };
}

/** "System Description Table Header". */
function systemTable(signature: string, revision: number, contentBytes: number): Table {
  return new Table(headerBytes + contentBytes)
    .text(0, signature)
    .u32(4, headerBytes + contentBytes)
    .u8(8, revision)
    .text(10, identity)
    .text(16, "TRAPLINE")
    .u32(24, 1)
    .text(28, identity.slice(0, 4))
    .u32(32, 1);
}

function rootPointer(rsdt: number, xsdt: number): Table {
  return new Table(36)
    .text(0, "RSD PTR ")
    .text(9, identity)
    .u8(15, 2)
    .u32(16, rsdt)
    .u32(20, 36)
    .u64(24, xsdt)
    .checksum(8, 20)
    .checksum(32);
}

/** "Fixed ACPI Description Table": PM1 event block at 0x600, PM1 control block at 0x604, PM timer, interrupt 9. */
function fixedDescription(facs: number, dsdt: number): Table {
  return systemTable("FACP", 1, 116 - headerBytes)
    .u32(36, facs)
    .u32(40, dsdt)
    .u16(46, 9)
    .u32(56, 0x600)
    .u32(64, 0x604)
    .u32(76, pmTimerPort)
    .u8(88, 4)
    .u8(89, 2)
    .u8(91, 4)
    .checksum(9);
}

/** "Multiple APIC Description Table": the processors, the I/O APIC, and IRQ 0 at pin 2. */
function apicDescription(cpus: number): Table {
  const first = 44;
  const localApicBytes = 8;
  const ioApic = { at: first + cpus * localApicBytes, bytes: 12 };
  const override = { at: ioApic.at + ioApic.bytes, bytes: 10 };
  const pcatCompatible = 1;
  const table = systemTable("APIC", 1, override.at + override.bytes - headerBytes)
    .u32(36, apicPage)
    .u32(40, pcatCompatible)
    .u8(ioApic.at, 1)
    .u8(ioApic.at + 1, ioApic.bytes)
    .u32(ioApic.at + 4, ioApicPage)
    .u8(override.at, 2)
    .u8(override.at + 1, override.bytes)
    .u32(override.at + 4, 2);
  for (let i = 0; i < cpus; i++) {
    const at = first + i * localApicBytes;
    table
      .u8(at + 1, localApicBytes)
      .u8(at + 2, i)
      .u8(at + 3, i)
      .u32(at + 4, 1);
  }
  return table.checksum(9);
}
