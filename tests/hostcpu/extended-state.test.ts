// Moves and state of x87, MMX and SSE on the processor of this computer and on our machine: each row's code runs on both
// between FNINIT and FXSAVE64, and the areas are compared. NASM makes the bytes, the same for both.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hostMissing } from "./host-side.js";
import { newMachine, prepare, runToStop } from "../core/support.js";

const areaBytes = 512;

/** Each operation on XMM registers with memory, and on MMX registers. */
const integers = (names: string): string[] =>
  names.split(" ").map((name) => {
    const wide = `movups xmm0, [rbx + 1] | movups xmm1, [rbx + 6] | ${name} xmm0, xmm1 | ${name} xmm1, [rbx + 16]`;
    return `${wide} | movq mm0, [rbx + 2] | movq mm1, [rbx + 9] | ${name} mm1, mm0 | ${name} mm0, [rbx + 21]`;
  });

const origin = 0x10_0000;

/** Code with RBX at 64 bytes of data that may be written, aligned to 16. */
const rows: readonly string[] = [
  "nop",
  "fld1 | fldz | fldpi | fldl2t | fldl2e | fldlg2 | fldln2",
  "fldz | fldz | fldz | fldz | fldz | fldz | fldz | fldz | fld1",
  "mov word [rbx], 0xb7f | fldcw [rbx] | fldpi | fldl2t | fldl2e | fldlg2 | fldln2",
  "mov word [rbx], 0x77f | fldcw [rbx] | fldpi | fldl2t | fldl2e | fldlg2 | fldln2",
  "fld tword [rbx] | fld dword [rbx] | fld qword [rbx + 8] | fild word [rbx] | fild dword [rbx + 3] | fild qword [rbx]",
  "mov dword [rbx], 0x7f800001 | fld dword [rbx] | mov dword [rbx], 0xffc12345 | fld dword [rbx]",
  "mov dword [rbx], 0x80000001 | fld dword [rbx] | mov dword [rbx], 0x7fffff | fld dword [rbx]",
  "mov dword [rbx], 0 | mov dword [rbx + 4], 0x7ff00000 | fld qword [rbx] | mov dword [rbx + 4], 1 | fld qword [rbx]",
  "mov dword [rbx], 1 | mov dword [rbx + 4], 0xfff00000 | fld qword [rbx] | mov dword [rbx + 4], 0x80000000 | fld qword [rbx]",
  "mov dword [rbx], 0 | mov dword [rbx + 4], 0x80000000 | fild qword [rbx] | fild dword [rbx] | fild dword [rbx + 4]",
  "fld1 | fldpi | fxch | fst st3 | fxch st3 | ffree st1 | fincstp | fld st2",
  "fdecstp | fdecstp | fld1 | fst st1 | fstp st4",
  "fld1 | fxch st5",
  "fxch st2 | fst st1",
  "fstp st0 | fld st3",
  "fstp tword [rbx] | movups xmm3, [rbx]",
  "fldpi | fchs | fst st2 | fabs | fstp tword [rbx] | movups xmm1, [rbx]",
  "fxam | fstsw ax | movd xmm0, eax | fld1 | fxam | fstsw ax | movd xmm1, eax | fldz | fchs | fxam",
  "fld1 | fldz | stc | fcmovb st0, st1 | clc | fcmovnb st0, st3",
  "fchs",
  "fldpi | fnstenv [rbx] | movq xmm0, [rbx] | movd xmm1, [rbx + 8] | fldenv [rbx]",
  "fldpi | fld1 | mov word [rbx], 0x37e | fldcw [rbx] | fnclex | fnstcw [rbx] | movd xmm0, [rbx]",
  "fldz | fldpi | sub rsp, 256 | fnsave [rsp] | movq xmm0, [rsp] | movups xmm4, [rsp + 28] | frstor [rsp]",
  "movq mm0, [rbx] | movd mm1, [rbx + 3] | movq mm7, mm0 | movd eax, mm7 | movd xmm5, eax",
  "fld1 | movq mm3, [rbx] | emms | fld1",
  "movq mm2, [rbx + 5] | movq2dq xmm4, mm2 | movdq2q mm5, xmm4 | pmovmskb eax, mm2 | movd xmm1, eax",
  "movups xmm0, [rbx] | movaps xmm8, xmm0 | movss xmm8, [rbx + 1] | movsd xmm9, [rbx + 2] | movsd xmm0, xmm8",
  "movups xmm0, [rbx] | movupd xmm1, [rbx + 7] | movss xmm1, xmm0 | movhlps xmm2, xmm0 | movlhps xmm3, xmm1",
  "movlps xmm0, [rbx] | movhps xmm0, [rbx + 16] | movlpd xmm1, [rbx + 4] | movhpd xmm1, [rbx + 9]",
  "movdqu xmm0, [rbx + 1] | movdqa [rbx + 16], xmm0 | movdqa xmm4, [rbx + 16] | movntps [rbx], xmm4 | lddqu xmm5, [rbx + 8]",
  "movups xmm0, [rbx] | movddup xmm1, xmm0 | movsldup xmm2, xmm0 | movshdup xmm3, xmm0 | movddup xmm4, [rbx + 3]",
  "movups xmm0, [rbx] | movmskps eax, xmm0 | movd xmm1, eax | movmskpd eax, xmm0 | movd xmm2, eax | pmovmskb eax, xmm0 | movd xmm3, eax",
  "movups xmm0, [rbx] | movq xmm1, xmm0 | movq [rbx + 8], xmm0 | movq rax, xmm0 | movq xmm6, rax | movd xmm7, [rbx + 9]",
  "movups xmm0, [rbx] | movups xmm1, [rbx + 16] | lea rdi, [rbx + 32] | maskmovdqu xmm0, xmm1 | movups xmm2, [rbx + 32]",
  "movq mm0, [rbx] | movq mm1, [rbx + 8] | lea rdi, [rbx + 32] | maskmovq mm0, mm1 | movntq [rbx], mm1 | movups xmm2, [rbx + 32]",
  ...integers("pand pandn por pxor paddb paddw paddd paddq psubb psubw psubd psubq paddsb paddsw paddusb paddusw"),
  ...integers("psubsb psubsw psubusb psubusw pminub pmaxub pminsw pmaxsw pavgb pavgw pcmpeqb pcmpeqw pcmpeqd"),
  ...integers("pcmpgtb pcmpgtw pcmpgtd pmullw pmaddwd"),
  "movups xmm0, [rbx] | movups xmm1, [rbx + 5] | andps xmm0, xmm1 | xorpd xmm1, [rbx] | andnps xmm0, xmm1 | orps xmm0, [rbx]",
  "mov dword [rbx], 0x9fc1 | ldmxcsr [rbx] | stmxcsr [rbx + 4] | movd xmm1, [rbx + 4]",
];

