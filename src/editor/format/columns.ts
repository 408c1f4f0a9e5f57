// Columns: where `=>` stands in the code of a guest or macro, and where comments stand beside it.

import { codeText, type Column, type Row } from "./rows.js";

/** `=>` stands here or further right. */
const firstArrowColumn = 24;
/** Code that reaches further has its `=>` directly behind it and moves nobody else's. */
const lastArrowColumn = 48;
/** Comments beside code stand here or further right. */
const commentColumn = 40;
const lastCommentColumn = 72;
const lineWidth = 120;

/** The lines of rows. */
export function writeRows(rows: readonly Row[]): string {
  placeArrows(rows);
  const texts = rows.map(withArrow);
  const columns = commentColumns(rows, texts);
  const lines = rows.map((row, i) => {
    const text = texts[i] ?? "";
    if (row.comment === "") return text;
    const column = columns[i] ?? 0;
    const fits = column + row.comment.length <= lineWidth;
    return `${fits ? text.padEnd(column) : text.padEnd(text.length + 1)}${row.comment}`;
  });
  return lines.map((line) => `${line}\n`).join("");
}

/** Every column of arrows is as far right as the longest code before one of them needs it. */
function placeArrows(rows: readonly Row[]): void {
  for (const row of rows) {
    if (row.arrow === "" || row.goesOn || !row.arrows) continue;
    const width = codeText(row).length;
    if (width < lastArrowColumn) row.arrows.at = Math.max(row.arrows.at, firstArrowColumn, width + 1);
  }
}

function withArrow(row: Row): string {
  const code = codeText(row);
  if (row.arrow === "") return code;
  const column = (row.arrows?.at ?? 0) + (row.goesOn ? "=> ".length : 0);
  const fits = code.length < column && column + row.arrow.length <= lineWidth;
  return `${code.padEnd(fits ? column : code.length + 1)}${row.arrow}`;
}

/** Comments on neighbouring lines stand below each other. */
function commentColumns(rows: readonly Row[], texts: readonly string[]): number[] {
  const columns: number[] = [];
  let run: Column = { at: commentColumn };
  const runs = rows.map((row, i) => {
    if (row.comment === "") run = { at: commentColumn };
    else {
      const width = (texts[i] ?? "").length;
      if (width < lastCommentColumn) run.at = Math.max(run.at, width + 1);
    }
    return run;
  });
  for (const [i, { at }] of runs.entries()) columns.push(Math.max(at, (texts[i] ?? "").length + 1));
  return columns;
}
