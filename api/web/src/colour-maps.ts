/** Colours of the fields: the same maps as in the report, in bands that can be told apart on the scale. */

import type { FieldName, Source } from "./answer-fields";

export const BANDS = 24;

// Sixteen stops of matplotlib's maps between 6 and 96 %.
const TURBO =
  "3f3e9c 4666dd 448ffe 2eb4f2 19d5cd 27eea4 59fb73 92ff47 bef434 e1dd37 f8be39 fe962b f56918 e14109 c32503 9b0f01";
const YELLOW_RED =
  "fff7b7 ffeea3 ffe48d fedb7a feca66 feb651 fea546 fd933f fd7836 fc5b2e f54026 e9261f da141e c70723 b00026 930026";
const BLUE_PURPLE =
  "ecf4f9 e1edf5 d1e1ee c2d5e7 b2cae1 a2bfdb 98aed3 8f9dc9 8c88bf 8c74b5 8b60ac 894ba2 863595 831c84 760c71 5d055a";
const BLUE_RED =
  "15508d 276eb0 3c8abe 62a7ce 90c4dd b8d8e9 d8e9f1 eff3f5 f9ebe3 fddbc7 f8bb9e ee9677 dc6e57 c6413e b1182b 840924";

const MAPS: Record<FieldName, string> = {
  von_mises: TURBO,
  displacement: TURBO,
  plastic_strain: YELLOW_RED,
  interval: BLUE_PURPLE,
};

/** The bands of a map as bytes r g b a [BANDS, 4], low to high. */
export function bandsOf(field: FieldName, source: Source): Uint8Array<ArrayBuffer> {
  const stops = (source === "difference" ? BLUE_RED : MAPS[field]).split(" ").map((hex) => parseInt(hex, 16));
  const made = new Uint8Array(4 * BANDS);
  for (let band = 0; band < BANDS; band += 1) {
    const at = (band / (BANDS - 1)) * (stops.length - 1);
    const left = Math.min(Math.floor(at), stops.length - 2);
    for (let channel = 0; channel < 3; channel += 1) {
      const shift = 16 - 8 * channel;
      const [a, b] = [(stops[left] >> shift) & 255, (stops[left + 1] >> shift) & 255];
      made[4 * band + channel] = Math.round(a + (b - a) * (at - left));
    }
    made[4 * band + 3] = 255;
  }
  return made;
}

export const SUPPORT_COLOUR = 0x3b6fb6;
export const CASE_COLOURS = [0xd1495b, 0xe08e2b, 0x4f9d5d, 0x8358a8, 0x12848f, 0x9a6a3a];

export function caseColour(index: number): number {
  return CASE_COLOURS[index % CASE_COLOURS.length];
}

export function cssColour(colour: number): string {
  return `#${colour.toString(16).padStart(6, "0")}`;
}
