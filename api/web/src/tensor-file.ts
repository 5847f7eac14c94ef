/** Reads the safetensors format: a little-endian length, a JSON header, raw data. */

export type Tensor = { data: Float32Array | Uint32Array; shape: number[] };

export interface TensorFile {
  tensors: Map<string, Tensor>;
  metadata: Record<string, string>;
}

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** The tensors of a buffer; views into it where its alignment allows. */
export function readTensorFile(buffer: ArrayBuffer): TensorFile {
  if (buffer.byteLength < 8) throw new Error("the service sent fields that are cut off; try again");
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const start = 8 + length;
  if (start > buffer.byteLength) throw new Error("the service sent fields that are cut off; try again");
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length))) as Record<string, unknown>;
  const tensors = new Map<string, Tensor>();
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const entry = value as Entry;
    const [from, to] = entry.data_offsets;
    tensors.set(name, { data: typed(buffer, entry.dtype, start + from, start + to, name), shape: entry.shape });
  }
  return { tensors, metadata: (header["__metadata__"] as Record<string, string> | undefined) ?? {} };
}

function typed(buffer: ArrayBuffer, dtype: string, from: number, to: number, name: string): Float32Array | Uint32Array {
  if (to > buffer.byteLength) throw new Error("the service sent fields that are cut off; try again");
  const aligned = from % 4 === 0;
  const source = aligned ? buffer : buffer.slice(from, to);
  const offset = aligned ? from : 0;
  if (dtype === "F32") return new Float32Array(source, offset, (to - from) / 4);
  if (dtype === "U32") return new Uint32Array(source, offset, (to - from) / 4);
  throw new Error(`the service sent ${name} as ${dtype}, which this page does not read; reload the page`);
}

/** A float tensor that must be there. */
export function floats(file: TensorFile, name: string): Float32Array {
  const found = file.tensors.get(name)?.data;
  if (!(found instanceof Float32Array)) throw new Error(`the service sent no ${name}; reload the page`);
  return found;
}

/** An index tensor that must be there. */
export function indices(file: TensorFile, name: string): Uint32Array {
  const found = file.tensors.get(name)?.data;
  if (!(found instanceof Uint32Array)) throw new Error(`the service sent no ${name}; reload the page`);
  return found;
}
