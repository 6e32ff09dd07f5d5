export declare function isAlive(pid: number): boolean;
export declare function withLock<T>(
  file: string,
  work: () => Promise<T> | T,
  onWait?: (holder: number | null) => void,
): Promise<T>;
