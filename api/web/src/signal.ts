/** The same listener, called once when nothing has come for a while. */
export function calmly(listener: () => void, milliseconds = 120): () => void {
  let timer = 0;
  return () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(listener, milliseconds);
  };
}

/** A value that tells its listeners when it changes. */
export class Signal<T> {
  private readonly listeners = new Set<(value: T) => void>();

  constructor(private held: T) {}

  get value(): T {
    return this.held;
  }

  set(value: T): void {
    this.held = value;
    for (const listener of [...this.listeners]) listener(value);
  }

  /** Calls the listener now and at each change. */
  watch(listener: (value: T) => void): void {
    this.listeners.add(listener);
    listener(this.held);
  }

  /** Calls the listener at each change from now on; the answer ends that. */
  listen(listener: (value: T) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
