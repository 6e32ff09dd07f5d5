/** Something that lives on an engine. */
interface Disposable {
  dispose(): Promise<void>;
  readonly disposed: boolean;
}

/**
 * Base of all handles. Disposing frees native memory at once instead of at some garbage collection; `await using` does
 * it at the end of a block. What else uses the same weights keeps them: the order of disposal does not matter.
 */
export abstract class Handle<Native extends Disposable> implements AsyncDisposable {
  /** The addon's own object. @internal */
  readonly native: Native;

  protected constructor(native: Native) {
    this.native = native;
  }

  get disposed(): boolean {
    return this.native.disposed;
  }

  /** Resolves when the share is given up; calling it again does nothing. Every later call rejects with DISPOSED. */
  dispose(): Promise<void> {
    return this.native.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