/** FXSAVE64 of each row, one after the other, by one run of a program on this computer; undefined without the tools. */
function onThisComputer(folder: string): Buffer | undefined {
  const body = rows.map((row) => `mov rsi, data0\nmov rdi, data\nmov ecx, 64\nrep movsb\nmov rbx, data\n${around(row)}
mov eax, 1\nmov edi, 1\nmov rsi, area\nmov edx, ${areaBytes}\nsyscall`); // prettier-ignore
  const text = `bits 64\nglobal _start\n_start:\n${body.join("\n")}\nmov eax, 60\nxor edi, edi\nsyscall\n${storage}`;
  writeFileSync(join(folder, "host.asm"), text);
  if (spawnSync("nasm", ["-f", "elf64", "host.asm", "-o", "host.o"], { cwd: folder }).status !== 0) return undefined;
  if (spawnSync("ld", ["host.o", "-o", "host"], { cwd: folder }).status !== 0) return undefined;
  return execFileSync(join(folder, "host"), { maxBuffer: 1 << 20 });
}

const dataBytes = Array.from({ length: 64 }, (_, i) => (i * 73 + 129) & 0xff).join(", ");
const storage = `section .data align=64\ndata0: db ${dataBytes}\ndata: times 64 db 0\nempty: times 512 db 0\narea: times 512 db 0\n`;

/** The row between a known state and FXSAVE64. */
function around(row: string): string {
  const start = "mov word [rel empty], 0x37f\nmov dword [rel empty + 24], 0x1f80\nfxrstor64 [rel empty]\nfninit";
  return `${start}\n${row.split(" | ").join("\n")}\nfxsave64 [rel area]`;
}

function onOurMachine(folder: string, row: string): Uint8Array {
  const data = `align 64\ndata: db ${dataBytes}\nalign 64\nempty: times 512 db 0\narea: times 512 db 0\n`;
  writeFileSync(join(folder, "ours.asm"), `bits 64\norg ${origin}\nmov rbx, data\n${around(row)}\nhlt\n${data}`);
  execFileSync("nasm", ["-f", "bin", "ours.asm", "-o", "ours.bin"], { cwd: folder });
  const code = readFileSync(join(folder, "ours.bin"));
  const machine = newMachine("haswell");
  prepare(machine, code, "long64");
  machine.setRegister("CR4", 0x220n);
  const { stop } = runToStop(machine);
  expect(stop.kind, row).toBe("halted");
  return machine.readPhysical(BigInt(origin + code.length - areaBytes), areaBytes);
}

const ranges = { "control, status, tags": [0, 5], mxcsr: [24, 28], registers: [32, 416] } as const;

test.skipIf(hostMissing() !== undefined)(
  "moves and state of x87, MMX and SSE are those of this computer's processor",
  () => {
    const folder = mkdtempSync(join(tmpdir(), "trapline-extended-"));
    try {
      const host = onThisComputer(folder);
      if (host === undefined) {
        // CI installs nasm and ld: there, nothing may pass by comparing nothing.
        expect(process.env["CI"], "nasm and ld are installed in CI").toBeUndefined();
        return;
      }
      rows.forEach((row, i) => {
        const theirs = host.subarray(i * areaBytes, (i + 1) * areaBytes);
        const ours = onOurMachine(folder, row);
        for (const [name, [start, end]] of Object.entries(ranges)) {
          const hex = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(start, end)).toString("hex");
          expect(hex(ours), `${row}: ${name}`).toBe(hex(theirs));
        }
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  60_000,
);
