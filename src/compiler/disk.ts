// A carried image as a raw disk that a PC's BIOS boots: for machines that know nothing of Multiboot, such as Bochs.
//
// The boot sector is written in the language itself. It reads each segment through INT 13h (extended read) and copies
// it above 1 MiB with 32-bit addresses in real mode, then starts the image as a Multiboot loader would: in flat 32-bit
// protected mode.

import { assert, hasErrors } from "../base/index.js";
import { encode } from "../codec/index.js";
import type { Image } from "../program/index.js";
import { resolveListing } from "../resolve/index.js";
import { parse } from "../syntax/index.js";
import { layOut, sectionBytes } from "./layout.js";
import { flattenListing } from "./pieces.js";

const SECTOR_BYTES = 512;
/** The BIOS of Bochs wants a disk of whole cylinders: 16 heads of 63 sectors. */
export const CYLINDER_BYTES = 16 * 63 * SECTOR_BYTES;
const LOAD_ADDRESS = 0x7c00;
/** Where the table of parts ends and the mark of a boot sector stands. */
const MARK_OFFSET = 510;

const source = `
boot:
  cli
  xor   ax, ax
  mov   ds, ax
  mov   es, ax
  mov   ss, ax
  mov   sp, LOAD_ADDRESS
  mov   [drive], dl
  in    al, 0x92                        ; address line 20
  or    al, 2
  and   al, 0xfe
  out   0x92, al
  mov   bp, parts
.part:
  mov   ax, [bp + 8]                    ; sectors left
  test  ax, ax
  jz    .next
  cmp   ax, 64
  jbe   .few
  mov   ax, 64
.few:
  mov   [count], ax
  mov   ebx, [bp + 4]
  mov   [sector], ebx
  mov   si, packet
  mov   dl, [drive]
  mov   ah, 0x42
  int   0x13
  jc    .stop
  cli
  cld
  lgdt  [gdt_pointer]
  mov   eax, cr0
  or    al, 1
  mov   cr0, eax
  mov   bx, 8
  mov   ds, bx                          ; limits of 4 GiB stay when protected mode is left
  mov   es, bx
  and   al, 0xfe
  mov   cr0, eax
  xor   bx, bx
  mov   ds, bx
  mov   es, bx
  movzx ecx, word [count]
  mov   esi, BUFFER
  mov   edi, [bp]
  mov   eax, ecx
  shl   ecx, 7
  a32 rep movsd
  mov   [bp], edi
  add   [bp + 4], eax
  sub   [bp + 8], ax
  jmp   .part
.next:
  add   bp, PART_BYTES
  cmp   dword [bp], 0
  jne   .part
  mov   eax, cr0
  or    al, 1
  mov   cr0, eax
  mov   bx, 8
  mov   ds, bx
  mov   es, bx
  mov   ss, bx
  jmp   far dword [cs:entry]
.stop:
  hlt
  jmp   .stop

  align 4
packet:
  db    16, 0
count:
  dw    0
  dw    0, BUFFER / 16                  ; offset and segment
sector:
  dd    0, 0
gdt_pointer:
  dw    23
  dd    gdt
gdt:
  dq    0
  dq    0x00cf_9300_0000_ffff           ; data, flat
  dq    0x00cf_9b00_0000_ffff           ; 32-bit code, flat
entry:
  dd    0
  dw    0x10
drive:
  db    0
  align 4
parts:
`;

/** Bytes of a part in the boot sector's table: address, first sector, number of sectors. */
const PART_BYTES = 12;
const BUFFER = 0x1_0000;

interface BootCode {
  readonly bytes: Uint8Array;
  /** Offset of the address at which the image starts. */
  readonly entry: number;
}

let made: BootCode | undefined;

/** A raw disk of whole cylinders. */
export function toDisk(image: Image): Uint8Array {
  assert(image.boot !== undefined, "a carried image says where it boots");
  const code = (made ??= bootCode());
  const sizes = image.segments.map((segment) => Math.ceil(segment.bytes.length / SECTOR_BYTES));
  const sectors = sizes.reduce((sum, size) => sum + size, 1);
  const disk = new Uint8Array(Math.ceil((sectors * SECTOR_BYTES) / CYLINDER_BYTES) * CYLINDER_BYTES);
  const view = new DataView(disk.buffer);
  disk.set(code.bytes);
  view.setUint32(code.entry, Number(image.boot), true);
  let part = code.bytes.length;
  let sector = 1;
  image.segments.forEach((segment, i) => {
    assert(part + 2 * PART_BYTES <= MARK_OFFSET, "the boot sector has room for the table of parts");
    view.setUint32(part, Number(segment.address), true);
    view.setUint32(part + 4, sector, true);
    view.setUint32(part + 8, sizes[i] ?? 0, true);
    disk.set(segment.bytes, sector * SECTOR_BYTES);
    part += PART_BYTES;
    sector += sizes[i] ?? 0;
  });
  view.setUint16(MARK_OFFSET, 0xaa55, true);
  return disk;
}

function bootCode(): BootCode {
  const constants = { LOAD_ADDRESS, PART_BYTES, BUFFER };
  const lines = Object.entries(constants).map(([name, value]) => `const ${name} = ${value}\n`);
  const parsed = parse({ name: "disk/boot", text: lines.join("") + source });
  const resolved = resolveListing(parsed.output, 16, new Map());
  const { code } = flattenListing(resolved.output.code, resolved.output.data);
  const sections = [{ section: code, start: LOAD_ADDRESS, roomBytes: MARK_OFFSET }];
  const layout = layOut({ sections, starts: new Map(), encode });
  const wrong = [...parsed.diagnostics, ...resolved.diagnostics, ...layout.diagnostics];
  assert(!hasErrors(wrong), `the boot sector is right: ${wrong[0]?.message ?? ""}`);
  const [placed] = layout.sections;
  assert(placed, "code is a section");
  const at = placed.section.pieces.findIndex((piece) => piece.kind === "label" && piece.name === "entry");
  return { bytes: sectionBytes(placed), entry: (placed.addresses[at] ?? 0) - LOAD_ADDRESS };
}
