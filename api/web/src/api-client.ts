/** The service, typed. Every error becomes an `ApiError` whose message is meant for people. */

import type {
  Face,
  Fidelity,
  MaterialTable,
  MeshView,
  PredictionView,
  ProblemDetails,
  ProblemSpec,
  ProgressEvent,
} from "./contract";
import { eventsOf } from "./event-stream";
import { readTensorFile, type TensorFile } from "./tensor-file";

const KEY = "surrogate-api-key";
const STREAM_ATTEMPTS = 5;

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    detail: string,
  ) {
    super(detail);
  }
}

/** The key of this tab; it is forgotten when the tab is closed. */
export function apiKey(): string {
  return sessionStorage.getItem(KEY) ?? "";
}

export function setApiKey(key: string): void {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/** Called where the service asks for a key, or refuses the one given. */
let onRefused: (detail: string) => void = () => undefined;

export function whenRefused(listener: (detail: string) => void): void {
  onRefused = listener;
}

/** Asks the service; anything but success is an ApiError. */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const key = apiKey();
  if (key) headers.set("X-API-Key", key);
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers, cache: "no-store" });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError(0, "No connection", "The service does not answer. Check that it is running, then try again.");
  }
  if (!response.ok) throw await failure(response);
  return response;
}

async function failure(response: Response): Promise<ApiError> {
  let problem: Partial<ProblemDetails> = {};
  try {
    problem = (await response.json()) as Partial<ProblemDetails>;
  } catch {
    // Not from the service itself: a proxy, say.
  }
  let detail = problem.detail ?? `The service answered ${response.status} ${response.statusText}.`;
  const wait = response.headers.get("Retry-After");
  if (response.status === 429 && wait) detail += ` Try again in ${wait} s.`;
  if (response.status === 401 || response.status === 403) onRefused(detail);
  return new ApiError(response.status, problem.title ?? "Error", detail);
}

async function json<T>(path: string, init: RequestInit = {}): Promise<T> {
  return (await (await ask(path, init)).json()) as T;
}

async function tensors(path: string): Promise<TensorFile> {
  return readTensorFile(await (await ask(path)).arrayBuffer());
}

export async function materials(): Promise<MaterialTable[]> {
  return (await json<{ materials: MaterialTable[] }>("/v1/materials")).materials;
}

export async function models(): Promise<{ name: string; version: string }[]> {
  return (await json<{ models: { name: string; version: string }[] }>("/v1/models")).models;
}

/** Uploads a part and waits until it is meshed; `waiting` is called while it is. */
export async function uploadPart(
  file: File,
  lengthUnit: string | null,
  elementSize: number | null,
  waiting: (view: MeshView) => void,
): Promise<MeshView> {
  const form = new FormData();
  form.set("file", file);
  if (lengthUnit) form.set("length_unit", lengthUnit);
  if (elementSize !== null) form.set("element_size_m", String(elementSize));
  let view = await json<MeshView>("/v1/meshes", { method: "POST", body: form, headers: { Prefer: "wait=2" } });
  while (view.status === "queued" || view.status === "meshing") {
    waiting(view);
    view = await json<MeshView>(`/v1/meshes/${view.id}`, { headers: { Prefer: "wait=5" } });
    await pause(100);
  }
  if (view.status === "failed" && view.error) throw new ApiError(view.error.status, view.error.title, view.error.detail);
  return view;
}

export function mesh(id: string): Promise<MeshView> {
  return json<MeshView>(`/v1/meshes/${id}`);
}

export async function faces(id: string): Promise<Face[]> {
  return (await json<{ faces: Face[] }>(`/v1/meshes/${id}/faces`)).faces;
}

export function surface(id: string): Promise<TensorFile> {
  return tensors(`/v1/meshes/${id}/surface`);
}

export function predict(meshId: string, name: string, fidelity: Fidelity, problem: ProblemSpec): Promise<PredictionView> {
  return json<PredictionView>("/v1/predictions", {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": freshKey() },
    body: JSON.stringify({ ...problem, mesh: meshId, name, fidelity }),
  });
}

/** A key that no other request has; `randomUUID` is not there where the page came without TLS. */
function freshKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16).padStart(8, "0")).join("");
}

export function prediction(id: string): Promise<PredictionView> {
  return json<PredictionView>(`/v1/predictions/${id}`);
}

export function cancel(id: string): Promise<PredictionView> {
  return json<PredictionView>(`/v1/predictions/${id}/cancel`, { method: "POST" });
}

/** Starts the verification of a prediction, or tells of the one that there is. */
export function verify(id: string): Promise<PredictionView> {
  return json<PredictionView>(`/v1/predictions/${id}/verification`, { method: "POST" });
}

/** The fields of one history on the surface, all stored steps or one. */
export function fields(id: string, history: string, step: number | null): Promise<TensorFile> {
  const query = new URLSearchParams({ history });
  if (step !== null) query.set("step", String(step));
  return tensors(`/v1/predictions/${id}/fields?${query}`);
}

/** A file of a prediction. */
export async function download(path: string): Promise<Blob> {
  return (await ask(path)).blob();
}

function isOver(status: string): boolean {
  return status === "done" || status === "failed" || status === "cancelled";
}

/** The prediction once it has ended; progress is told as it comes, and a broken stream is taken up again. */
export async function follow(id: string, progress: (event: ProgressEvent) => void): Promise<PredictionView> {
  let last = "";
  for (let attempt = 0; attempt < STREAM_ATTEMPTS; attempt += 1) {
    try {
      const headers: Record<string, string> = { Accept: "text/event-stream" };
      if (last) headers["Last-Event-ID"] = last;
      const response = await ask(`/v1/predictions/${id}/events`, { headers });
      if (!response.body) break;
      for await (const event of eventsOf(response.body)) {
        last = event.id || last;
        if (event.event === "end") return prediction(id);
        if (event.event !== "progress") continue;
        attempt = 0;
        progress(JSON.parse(event.data) as ProgressEvent);
      }
    } catch (error) {
      if (error instanceof ApiError && error.status !== 0 && error.status < 500) throw error;
      if (attempt === STREAM_ATTEMPTS - 1) throw error;
    }
    const view = await prediction(id).catch(() => null);
    if (view && isOver(view.status)) return view;
    await pause(500 * (attempt + 1));
  }
  return prediction(id);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
