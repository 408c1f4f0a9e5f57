// Railroad diagrams of the grammar as SVG: every rule one track from left to right. Self-contained: no script, no font,
// nothing loaded from elsewhere.
//
// A piece of track is a box with a width and with its extent above and below the rail that leads through it.

import type { GrammarNode } from "../../src/syntax/index.js";
import { terminalText } from "./ebnf.js";

interface Track {
  readonly width: number;
  readonly up: number;
  readonly down: number;
  /** SVG of the piece, its rail entering at (x, y) and leaving at (x + width, y). */
  readonly draw: (x: number, y: number) => string;
}

const characterWidth = 8;
const boxHeight = 22;
const gap = 10;
const turn = 8;
const rowGap = 8;

/** The diagram of one rule. */
export function railroad(rule: GrammarNode): string {
  const track = sequence((rule.definition ?? []).map(trackOf));
  const margin = 20;
  const width = track.width + 2 * margin;
  const height = track.up + track.down + 2 * rowGap;
  const y = track.up + rowGap;
  const ends = [margin - 8, width - margin + 8].map((x) => `<path d="M${x} ${y - 6}v12"/>`).join("");
  const rails = rail(margin - 8, y, 8) + rail(width - margin, y, 8);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `${ends}${rails}${track.draw(margin, y)}</svg>`,
  ].join("");
}

function trackOf(node: GrammarNode): Track {
  const inner = (node.definition ?? []).map(trackOf);
  switch (node.type) {
    case "NonTerminal":
      return box(node.name ?? "", "rule");
    case "Terminal":
      return box(terminalText(node).replace(/^"(.*)"$/, "$1"), terminalText(node).startsWith('"') ? "sign" : "word");
    case "Alternation":
      return choice(inner);
    case "Option":
      return choice([skip(), sequence(inner)]);
    case "Repetition":
      return choice([skip(), loop(sequence(inner), skip())]);
    case "RepetitionMandatory":
      return loop(sequence(inner), skip());
    case "RepetitionMandatoryWithSeparator":
    case "RepetitionWithSeparator":
      return loop(sequence(inner), node.separator ? trackOf(node.separator) : skip());
    case "Rule":
    case "Alternative":
      return sequence(inner);
  }
}

function rail(x: number, y: number, length: number): string {
  return length === 0 ? "" : `<path d="M${x} ${y}h${length}"/>`;
}

function skip(): Track {
  return { width: 0, up: 0, down: 0, draw: () => "" };
}

function box(text: string, kind: "rule" | "sign" | "word"): Track {
  const width = text.length * characterWidth + 20;
  const half = boxHeight / 2;
  const draw = (x: number, y: number): string => {
    const rounding = kind === "rule" ? 0 : half;
    const shape = `<rect class="${kind}" x="${x}" y="${y - half}" width="${width}" height="${boxHeight}" rx="${rounding}"/>`;
    const label = `<text x="${x + width / 2}" y="${y + 4}">${escaped(text)}</text>`;
    return kind === "rule" ? `<a href="#${text}">${shape}${label}</a>` : shape + label;
  };
  return { width, up: half, down: half, draw };
}

function sequence(tracks: readonly Track[]): Track {
  const shown = tracks.filter((track) => track.width > 0);
  const [only] = shown;
  if (shown.length === 1 && only !== undefined) return only;
  const width = shown.reduce((sum, track) => sum + track.width, 0) + gap * Math.max(0, shown.length - 1);
  return {
    width,
    up: Math.max(0, ...shown.map((track) => track.up)),
    down: Math.max(0, ...shown.map((track) => track.down)),
    draw: (x, y) => {
      let at = x;
      return shown
        .map((track, index) => {
          const before = index === 0 ? "" : rail(at - gap, y, gap);
          const drawn = before + track.draw(at, y);
          at += track.width + gap;
          return drawn;
        })
        .join("");
    },
  };
}

/** Alternatives below one another; the first lies on the rail. */
function choice(tracks: readonly Track[]): Track {
  const inner = Math.max(...tracks.map((track) => track.width));
  const width = inner + 4 * turn;
  const offsets: number[] = [];
  let bottom = 0;
  tracks.forEach((track, index) => {
    const offset = index === 0 ? 0 : bottom + rowGap + Math.max(track.up, boxHeight / 2);
    offsets.push(offset);
    bottom = offset + track.down;
  });
  const draw = (x: number, y: number): string =>
    tracks
      .map((track, index) => {
        const row = y + (offsets[index] ?? 0);
        const start = x + 2 * turn;
        const after = rail(start + track.width, row, inner - track.width);
        return branch(x, y, row) + track.draw(start, row) + after + join(x + width, y, row);
      })
      .join("");
  return { width, up: tracks[0]?.up ?? 0, down: bottom, draw };
}

/** From the rail at `y` down to a row. */
function branch(x: number, y: number, row: number): string {
  if (row === y) return rail(x, y, 2 * turn);
  return `<path d="M${x} ${y}q${turn} 0 ${turn} ${turn}v${row - y - 2 * turn}q0 ${turn} ${turn} ${turn}"/>`;
}

/** From a row back up to the rail at `y`. */
function join(x: number, y: number, row: number): string {
  if (row === y) return rail(x - 2 * turn, y, 2 * turn);
  return `<path d="M${x} ${y}q${-turn} 0 ${-turn} ${turn}v${row - y - 2 * turn}q0 ${turn} ${-turn} ${turn}"/>`;
}

/** Once or more often; the way back lies below and carries the separator. */
function loop(body: Track, back: Track): Track {
  const inner = Math.max(body.width, back.width);
  const width = inner + 2 * turn;
  const below = body.down + rowGap + Math.max(back.up, turn);
  const draw = (x: number, y: number): string => {
    const row = y + below;
    const start = x + turn;
    const backStart = start + (inner - back.width) / 2;
    const right = `<path d="M${start + inner} ${y}q${turn} 0 ${turn} ${turn}v${below - 2 * turn}q0 ${turn} ${-turn} ${turn}"/>`;
    const left = `<path d="M${start} ${y}q${-turn} 0 ${-turn} ${turn}v${below - 2 * turn}q0 ${turn} ${turn} ${turn}"/>`;
    const through = rail(x, y, turn) + body.draw(start, y) + rail(start + body.width, y, inner - body.width + turn);
    const returning =
      rail(start, row, backStart - start) +
      back.draw(backStart, row) +
      rail(backStart + back.width, row, start + inner - backStart - back.width);
    return through + right + left + returning;
  };
  return { width, up: body.up, down: below + Math.max(back.down, 2), draw };
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
